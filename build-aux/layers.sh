#!/bin/sh
# Who may include whom: the table of docs/architecture.md, checked. The first word of an include is
# its layer. Prints each breach and exits with 1 if there is one.
set -eu
cd "$(dirname "$0")/.."

allowed() {
    case $1 in
        wire) echo wire ;;
        shim | mirror) echo "wire $1" ;;
        # gate: of the helper how it follows paths, finds scripts and hashes, so that both judge alike.
        gate) echo "wire mirror gate" ;;
        base) echo base ;;
        policy) echo "base policy" ;;
        core) echo "base policy core" ;;
        http) echo "base http" ;;
        oidc) echo "base oidc" ;;
        sandbox) echo "base sandbox" ;;
        # exec speaks the helper's protocol; policy and core only through what ports.h names.
        exec) echo "base wire policy core exec http" ;;
        store | jail) echo "base policy core $1" ;;
        door) echo "wire base policy core door" ;;
        api) echo "http oidc core policy base api" ;;
        # cli: of the helper only how it finds a script among arguments, so that explain agrees with it.
        cli) echo "base http policy store mirror sandbox cli" ;;
        bridge) echo "base http bridge" ;;
        warden) echo "wire base policy core http oidc exec store jail door api warden" ;;
        *) echo "" ;;
    esac
}

bad=0
for dir in src/*/; do
    layer=$(basename "$dir")
    may=" $(allowed "$layer") "
    [ "$may" = "  " ] && { echo "$dir: no row in build-aux/layers.sh"; bad=1; }
    for file in $(find "$dir" -name '*.[ch]'); do
        for inc in $(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file"); do
            case $inc in
                */*) first=${inc%%/*} ;;
                *) echo "$file: \"$inc\" does not begin with its layer"; bad=1; continue ;;
            esac
            case $may in
                *" $first "*) ;;
                *) echo "$file: $layer may not include \"$inc\""; bad=1 ;;
            esac
        done
    done
done

# What no file of these layers may see at all.
never() { # layer pattern why
    found=$(grep -nE "^ *# *include *<($2)>" -r "src/$1" --include='*.[ch]' || true)
    [ -z "$found" ] || { echo "$found"; echo "src/$1: $3"; bad=1; }
}
never wire 'stdio\.h|stdlib\.h|unistd\.h|sys/.*' 'bytes only: no malloc, no stdio, no system'
never policy 'time\.h|uv\.h|sys/socket\.h|unistd\.h|fcntl\.h' 'the policy is pure: no clock, no I/O'
never core 'uv\.h|sys/socket\.h|sqlite3\.h|microhttpd\.h|curl/.*' 'the core meets the world through ports.h'
never http 'sqlite3\.h|yaml\.h|pcre2\.h' 'HTTP as such knows nothing of wardens'
for lib in jansson:base/json.c yaml:policy/,warden/config microhttpd:http/ sqlite3:store/ curl/curl:http/client pcre2:policy/; do
    header=${lib%%:*}
    homes=$(echo "${lib#*:}" | tr ',' '|')
    found=$(grep -lE "^ *# *include *<$header\.h>" -r src | grep -vE "^src/($homes)" || true)
    [ -z "$found" ] || { echo "$found: <$header.h> has its home in src/$homes"; bad=1; }
done
# Base names are unique, and every header beside its source guards itself.
twice=$(find src -name '*.c' -printf '%f\n' | sort | uniq -d)
[ -z "$twice" ] || { echo "base names that are not unique: $twice"; bad=1; }
for h in $(find src -name '*.h'); do
    grep -q '^#pragma once' "$h" || { echo "$h: no #pragma once"; bad=1; }
done
for f in $(find src -name '*.[ch]'); do
    head -n 1 "$f" | grep -q 'SPDX-License-Identifier: MIT' || { echo "$f: no SPDX line"; bad=1; }
done
[ $bad = 0 ] && echo "layers: clean"
exit $bad
