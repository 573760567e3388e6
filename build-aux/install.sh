#!/bin/bash
# install.sh install|uninstall DESTDIR PREFIX : programs, man pages, unit of systemd, example policies, grammars.
# install.sh selftest : installs into a temporary directory, runs what was installed, uninstalls, and
# fails if anything is missing or left.
# Configuration, state and logs are never touched.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}

put() { # mode source destination
    install -D -m "$1" "$2" "$root$3"
}
rows() { # mode source destination
    local b f
    echo "755 $build/dynamic/src/warden/clawrden-warden /sbin/clawrden-warden"
    echo "755 $build/dynamic/src/cli/clawrden /bin/clawrden"
    echo "755 $build/static/src/shim/clawrden-shim /libexec/clawrden/clawrden-shim"
    echo "755 $build/static/src/gate/clawrden-gate /bin/clawrden-gate"
    echo "755 $build/static/src/mirror/clawrden-mirror /libexec/clawrden/clawrden-mirror"
    for f in share/policies/*.yaml; do echo "644 $f /share/clawrden/policies/$(basename "$f")"; done
    for f in share/grammars/*.yaml; do echo "644 $f /share/clawrden/grammars/$(basename "$f")"; done
    for f in docs/man/*.scd; do
        b=$(basename "$f" .scd)
        [ -e "$build/man/$b" ] && echo "644 $build/man/$b /share/man/man${b##*.}/$b"
    done
    echo "644 $build/clawrden-warden.service /lib/systemd/system/clawrden-warden.service"
    echo "644 packaging/systemd/clawrden.tmpfiles /lib/tmpfiles.d/clawrden.conf"
    echo "644 packaging/systemd/clawrden.sysusers /lib/sysusers.d/clawrden.conf"
    for f in install-clawrden.sh harden-container.sh make-user.sh; do echo "755 scripts/$f /share/clawrden/$f"; done
    for f in bash-completion/completions/clawrden zsh/site-functions/_clawrden fish/vendor_completions.d/clawrden.fish; do
        echo "644 $build/completions/$f /share/$f"
    done
    echo "644 packaging/prometheus/clawrden-alerts.yml /share/clawrden/prometheus/clawrden-alerts.yml"
    echo "644 packaging/grafana/clawrden.json /share/clawrden/grafana/clawrden.json"
    for f in LICENSE README.md NEWS.md SECURITY.md docs/*.md docs/openapi.yaml; do echo "644 $f /share/doc/clawrden/$(basename "$f")"; done
}
man_pages() {
    command -v scdoc >/dev/null || { echo "install: scdoc is missing, man pages are left out (make deps)" >&2; return 0; }
    mkdir -p "$build/man"
    for f in docs/man/*.scd; do scdoc <"$f" >"$build/man/$(basename "$f" .scd)"; done
}
# The unit names the program where it will be.
unit() {
    mkdir -p "$build"
    sed "s|@SBINDIR@|${prefix:-/usr/local}/sbin|" packaging/systemd/clawrden-warden.service.in >"$build/clawrden-warden.service"
}
# What the program knows itself.
completions() {
    mkdir -p "$build/completions/bash-completion/completions" "$build/completions/zsh/site-functions" \
        "$build/completions/fish/vendor_completions.d"
    "$build/dynamic/src/cli/clawrden" completion bash >"$build/completions/bash-completion/completions/clawrden"
    "$build/dynamic/src/cli/clawrden" completion zsh >"$build/completions/zsh/site-functions/_clawrden"
    "$build/dynamic/src/cli/clawrden" completion fish >"$build/completions/fish/vendor_completions.d/clawrden.fish"
}
do_install() {
    man_pages
    unit
    completions
    rows | while read -r mode source destination; do put "$mode" "$source" "$destination"; done
    ln -sf clawrden "$root/bin/clawrden-cli"
}
do_uninstall() {
    rows | while read -r _ _ destination; do rm -f "$root$destination"; done
    rm -f "$root/bin/clawrden-cli"
    for d in /libexec/clawrden /share/clawrden/policies /share/clawrden/grammars /share/clawrden/prometheus /share/clawrden/grafana \
        /share/clawrden /share/doc/clawrden; do
        rmdir "$root$d" 2>/dev/null || true
    done
}

case ${1:-} in
    install | uninstall)
        prefix=${3:-/usr/local} root=${2:-}${3:-/usr/local}
        "do_$1"
        ;;
    selftest)
        top=$(mktemp -d)
        trap 'rm -rf "$top"' EXIT
        prefix=/usr root=$top/usr
        do_install
        "$root/bin/clawrden" --version
        "$root/bin/clawrden-cli" --version
        "$root/sbin/clawrden-warden" --version
        "$root/libexec/clawrden/clawrden-shim" --version
        "$root/bin/clawrden" policy check "$root/share/clawrden/policies/starter.yaml"
        "$root/bin/clawrden" policy check "$root/share/clawrden/policies/strict.yaml"
        for page in clawrden.1 clawrden-policy.5 clawrden-warden.8 clawrden-shim.8 clawrden-mirror.8 clawrden-gate.8; do
            [ -s "$(find "$root/share/man" -name "$page")" ] || { echo "no man page $page"; exit 1; }
        done
        for f in bash-completion/completions/clawrden zsh/site-functions/_clawrden fish/vendor_completions.d/clawrden.fish; do
            grep -q history "$root/share/$f" || { echo "no completion $f"; exit 1; }
        done
        grep -qx "ExecStart=/usr/sbin/clawrden-warden" "$root/lib/systemd/system/clawrden-warden.service"
        sh "$root/share/clawrden/install-clawrden.sh" --help | grep -q lock-binaries
        do_uninstall
        left=$(find "$top" -type f -o -type l)
        [ -z "$left" ] || { echo "left behind: $left"; exit 1; }
        ;;
    *) echo "install.sh install|uninstall DESTDIR PREFIX | selftest" >&2; exit 2 ;;
esac
