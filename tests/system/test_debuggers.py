# SPDX-License-Identifier: MIT
"""--allow-debuggers: programs of the tree trace each other; starts stay judged, and what waits is nobody else's."""
import json
import subprocess

from conftest import BIN
from runs import POLICY, any_run, make_run  # noqa: F401: fixtures

C = """
#include <stdio.h>
int twice(int x) { return 2 * x; }
int main(int n, char **v) { (void)v; printf("got %d\\n", twice(n)); return 7; }
"""
ON = {"allow-debuggers": None}
CANARY = POLICY.replace("rules:", "rules:\n  - {name: canary, command: dirname, action: deny}", 1)
STOPPED = "until grep -q 'State:.*stopped' /proc/$!/status; do :; done"
GDB = (f"{STOPPED}; gdb -nx -batch -p $! -ex 'handle SIGSTOP nostop noprint nopass' -ex 'break twice' -ex c -ex 'print x' "
       "-ex c 2>&1; wait $!; echo status $?")


def program(r):
    """Compiled outside, where the agent cannot write: it counts as the person's own."""
    tools = r.home / ".tools"
    tools.mkdir()
    (tools / "prog.c").write_text(C)
    subprocess.run(["gcc", "-g", "-o", tools / "prog", tools / "prog.c"], check=True)
    r.own()
    return tools / "prog"


def test_gdb_attaches_to_a_program_that_stopped_before_its_first_instruction(any_run):
    tools = program(any_run).parent
    done = any_run.run("bash", "-c", f"CLAWRDEN_STOP=1 prog & {GDB}", options=ON, env={"PATH": f"{tools}:/usr/bin:/bin"})
    out = done.stdout.decode()
    assert "$1 = 1" in out and "got 2" in out and "status 7" in out, (out, done.stderr)
    assert "DEBUGGERS MAY CHANGE" in done.stderr
    assert all(d["debuggers"] is True for d in any_run.decisions())


def test_what_asks_to_stop_is_judged_first_and_the_variable_is_gone(any_run):
    any_run.policy.write_text(CANARY)
    done = any_run.run("bash", "-c", "CLAWRDEN_STOP=1 dirname /a/b; echo $?; CLAWRDEN_STOP=1 env >e & "
                       f"{STOPPED}; kill -CONT $!; wait $!; grep -c STOP e", options=ON)
    assert done.stdout == b"126\n0\n", done


def test_what_is_scrubbed_is_so_behind_the_variable_too(any_run):
    """The gate takes the variable out first, and the gap that it leaves hides nothing from what the warden has taken out."""
    done = any_run.run("bash", "-c", "env -i CLAWRDEN_STOP=1 A=1 LD_BIND_NOW=/nowhere B=2 env >e & "
                       f"{STOPPED}; kill -CONT $!; wait $!; grep -v ^_= e", options=ON)
    assert done.stdout == b"A=1\nB=2\n", done


def test_without_the_option_nothing_stops_or_traces(any_run):
    done = any_run.run("bash", "-c", "CLAWRDEN_STOP=1 echo-no 2>/dev/null; CLAWRDEN_STOP=1 uname; strace -p $$ 2>&1 | head -1")
    assert done.stdout.startswith(b"Linux\n") and b"Operation not permitted" in done.stdout, done
    assert not any("debuggers" in d for d in any_run.decisions())
    assert "sudo and debuggers do not work" in done.stderr


def test_what_a_debugger_starts_itself_is_refused(any_run):
    done = any_run.run("sh", "-c", "strace -o /dev/null touch ran; echo $?; gdb -nx -batch -ex run --args touch ran 2>&1", options=ON)
    assert done.stdout.startswith(b"1\n") and done.stdout.count(b"Permission denied") == 1, done
    assert "exec: Permission denied" in done.stderr and not (any_run.work / "ran").exists()


def test_what_waits_and_the_gate_are_traced_by_nobody(any_run):
    p = any_run.popen("bash", "-c", "git push & read; strace -p $! 2>&1; strace -p $PPID 2>&1; kill -9 $!", options=ON,
                      stdin=subprocess.PIPE)
    any_run.wait_queue()
    out, _ = p.communicate(b"\n", timeout=30)
    assert out.count(b"Operation not permitted") == 2, out


LINGERS = """
import fcntl, os, subprocess, time
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
try:
    while True: os.write(w, b"x" * 512)
except BlockingIOError: pass
fcntl.fcntl(w, fcntl.F_SETFL, 0)
p = subprocess.Popen(["/usr/bin/dirname", "/a/b"], stderr=w)
time.sleep(0.5)
print(p.poll(), subprocess.run(["strace", "-p", str(p.pid)], capture_output=True, text=True).stderr.strip())
left = b""
while b"clawrden" not in left: left = os.read(r, 65536)
print(p.wait())
"""


def test_what_was_refused_cannot_be_mended_before_it_ends(any_run):
    """It hangs in saying its words, with the rest of its image in place: nobody may take it over there."""
    any_run.policy.write_text(CANARY)
    done = any_run.run("python3", "-c", LINGERS, options=ON)
    out = done.stdout.decode().splitlines()
    assert out[0].startswith("None ") and "Operation not permitted" in out[0] and out[1] == "126", done


def test_no_attempt_starts_what_is_forbidden(any_run):
    any_run.policy.write_text(CANARY)
    any_run.own()
    done = any_run.run(BIN / "clawrden", "doctor", "--attack", "--json", options={**ON, "policy": any_run.policy})
    report = json.loads(done.stdout)
    by = {a["name"]: a for a in report["attempts"]}
    odd = [a for a in report["attempts"] if a["result"] not in ("refused", "absent", "not promised")]
    assert report["debuggers"] is True and not odd, odd
    # What the option opens is listed, and nothing else.
    assert {n for n, a in by.items() if a["result"] == "not promised"} == {"ptrace", "ptrace-me"}
    assert "Permission denied" in by["ptrace-exec"]["said"] and by["ptrace-rewrite"]["result"] == "refused"
