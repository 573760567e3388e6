#!/bin/sh
# SPDX-License-Identifier: MIT
# harden-container.sh: makes a hardened image out of a base image, and believes nothing of it before it has run it.
#   --entrypoint none   the shim in place of the tools (install-clawrden.sh); what is started stays the base image's
#   --entrypoint gate   clawrden-gate is the first process: everything that starts is judged, by whatever path; nothing is renamed
# Needs docker (DOCKER, DOCKER_HOST are honoured) and no network: what it adds are the programs of Clawrden.
#
# What containers are to expand is not expanded here; the branch behind || is meant for both conditions before it.
# shellcheck disable=SC2015,SC2016
set -eu
LC_ALL=C
export LC_ALL
umask 022
docker=${DOCKER:-docker}
standard=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { printf 'harden-container: %s\n' "$*"; }
die() { printf 'harden-container: %s\n' "$*" >&2; exit 1; }
misuse() { printf 'harden-container: %s (--help tells more)\n' "$*" >&2; exit 2; }
usage() {
    cat <<'TEXT'
usage: harden-container.sh --base-image IMAGE --output-image IMAGE [OPTION...]
  --lock-binaries LIST     tools to govern, "npm,docker"
  --user NAME              the agent's user, made when the image has none of that name (default: agent)
  --entrypoint gate|none   gate: clawrden-gate judges all that starts; none (default): shims in the tools' places
  --programs DIR           where clawrden-shim and clawrden-gate are; default: where make and make install put them
TEXT
}

# ---- what was asked for ----

base='' output='' lock='' user=agent entry=none programs=''
while [ $# -gt 0 ]; do
    option=$1
    case $option in
        --*=*) value=${option#*=} option=${option%%=*} ;;
        --base-image | --output-image | --lock-binaries | --user | --entrypoint | --programs)
            [ $# -ge 2 ] || misuse "$option needs a value"
            value=$2
            shift
            ;;
        *) value='' ;;
    esac
    shift
    case $option in
        --base-image) base=$value ;;
        --output-image) output=$value ;;
        --lock-binaries) lock=$value ;;
        --user) user=$value ;;
        --entrypoint) entry=$value ;;
        --programs) programs=$value ;;
        --help | -h) usage; exit 0 ;;
        *) misuse "unknown option '$option'" ;;
    esac
done
# They are written into a Dockerfile: nothing that means something there, or to a shell.
for value in "$base" "$output"; do
    case $value in
        '') misuse "--base-image and --output-image are needed" ;;
        [!A-Za-z0-9]* | *[!A-Za-z0-9._/:@-]*) misuse "'$value' is no name of an image" ;;
    esac
done
case $user in '' | [!a-z_]* | *[!a-z0-9_-]*) misuse "--user: '$user' is no name of a user" ;; esac
case $lock in *[!A-Za-z0-9._+,\ -]*) misuse "--lock-binaries: names of tools are made of letters, digits and . _ + - only" ;; esac
case $entry in gate | none) ;; *) misuse "--entrypoint is gate or none" ;; esac
[ "$entry" = gate ] || [ -n "$lock" ] || misuse "--lock-binaries is needed where no gate judges everything"
[ "$base" != "$output" ] || misuse "--output-image: another name than the base image's"

here=${0%/*}
[ "$here" != "$0" ] || here=.
find_program() { # name
    for d in ${programs:+"$programs"} "$here" "$here/../bin" "$here/../../libexec/clawrden" "$here/../../bin" /usr/local/libexec/clawrden /usr/libexec/clawrden /usr/local/bin /usr/bin; do
        [ ! -f "$d/$1" ] || { printf '%s\n' "$d/$1"; return; }
        [ -z "$programs" ] || break
    done
    die "there is no $1${programs:+ in $programs}; build it (make), or name its directory with --programs"
}

# ---- the image ----

work=$(mktemp -d)
context=$work/context
mkdir "$context"
trial=$output-trial-$$
clean_up() {
    $docker rmi -f "$trial" >/dev/null 2>&1 || :
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

$docker image inspect "$base" >/dev/null 2>&1 || die "there is no image '$base' here (docker pull it first)"
base_path=$($docker image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$base" | sed -n 's/^PATH=//p' | sed -n '$p')
# An entry point of the base stays what it is: under the gate it is what the gate starts.
base_entry=$($docker image inspect -f '{{json .Config.Entrypoint}}' "$base")
base_command=$($docker image inspect -f '{{json .Config.Cmd}}' "$base")
case $base_path in *[!A-Za-z0-9._/:@+-]*) die "the PATH of '$base' has odd characters: $base_path" ;; esac

shim=$(find_program clawrden-shim)
cp "$shim" "$context/clawrden-shim"
cp "$here/install-clawrden.sh" "$here/make-user.sh" "$context/"
if [ "$entry" = gate ]; then
    gate=$(find_program clawrden-gate)
    cp "$gate" "$context/clawrden-gate"
fi
chmod 755 "$context"/*

{
    echo "FROM $base"
    echo "USER 0"
    echo "COPY . /tmp/clawrden-build/"
    if [ "$entry" = none ]; then
        echo "RUN [\"/bin/sh\", \"-c\", \"sh /tmp/clawrden-build/make-user.sh $user && sh /tmp/clawrden-build/install-clawrden.sh --user $user --lock-binaries '$lock' && PATH=/clawrden/state/tools:$standard rm -rf /tmp/clawrden-build\"]"
        echo "ENV PATH=/clawrden/bin:${base_path:-$standard}"
    else
        echo "RUN [\"/bin/sh\", \"-c\", \"sh /tmp/clawrden-build/make-user.sh $user && mkdir -p /clawrden/bin /var/run/clawrden && chmod 755 /clawrden /clawrden/bin /var/run/clawrden && rm -rf /tmp/clawrden-build\"]"
        echo "COPY --chown=0:0 clawrden-gate /clawrden/bin/clawrden-gate"
        case $base_entry in
            null | '[]') echo 'ENTRYPOINT ["/clawrden/bin/clawrden-gate", "--"]' ;;
            *) printf 'ENTRYPOINT ["/clawrden/bin/clawrden-gate", "--", %s\n' "${base_entry#\[}" ;;
        esac
        # An ENTRYPOINT takes the base's CMD away.
        [ "$base_command" = null ] || echo "CMD $base_command"
        # The engine would start the base's beside the gate, unjudged.
        echo 'HEALTHCHECK NONE'
    fi
    echo "USER $user"
    echo "LABEL clawrden.hardened=$entry clawrden.base=\"$base\""
} >"$context/Dockerfile"
printf 'Dockerfile\n' >"$context/.dockerignore"
say "building $output from $base"
$docker build --network=none -q -t "$trial" "$context" >"$work/log" 2>&1 || { cat "$work/log" >&2; rm -f "$work/log"; die "the image could not be built"; }
rm -f "$work/log"

# ---- does it hold? ----

failed=0
tools=$(printf %s "$lock" | sed 's/,/ /g')
check() { # words command...
    words=$1
    shift
    if result=$("$@" 2>&1); then say "ok: $words"; else failed=1; say "FAILED: $words: $result"; fi
}
inside() { # script of sh, as the agent; only what is built into shells: tools may be locked
    $docker run --rm --network=none --entrypoint /bin/sh "$trial" -c "$1"
}
not_root='[ ! -w /etc/passwd ] && [ ! -w /clawrden ] && [ ! -w /clawrden/bin ] && [ ! -w /var/run/clawrden ] && [ -x /var/run/clawrden ]'
in_shell() { # shell options: each tool, where its own start files have set PATH
    inside "for t in $tools; do [ \"\$(env -i HOME=/home/$user /bin/$1 $2 \"command -v \$t\")\" = /clawrden/bin/\$t ] || { echo \$t; exit 1; }; done"
}
no_originals() {
    inside "for t in $tools; do for d in $(echo $standard | sed 's/:/ /g'); do
        [ ! -e \$d/\$t ] || [ \$d/\$t -ef /clawrden/bin/clawrden-shim ] || { echo \$d/\$t; exit 1; }; done; done"
}
without_a_warden() {
    inside "for t in $tools; do \$t --version >/dev/null 2>&1; [ \$? = 125 ] || { echo \$t; exit 1; }; done"
}
gate_waits() {
    status=0
    said=$($docker run --rm --network=none --entrypoint /clawrden/bin/clawrden-gate "$trial" --wait 1 -- /bin/sh -c 'echo it ran' 2>&1) || status=$?
    case $said in *'it ran'*) return 1 ;; esac
    [ $status = 125 ]
}
gate_is_first() {
    [ "$($docker image inspect -f '{{index .Config.Entrypoint 0}}' "$trial")" = /clawrden/bin/clawrden-gate ]
}

[ "$user" = root ] || check "$user can change nothing of it" inside "$not_root"
if [ "$entry" = none ]; then
    check "every original is locked" no_originals
    check "no tool runs without a warden" without_a_warden
    check "sh -lc finds the shims" in_shell sh -lc
    if inside '[ -x /bin/bash ]'; then
        check "bash -lc finds the shims" in_shell bash -lc
        check "bash -ic finds the shims" in_shell bash -ic
    fi
else
    check "clawrden-gate is the first process" gate_is_first
    check "nothing runs without a warden" gate_waits
    for tool in $tools; do
        inside "command -v $tool >/dev/null" || say "this image has no '$tool'"
    done
fi
[ $failed = 0 ] || die "the image does not hold; $output was not made"
$docker tag "$trial" "$output"
say "$output is ready"
