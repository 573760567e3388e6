#!/bin/bash
# lint.sh all | changed : layers, formatting, shellcheck of what others run, clang-tidy, cppcheck, gcc -fanalyzer. Warnings are errors.
# "changed" runs clang-tidy and the analyzer on the sources that differ from LINT_BASE (default: the newest tag
# but the current commit, or the commit two before it), which is what an ordinary check needs.
# Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
scope=${1:-changed}
build=${BUILD:-build}/dynamic
static=${BUILD:-build}/static
passed=0 failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

verdict() { # name log status
    if [ "$3" = 0 ]; then passed=$((passed + 1)); echo "ok    lint: $1"
    else failed=$((failed + 1)); echo "FAIL  lint: $1"; tail -n 60 "$2"
    fi
}
run() { # name command...
    local name=$1; shift
    "$@" >"$logs/$name" 2>&1
    verdict "$name" "$logs/$name" $?
}

if [ "$scope" = all ]; then
    mapfile -t sources < <(git ls-files 'src/*.c')
else
    base=${LINT_BASE:-$(git describe --tags --abbrev=0 HEAD~1 2>/dev/null || git rev-parse -q --verify HEAD~2 || git rev-list --max-parents=0 HEAD | tail -n 1)}
    mapfile -t sources < <(git diff --name-only --diff-filter=d "$base" -- 'src/*.c'; git ls-files -o --exclude-standard 'src/*.c')
fi
mapfile -t ours < <(git ls-files -co --exclude-standard 'src/*.[ch]' 'tests/*.[ch]')

run layers build-aux/layers.sh
run format clang-format --dry-run -Werror "${ours[@]}"
run shellcheck shellcheck scripts/install-clawrden.sh scripts/harden-container.sh scripts/make-user.sh packaging/docker/*.sh build-aux/image-context.sh
run cppcheck cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,portability,performance \
    --suppressions-list=build-aux/cppcheck.supp -D_GNU_SOURCE -D__x86_64__ -Isrc src
static_dir() { case $1 in src/shim/* | src/mirror/* | src/gate/*) return 0 ;; esac; return 1; }
tidy() {
    local f dir
    for f in "${sources[@]}"; do
        dir=$build; static_dir "$f" && dir=$static
        printf '%s\0%s\0' "$dir" "$f"
    done | xargs -0 -r -n 2 -P "$(nproc)" sh -c 'clang-tidy -p "$0" --quiet --warnings-as-errors="*" "$1" 2>/dev/null'
}
analyze() {
    printf '%s\0' "${sources[@]}" | xargs -0 -r -n 1 -P "$(nproc)" sh -c '
        flags=$(pkg-config --cflags libuv libmicrohttpd libcurl jansson yaml-0.1 libpcre2-8 libcrypto sqlite3)
        exec gcc -std=gnu17 -D_GNU_SOURCE -DCLAWRDEN_VERSION="\"lint\"" -O1 -fanalyzer -Werror -Isrc '"-I$build/src/policy -I$build/src/store"' $flags -c -o /dev/null "$0"'
}
if [ ${#sources[@]} -gt 0 ]; then
    run clang-tidy tidy
    run analyzer analyze
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
