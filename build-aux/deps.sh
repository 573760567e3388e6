#!/bin/sh
# Installs what is missing for building (build), the demonstration (demo) or all tests (check); for the emulated machine
# of vm.sh (vm), and inside of it (guest).
#   deps.sh [--list] [build] [demo] [check] [vm] [guest]      default: build demo check
# Says first what it would install; asks, unless CI=1, YES=1 or there is no terminal.
# --list only prints the packages that are missing, one a line, and exits with 1 if there are any.
set -eu

# set | Debian package | how to see that it is there: a command, pkg-config:MODULE or file:PATH
table() {
    cat <<'TABLE'
build gcc gcc
build make make
build libc6-dev file:/usr/include/stdio.h
build git git
build meson meson
build ninja-build ninja
build pkg-config pkg-config
build musl-tools musl-gcc
build libuv1-dev pkg-config:libuv
build libmicrohttpd-dev pkg-config:libmicrohttpd
build libcurl4-openssl-dev pkg-config:libcurl
build libjansson-dev pkg-config:jansson
build libyaml-dev pkg-config:yaml-0.1
build libpcre2-dev pkg-config:libpcre2-8
build libssl-dev pkg-config:libcrypto
build libargon2-dev pkg-config:libargon2
build zlib1g-dev pkg-config:zlib
build libsqlite3-dev pkg-config:sqlite3
build libwslay-dev file:/usr/include/wslay/wslay.h
build libcmocka-dev pkg-config:cmocka
build npm npm
build ca-certificates file:/etc/ssl/certs/ca-certificates.crt
build linux-libc-dev file:/usr/include/linux/types.h
demo git git
demo curl curl
check clang clang
check clang-format clang-format
check clang-tidy clang-tidy
check cppcheck cppcheck
check scdoc scdoc
check shellcheck shellcheck
check build-essential file:/usr/share/build-essential/essential-packages-list
check debhelper dh
check lintian lintian
check debootstrap debootstrap
check binutils readelf
check procps ps
check iproute2 ip
check docker.io dockerd
check docker-cli docker
check docker-compose docker-compose
check iptables iptables
check podman podman
check python3 file:/usr/bin/python3
check python3-pytest file:/usr/lib/python3/dist-packages/pytest/__init__.py
check python3-yaml file:/usr/lib/python3/dist-packages/yaml/__init__.py
check python3-jsonschema file:/usr/lib/python3/dist-packages/jsonschema/__init__.py
check vim-tiny file:/usr/bin/vi
check less less
check bzip2 bzip2
check busybox busybox
check xz-utils xz
check sudo sudo
check nginx-light file:/usr/sbin/nginx
check caddy caddy
check jose jose
check chromium chromium
check openssl openssl
check strace strace
check prometheus promtool
check gdb gdb
check rsync rsync
check zsh zsh
check fish fish
check systemd systemd-analyze
check libclang-rt-14-dev rt:libclang-rt-14-dev
vm qemu-system-x86 qemu-system-x86_64
vm debootstrap debootstrap
vm e2fsprogs debugfs
vm python3 file:/usr/bin/python3
guest linux-image-cloud-amd64 file:/vmlinuz
guest initramfs-tools update-initramfs
guest systemd-sysv file:/sbin/init
guest dbus dbus-daemon
guest apparmor apparmor_parser
guest docker.io dockerd
guest docker-cli docker
guest podman podman
guest netavark file:/usr/lib/podman/netavark
guest iptables iptables
guest iproute2 ip
guest procps ps
guest python3 file:/usr/bin/python3
guest python3-pytest file:/usr/lib/python3/dist-packages/pytest/__init__.py
guest python3-yaml file:/usr/lib/python3/dist-packages/yaml/__init__.py
guest busybox busybox
TABLE
}

present() {
    case $1 in
        pkg-config:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pkg-config:}" ;;
        file:*) [ -e "${1#file:}" ] ;;
        # The sanitizer and fuzzer runtimes of whichever clang this Debian has.
        rt:*) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

list_only=0
[ "${1:-}" = --list ] && { list_only=1; shift; }
sets=" ${*:-build demo check} "

missing=$(table | while read -r set package probe; do
    case $sets in *" $set "*) ;; *) continue ;; esac
    present "$probe" && continue
    if [ "${probe#rt:}" != "$probe" ]; then
        # Its name carries clang's version, which Debian's releases differ in.
        package=$(apt-cache depends clang 2>/dev/null | sed -n 's/^ *Depends: clang-\([0-9][0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1)
        package=${package:-${probe#rt:}}
    fi
    # Docker's command line is a package of its own from Debian 13 on.
    [ "$package" != docker-cli ] || apt-cache show docker-cli >/dev/null 2>&1 || package=docker.io
    echo "$package"
done | sort -u)

if [ $list_only = 1 ]; then
    [ -z "$missing" ] && exit 0
    echo "$missing"
    exit 1
fi
[ -z "$missing" ] && exit 0

echo "deps: these Debian packages are missing:" >&2
echo "$missing" | sed 's/^/    /' >&2
if [ "${CI:-}" != 1 ] && [ "${CI:-}" != true ] && [ "${YES:-}" != 1 ] && [ -t 0 ]; then
    printf 'deps: install them with apt-get now? [y/N] ' >&2
    read -r answer
    case $answer in y | Y | yes) ;; *) echo "deps: nothing was installed" >&2; exit 1 ;; esac
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "deps: needs root or sudo to install packages" >&2; exit 1
    fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >>"$log" 2>&1
}
echo "deps: installing" >&2
# One word a package.
# shellcheck disable=SC2086
if ! { apt_get update && apt_get install -y --no-install-recommends $missing; }; then
    tail -n 20 "$log" >&2
    echo "deps: apt-get failed" >&2
    exit 1
fi
# A clang that has only just arrived may name another runtime than was guessed without lists.
if "$0" --list $sets >/dev/null; then exit 0; fi
[ "${DEPS_AGAIN:-}" = 1 ] && { echo "deps: still missing:" >&2; "$0" --list $sets >&2; exit 1; }
DEPS_AGAIN=1 exec "$0" $sets
