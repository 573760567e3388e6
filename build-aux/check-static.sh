#!/bin/bash
# check-static.sh [BUILD]: what makes the static programs small and safe to stand in a container. Each is
# static-pie without an interpreter or a library, without an executable stack, without a writable and
# executable segment, the shim below 64 KiB; their objects call no function outside the list below.
# Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
static=${1:-${BUILD:-build}/static}
passed=0 failed=0

verdict() { # words status [details]
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok    static: $1"
    else failed=$((failed + 1)); echo "FAIL  static: $1"; [ -z "${3:-}" ] || echo "$3" | sed 's/^/      /'
    fi
}

# What the shim and the wire may call: system calls and their thin wrappers, and memory and string basics.
# Nothing that allocates, formats, reads the environment, looks names up or starts a program.
allowed="memchr memcmp memcpy memmove memset strchr strcmp strlen strncmp strrchr strspn
  __errno_location __stack_chk_fail __stack_chk_guard _GLOBAL_OFFSET_TABLE_
  _exit access close connect fcntl fstat getauxval getcwd getpgrp getpid getppid getrlimit getsid ioctl isatty kill
  open poll ppoll prctl read recv sendmsg setrlimit socket stat syscall umask write
  sigaction sigaddset sigdelset sigemptyset sigfillset sigismember signal sigpending sigprocmask
  tcgetattr tcgetpgrp tcsetattr"

check_program() { # path size-limit
    local p=$1 name head dynamic
    name=$(basename "$p")
    [ -x "$p" ] || { verdict "$name is built" 1; return; }
    head=$(readelf -lW "$p") dynamic=$(readelf -dW "$p")
    [ "$(stat -L -c %s "$p")" -lt "$2" ]; verdict "$name is smaller than $2 bytes ($(stat -L -c %s "$p"))" $?
    ! grep -q INTERP <<<"$head"; verdict "$name needs no loader" $?
    ! grep -q NEEDED <<<"$dynamic"; verdict "$name needs no library" $?
    readelf -hW "$p" | grep -q 'DYN (' && grep -q PIE <<<"$dynamic"; verdict "$name is position independent" $?
    ! grep -qE '(TEXTREL|GNU_STACK.*E)' <<<"$dynamic$(grep GNU_STACK <<<"$head")"
    verdict "$name has no text relocation and no executable stack" $?
    ! grep LOAD <<<"$head" | grep -q 'RWE'; verdict "$name has nothing both writable and executable" $?
    ! readelf -SW "$p" | grep -q '\.symtab'; verdict "$name is stripped" $?
}

check_calls() { # name objects...
    local name=$1 defined undefined odd; shift
    [ -e "$1" ] || { verdict "$name has objects to look at" 1; return; }
    defined=$(nm --defined-only -g "$@" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u)
    undefined=$(nm -u "$@" 2>/dev/null | awk 'NF == 2 {print $2}' | sort -u)
    odd=$(comm -23 <(comm -23 <(echo "$undefined") <(echo "$defined")) <(tr -s ' \n' '\n' <<<"$allowed" | sort -u))
    [ -n "$undefined" ] && [ -z "$odd" ]; verdict "$name calls only what it may" $? "$odd"
}

check_program "$static/src/shim/clawrden-shim" 65536
check_calls clawrden-shim "$static"/src/shim/clawrden-shim.p/*.o "$static"/src/wire/libwire.a.p/*.o
check_program "$static/src/gate/clawrden-gate" 262144
# Below the agent's gate nobody but its one loop may wait for a child, and nothing may start a program but
# the agent's own start.
odd=$(nm -u "$static"/src/gate/clawrden-gate.p/*.o | awk 'NF == 2 {print $2}' | sort -u |
    grep -xE 'wait|wait3|wait4|waitid|system|popen|posix_spawn.*|execl.*|fexecve|pthread_create|malloc|calloc|realloc|free|printf|dlopen')
[ -z "$odd" ]; verdict "clawrden-gate starts, waits and allocates only as it may" $? "$odd"
[ ! -e src/mirror/meson.build ] || check_program "$static/src/mirror/clawrden-mirror" 262144
echo "$passed passed, $failed failed"
[ $failed = 0 ]
