#!/bin/bash
# Every libFuzzer target for FUZZ_SECONDS (60) on its corpus, two at a time. A finding is kept in
# tests/fuzz/findings/ and fails. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}/fuzz
seconds=${FUZZ_SECONDS:-60}
if [ ! -e "$build/build.ninja" ]; then
    CC=clang meson setup "$build" . -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >"$build-setup.log" 2>&1 || { cat "$build-setup.log"; exit 1; }
fi
ninja -C "$build" fuzzers >"$build-build.log" 2>&1 || { tail -n 30 "$build-build.log"; exit 1; }
mkdir -p tests/fuzz/findings
one() {
    local bin=$1 name
    name=$(basename "$bin")
    name=${name#fuzz-}
    local new=$build/corpus-$name
    mkdir -p "$new"
    local dict=()
    [ -e "tests/fuzz/$name.dict" ] && dict=(-dict="tests/fuzz/$name.dict")
    if "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 "${dict[@]}" \
        -artifact_prefix="tests/fuzz/findings/$name-" "$new" "tests/fuzz/corpus/$name" >"$build/$name.log" 2>&1
    then echo "ok    $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log") runs"
    else echo "FAIL  $name"; tail -n 30 "$build/$name.log"
    fi
}
export -f one
export build seconds
out=$(find "$build/tests/fuzz" -maxdepth 1 -type f -name 'fuzz-*' -perm -u+x | sort | xargs -P 2 -I{} bash -c 'one {}')
echo "$out"
passed=$(grep -c '^ok ' <<<"$out")
failed=$(grep -c '^FAIL ' <<<"$out")
[ "$passed" -gt 0 ] || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
