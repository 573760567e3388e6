#!/bin/bash
# check.sh check | check-long | asan : runs the stages, counts what passed and failed, ends with one line
# "N passed, N failed". A skipped test counts as failed. Exits with 0 only if nothing failed.
set -u
# Whoever started this may ignore signals (nohup, "&" in a script do): every program below would inherit that.
[ "${CHECK_SIGNALS:-}" = default ] || CHECK_SIGNALS=default exec env --default-signal "$0" "$@"
cd "$(dirname "$0")/.."
mode=$1
build=${BUILD:-build}
logs=$build/logs
mkdir -p "$logs"
passed=0 failed=0
start=$SECONDS

add() { passed=$((passed + $1)); failed=$((failed + $2)); }

skipped_inside() { # testlog.json
    /usr/bin/python3 -c '
import json, sys
for line in open(sys.argv[1]):
    test = json.loads(line)
    if "SKIPPED ]" in test.get("stdout", "") + test.get("stderr", "") and not test["name"].endswith("-as-a-user"):
        print("left out inside of:", test["name"])' "$1"
}

# Meson's own summary: "Ok: 12", "Fail: 1", "Timeout: 0", "Skipped: 0".
stage_meson() { # name directory args...
    local name=$1 dir=$2 log=$logs/$1.log; shift 2
    meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 5 "$@" >"$log" 2>&1
    local status=$? ok bad
    ok=$(sed -n 's/^Ok: *\([0-9]*\).*/\1/p' "$log" | tail -n 1)
    bad=$(sed -nE 's/^(Fail|Timeout|Unexpected Pass|Skipped): *([0-9]+).*/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
    [ -n "$ok" ] && [ "$ok" -gt 0 ] || { ok=0; [ "$bad" -gt 0 ] || bad=1; }
    [ $status = 0 ] || [ "$bad" -gt 0 ] || bad=1
    local again
    mapfile -t again < <(sed -nE '/^Summary of Failures/,$ s@^ *[0-9]+/[0-9]+ [^/]* / ([^ ]+) +(FAIL|TIMEOUT).*@\1@p' "$log")
    # Shared machines stall: what failed is run once more, alone, and said.
    if [ $status != 0 ] && [ ${#again[@]} = "$bad" ] && meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 5 --logbase again --num-processes 1 "${again[@]}" >"$log.again" 2>&1; then
        printf 'passed only at the second run: %s\n' "${again[@]}"
        ok=$((ok + bad)) bad=0
    fi
    # A program that left a test of its own out counts as passed for Meson. Those that stand for an
    # ordinary user leave out what needs root, which the same program does as root.
    bad=$((bad + $(skipped_inside "$dir/meson-logs/testlog.json" | tee -a "$log" | wc -l)))
    add "$ok" "$bad"
    report "$name" "$ok" "$bad" "$log"
}

count_of() { # words log: of pytest's last line
    tail -n 1 "$2" | grep -oE "[0-9]+ ($1)" | awk '{n += $1} END {print n + 0}'
}

failures() { # log: the tests that pytest's summary names
    sed -nE 's/^(FAILED|ERROR) (tests[^ ]*(\[.*\])?)( - .*)?$/\2/p' "$1"
}

stage_pytest() { # name args...
    local name=$1 log=$logs/$1.log; shift
    local cache=$PWD/$build/pytest-$name
    rm -rf "$cache"
    /usr/bin/python3 -m pytest -q -rfEs -o cache_dir="$cache" "$@" >"$log" 2>&1
    local status=$? ok bad skipped last=$log try
    ok=$(count_of passed "$log") bad=$(count_of 'failed|error|errors|xpassed' "$log") skipped=$(count_of 'skipped|xfailed' "$log")
    [ $status = 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$ok" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
    # Shared machines stall: what failed is run again, alone, twice at most, and said. Many are no stall, and what
    # got past us once ("a hole: ...") is believed.
    for try in second third; do
        [ $status = 1 ] && [ "$bad" -le 8 ] && ! grep -q '^E .*a hole: ' "$last" || break
        /usr/bin/python3 -m pytest -q -rfEs --lf -o cache_dir="$cache" "$@" >"$log.$try" 2>&1
        status=$?
        failures "$last" | grep -vxFf <(failures "$log.$try") | sed "s/^/passed only at the $try run: /"
        local still
        still=$(count_of 'failed|error|errors|xpassed' "$log.$try")
        [ $status = 0 ] || [ "$still" -gt 0 ] || still=$bad
        ok=$((ok + bad - still)) bad=$still last=$log.$try
    done
    add "$ok" $((bad + skipped))
    report "$name" "$ok" $((bad + skipped)) "$last"
}

# A command that prints its own "N passed, N failed" last, or that counts as one by its status.
stage() { # name command...
    local name=$1 log=$logs/$1.log; shift
    "$@" >"$log" 2>&1
    local status=$? ok bad last
    last=$(tail -n 1 "$log" | grep -oE '^[0-9]+ passed, [0-9]+ failed$')
    if [ -n "$last" ]; then
        ok=${last%% *} bad=$(echo "$last" | cut -d' ' -f3)
        [ $status = 0 ] || [ "$bad" -gt 0 ] || bad=1
    elif [ $status = 0 ]; then ok=1 bad=0
    else ok=0 bad=1
    fi
    add "$ok" "$bad"
    report "$name" "$ok" "$bad" "$log"
}

report() {
    printf '%-22s %4d passed %3d failed   %4d s\n' "$1" "$2" "$3" $((SECONDS - start))
    [ "$3" = 0 ] || { echo "---- $4"; grep -vE '^(PASSED|\.+$)' "$4" | tail -n 80; echo "----"; }
}

sanitized() {
    [ -e "$build/asan/build.ninja" ] || meson setup "$build/asan" . -Db_sanitize=address,undefined -Db_lundef=false >"$logs/asan-setup.log" 2>&1 || return 1
    ninja -C "$build/asan" >"$logs/asan-build.log" 2>&1 || { tail -n 30 "$logs/asan-build.log"; return 1; }
}
asan_unit() {
    local before=$failed
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    stage asan-build sanitized
    [ "$failed" = "$before" ] || return 1 # what an older build left is not tested
    stage_meson asan-unit "$build/asan" --suite unit --suite fuzz
}
# The whole programs once more, warden and CLI built with the sanitizers; a report ends the process with 99.
asan_system() {
    # LeakSanitizer looks by ptrace, which the gate refuses to all that stands below it.
    local below=(tests/system/test_run.py tests/system/test_run_api.py tests/system/test_run_tools.py tests/system/test_doctor.py)
    export CLAWRDEN_TEST_BIN=$PWD/$build/asan-bin UBSAN_OPTIONS=halt_on_error=1:exitcode=99
    ASAN_OPTIONS=detect_leaks=1:exitcode=99 stage_pytest asan-system tests/system "${below[@]/#/--ignore=}" -m "not slow and not timing"
    ASAN_OPTIONS=detect_leaks=0:exitcode=99 stage_pytest asan-gated "${below[@]}" -m "not slow and not timing"
}
asan_bin() {
    mkdir -p "$build/asan-bin"
    ln -sf ../asan/src/warden/clawrden-warden ../asan/src/cli/clawrden ../static/src/shim/clawrden-shim \
        ../static/src/mirror/clawrden-mirror ../static/src/gate/clawrden-gate "$build/asan-bin/"
}

case $mode in
    check)
        stage static build-aux/check-static.sh
        stage lint build-aux/lint.sh changed
        stage_meson unit "$build/dynamic" --suite unit --suite fuzz
        stage_pytest system tests/system -m "not slow"
        stage_pytest docker tests/docker-smoke -m "not slow"
        stage_pytest browser tests/browser -m "not slow"
        stage demo scripts/demo.sh
        stage install build-aux/install.sh selftest
        stage bench tests/bench/run --assert
        ;;
    check-long)
        "$0" check | tee "$logs/check.out"
        last=$(tail -n 1 "$logs/check.out")
        add "${last%% *}" "$(echo "$last" | cut -d' ' -f3)"
        stage lint-all build-aux/lint.sh all
        asan_unit && { asan_bin; asan_system; }
        stage_pytest system-slow tests/system -m slow
        stage_pytest docker-slow tests/docker-smoke -m slow
        stage_pytest browser-slow tests/browser -m slow
        stage agents build-aux/agents.sh
        stage fuzz build-aux/fuzz.sh
        ;;
    asan)
        "${MAKE:-make}" -s all || exit 1
        asan_unit && { asan_bin; asan_system; }
        ;;
    *) echo "check.sh check | check-long | asan" >&2; exit 2 ;;
esac
echo "logs: $logs, $((SECONDS - start)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
