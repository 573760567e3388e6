# SPDX-License-Identifier: MIT
"""The gate on real programs with a real warden: what it stops, whatever the way to it, and what it
leaves as it was."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

import hostile
from conftest import AGENT_UID, BIN, needs_root, wait_for
from gate_case import GATE, POLICY, REFUSED, both_users, environment, popen, run, sh

pytestmark = needs_root


@pytest.fixture
def w(make_warden):
    return make_warden(POLICY)


def by_command(w, name):
    return [d for d in w.decisions() if d["command"] == name]


# ---- what it stops ----

WAYS = {
    "by name": "date",
    "absolute path": "/usr/bin/date",
    "empty environment": "env -i /usr/bin/date",
    "a shell's exec": "exec /usr/bin/date",
    "login shell": "bash -lc date",
    "xargs": "echo +%s | xargs date",
    "timeout": "timeout 5 date",
    "nice": "nice date",
    "find": "find / -maxdepth 0 -exec date ';'",
    "python": "python3 -c \"import os; os.execv('/usr/bin/date', ['ls'])\"",
    "perl, by another argv[0]": "perl -e 'exec {\"/usr/bin/date\"} \"ls\"'",
    "setsid": "setsid -w date",
    "symlink": "ln -sf /usr/bin/date ./ls; ./ls",
    "relative": "cd /usr/bin; ../bin/date",
    "background": "date & wait $!",
    "double fork": "(sh -c 'date > out 2>&1 &'); while ! grep -q clawrden out 2>/dev/null; do sleep 0.05; done; cat out",
    "posix_spawn": "python3 -c \"import os; os.waitpid(os.posix_spawn('/usr/bin/date', ['date'], {}), 0)\"",
    "/proc/self/root": "/proc/self/root/usr/bin/date",
    "a descriptor": "python3 -c \"import os; os.execve(os.open('/usr/bin/date', os.O_RDONLY), ['x'], {})\"",
}


@both_users
@pytest.mark.parametrize("way", WAYS)
def test_a_denied_program_does_not_start_by_any_way(w, uid, way):
    done = sh(w, WAYS[way], uid=uid)
    assert REFUSED in done.stdout + done.stderr, (done.stdout, done.stderr)
    assert "UTC" not in done.stdout and not any(line.isdigit() for line in done.stdout.splitlines())
    refused = [d for d in w.decisions() if d["rule"] == "no-date"]
    # Wrappers are refused already by what they are told to start.
    wrappers = ("env", "xargs", "timeout", "nice", "find", "setsid")
    assert refused and os.path.basename(refused[-1]["executable"]["path"]) in ("date", *wrappers)
    assert refused[-1]["uid"] == uid and refused[-1]["reported_by"] == "gate"


UNKNOWN = {
    "a copy": "cp /usr/bin/date ./ls; ./ls",
    "a script of its own": "printf '#!/bin/sh\\ntouch ran\\n' > t; chmod +x t; ./t",
    "an operand of a shell": "echo 'touch ran' > t; sh t",
    "an operand of python": "echo 'open(\"ran\", \"w\")' > t.py; python3 t.py",
    "an operand of node": "echo 'require(\"fs\").writeFileSync(\"ran\", \"\")' > t.js; node t.js",
    "memfd": "python3 -c \"import os; f = os.memfd_create('x'); os.write(f, open('/usr/bin/touch', 'rb').read()); "
             "os.execve(f, ['touch', 'ran'], {})\"",
    "a deleted file": "cp /usr/bin/touch s; exec 9<s; rm s; /proc/self/fd/9 ran",
    "a loader": "/lib64/ld-linux-x86-64.so.2 /usr/bin/touch ran",
    "a copied loader": "cp /lib64/ld-linux-x86-64.so.2 l; ./l /usr/bin/touch ran",
    "an interpreter of its own": "cp /bin/sh mysh; printf '#!%s/mysh\\ntouch ran\\n' $PWD > t; chmod +x t; ./t",
    "through a directory of its own": "mkdir d; ln -s /usr/bin d/bin; printf 'touch ran' > d/t; sh ./d/t",
    "an interpreter that nobody knows": "printf '#!/usr/bin/awk -f\\nBEGIN { system(\"touch ran\") }\\n' > t; chmod +x t; ./t",
}


@both_users
@pytest.mark.parametrize("what", UNKNOWN)
def test_what_the_agent_could_have_made_is_unknown(w, uid, what):
    if what == "an operand of node" and not shutil.which("node"):
        pytest.fail("node is missing: make deps")
    done = sh(w, UNKNOWN[what], uid=uid)
    assert "clawrden: refused by unknown_executable" in done.stderr, (done.stdout, done.stderr)
    assert not (w.work / "ran").exists()
    refused = [d for d in w.decisions() if d["rule"] == "unknown_executable"]
    assert refused and refused[-1]["executable"]["why_unknown"]


@both_users
def test_a_static_program_is_judged_by_what_it_is(w, uid):
    source = w.work / "s.c"
    source.write_text("int main(void) { return 7; }\n")
    subprocess.run(["musl-gcc", "-static", "-o", "/usr/local/bin/clawrden-test-static", source], check=True)
    try:
        assert run(w, "/usr/local/bin/clawrden-test-static", uid=uid).returncode == 7
        shutil.copy("/usr/local/bin/clawrden-test-static", w.work / "copy")
        done = run(w, "./copy", uid=uid)
        assert done.returncode == 126 and "unknown_executable" in done.stderr
    finally:
        os.unlink("/usr/local/bin/clawrden-test-static")


def test_names_reach_through_links_and_alternatives(make_warden):
    w = make_warden("default_action: deny\nallowed_paths: ['/*']\nrules:\n"
                    "  - {command: sh, action: allow}\n  - {command: awk, action: allow}\n"
                    "  - {command: python3, action: allow}\n  - {command: npm, args: --version, action: allow}\n")
    for command in ("sh -c :", "awk 'BEGIN {}'", "python3 -c 0", "npm --version"):
        done = sh(w, command, uid=AGENT_UID)
        assert done.returncode == 0, (command, done.stderr)
    npm = by_command(w, "npm")
    assert [d["executable"]["interpreter"] for d in npm] == ["/usr/bin/env", "/usr/bin/node"]
    done = sh(w, "npm config list", uid=AGENT_UID)
    assert done.returncode == 126 and "default_action" in done.stderr
    # With an option of its interpreter it is not npm, but node with a script.
    done = sh(w, "node --trace-warnings /usr/bin/npm --version", uid=AGENT_UID)
    assert done.returncode == 126 and by_command(w, "node")[-1]["executable"]["names"] == ["node"]


# ---- what it says ----

@both_users
def test_a_refusal_says_the_rule_and_leaves_with_126(w, uid):
    done = run(w, "date", uid=uid)
    assert done.returncode == 126
    assert "no-date" in done.stderr and "instead: look outside" in done.stderr
    assert by_command(w, "date")[-1]["decision"] == "deny"


def test_a_make_and_a_node_see_the_refusal(w):
    (w.work / "Makefile").write_text("all:\n\t@date\n")
    done = sh(w, "make", uid=AGENT_UID)
    assert "Error 126" in done.stderr
    done = run(w, "node", "-e", "require('child_process').execFile('date', (e, out, err) => console.log(e.code, err))",
               uid=AGENT_UID)
    assert done.stdout.startswith("126 clawrden: refused by no-date")


@both_users
def test_decisions_and_ends_are_on_record(w, uid):
    done = sh(w, "/bin/true; (exit 5); sh -c 'kill -TERM $$'; exec false", uid=uid)
    assert done.returncode == 1
    ends = wait_for(lambda: (e := {x["command"]: x for x in w.ends()}) and len(w.ends()) >= 4 and e)
    assert ends["true"]["exit_code"] == 0 and ends["false"]["exit_code"] == 1
    shells = [x for x in w.ends() if x["command"] == "sh"]
    assert {x.get("signal") for x in shells} == {None, 15}
    assert [x["replaced"] for x in shells if x.get("signal") is None] == [True]
    assert all(x["executor"] == "inplace" and x["started"] for x in w.ends())


def test_the_end_of_a_process_that_is_not_the_gates_child_is_known(w):
    sh(w, "sh -c 'exit 9'; true", uid=AGENT_UID)
    codes = wait_for(lambda: (e := [x["exit_code"] for x in w.ends() if x["command"] == "sh"]) and len(e) == 2 and e)
    assert 9 in codes


# ---- a person ----

@both_users
def test_an_ask_holds_the_image_and_a_yes_lets_it_go(w, uid):
    p = popen(w, "sh", "-c", "uname; echo $?", uid=uid)
    q = w.wait_queue()[0]
    assert p.poll() is None
    assert w.approve(q["id"]).returncode == 0
    out, err = p.communicate(timeout=20)
    assert out == "Linux\n0\n" and err == ""
    assert by_command(w, "uname")[-1]["decision"] == "ask-approved"


@both_users
def test_a_no_of_a_person_is_told(w, uid):
    p = popen(w, "sh", "-c", "uname; echo $?", uid=uid)
    w.deny(w.wait_queue()[0]["id"], "--comment", "not today")
    out, err = p.communicate(timeout=20)
    assert out == "126\n" and "not today" in err


def test_nobody_answers(make_warden):
    w = make_warden(POLICY.replace("60s", "300ms"))
    done = sh(w, "uname; echo $?")
    assert done.stdout == "126\n" and "nobody answered" in done.stderr


@pytest.mark.parametrize("name", ["TERM", "HUP", "KILL"])
def test_a_signal_ends_what_waits_and_withdraws_it(w, name):
    start = time.monotonic()
    p = popen(w, "sh", "-c", f"uname & while ! kill -0 $! ; do :; done; sleep 0.5; kill -{name} $!; wait $!; echo $?",
              uid=AGENT_UID)
    w.wait_queue()
    out, _ = p.communicate(timeout=20)
    assert int(out) == 128 + getattr(signal, "SIG" + name)
    assert time.monotonic() - start < 5
    assert wait_for(lambda: by_command(w, "uname"))[-1]["decision"] == "withdrawn"
    assert w.queue() == []


def test_a_parent_that_gives_up_withdraws(w):
    p = popen(w, "sh", "-c", "sh -c 'uname; :' & sleep 0.5; kill -KILL $!; sleep 8", uid=AGENT_UID)
    w.wait_queue()
    wait_for(lambda: by_command(w, "uname"), 10, "it is withdrawn")
    assert by_command(w, "uname")[-1]["decision"] == "withdrawn"
    p.kill()
    p.communicate()


def test_a_hold_blocks_nobody_else(w):
    code = ("import subprocess, time\n"
            "t = time.time(); a = subprocess.Popen(['uname']); spawned = time.time() - t\n"
            "subprocess.run(['true'], check=True)\n"
            "try: a.wait(0.5)\n"
            "except subprocess.TimeoutExpired: print('timed out', spawned < 2)\n"
            "a.kill(); print(a.wait())\n")
    done = run(w, "python3", "-c", code, uid=AGENT_UID)
    assert done.stdout == "timed out True\n-9\n", done.stderr


def test_a_file_system_that_does_not_answer_holds_up_nobody_else(w):
    """The thread that traces never looks at a file there itself: who does is killed when its time is up."""
    with hostile.BadFuse(w.work / "fuse", "silent"):
        done = sh(w, "sh fuse/script & p=$!; i=0; while [ $i -lt 20 ]; do /bin/true || exit; i=$((i + 1)); done; "
                     "echo 20 ran; kill -0 $p && echo it still hangs; wait $p; echo $?", uid=AGENT_UID, timeout=40)
    assert done.stdout.splitlines()[:2] == ["20 ran", "it still hangs"], (done.stdout, done.stderr)
    assert done.stdout.splitlines()[2] in ("125", "126") and "did not answer in time" in done.stderr, done.stderr


def test_a_script_swapped_while_it_waits_does_not_run(make_warden):
    w = make_warden(POLICY.replace("unknown_executable: deny", "unknown_executable: ask"))
    (w.work / "t").write_text("#!/bin/sh\necho good\n")
    (w.work / "evil").write_text("#!/bin/sh\necho evil\n")
    for name in ("t", "evil"):
        (w.work / name).chmod(0o755)
    p = popen(w, "./t", uid=AGENT_UID)
    q = w.wait_queue()[0]
    (w.work / "evil").rename(w.work / "t")
    w.approve(q["id"])
    out, err = p.communicate(timeout=20)
    assert out == "" and p.returncode == 126 and "changed while it waited" in err


def test_an_unchanged_script_runs_after_a_yes(make_warden):
    w = make_warden(POLICY.replace("unknown_executable: deny", "unknown_executable: ask"))
    (w.work / "t").write_text("#!/bin/sh\necho good\n")
    (w.work / "t").chmod(0o755)
    p = popen(w, "./t", uid=AGENT_UID)
    q = w.wait_queue()[0]
    w.approve(q["id"])
    assert p.communicate(timeout=20) == ("good\n", "")


def test_a_reload_judges_what_waits_again(w):
    p = popen(w, "sh", "-c", "uname; echo $?", uid=AGENT_UID)
    w.wait_queue()
    w.reload_policy(POLICY.replace("{name: ask-uname, command: uname, action: ask, approval_timeout: 60s}",
                                   "{name: no-uname, command: uname, action: deny}"))
    out, err = p.communicate(timeout=20)
    assert out == "126\n" and "no-uname" in err


def test_without_a_wall_nothing_is_held(w):
    done = sh(w, "uname; echo $?; true && echo fine", gate=("--wall", "none"))
    assert done.stdout == "126\nfine\n" or done.stdout == "125\nfine\n"
    assert "nothing protects the memory" in done.stderr
    assert by_command(w, "uname")[-1]["decision"] == "error"


# ---- the environment ----

@both_users
def test_loader_and_interpreter_variables_are_scrubbed_in_place(w, uid):
    odd = {"LD_PRELOAD": "/nowhere.so"}
    even = {**odd, "BASH_ENV": "/x"}
    many = {**even, "NODE_OPTIONS": "--x", "PYTHONPATH": "/x", "GIT_DIR": "/x", "PERL5OPT": "-Mx", "PAGER": "x"}
    for more in (odd, even, many):
        done = run(w, "env", uid=uid, env=environment(w, **more, KEPT="1", A="2"))
        seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
        assert done.stderr == ""
        assert seen["KEPT"] == "1" and seen["A"] == "2" and not set(more) & set(seen)
        assert set(seen) - {"_"} == set(environment(w)) | {"KEPT", "A"}
        assert sorted(by_command(w, "env")[-1]["env_dropped"]) == sorted(more)


def test_scrubbing_leaves_arguments_and_memory_as_they_are(w):
    code = "import sys, os; print(sys.argv[1:], sorted(os.environ), len(os.environ.get('BIG', '')))"
    for extra in range(3):
        more = {f"LD_X{i}": "y" * i for i in range(extra)}
        done = run(w, "python3", "-c", code, "a", "", "ü b", env=environment(w, BIG="x" * 100000, **more),
                   uid=AGENT_UID)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("['a', '', 'ü b']") and done.stdout.endswith(" 100000\n")


def test_what_the_policy_names_stays(make_warden):
    w = make_warden(POLICY + "env: {pass: [LD_LIBRARY_PATH]}\n")
    done = run(w, "env", env=environment(w, LD_LIBRARY_PATH="/x", LD_PRELOAD="/y"))
    assert "LD_LIBRARY_PATH=/x" in done.stdout and "LD_PRELOAD" not in done.stdout


# ---- what it leaves as it was ----

def both_ways(w, *argv, uid=AGENT_UID, **kw):
    """Output and status with and without the gate, which must agree."""
    free = subprocess.run(argv, capture_output=True, text=True, cwd=w.work, env=environment(w), user=uid, group=uid,
                          extra_groups=[], timeout=60, stdin=subprocess.DEVNULL)
    done = run(w, *argv, uid=uid, **kw)
    assert (done.returncode, done.stdout, done.stderr) == (free.returncode, free.stdout, free.stderr)
    return done


EVERYDAY = {
    "pipes": "seq 100000 | sort -rn | head -3; echo ${PIPESTATUS[@]}",
    "job control": "set -m; sleep 1 & jobs; fg %1; sleep 5 & kill -STOP $!; kill -CONT $!; kill %1; wait $!; echo $?",
    "traps": "trap 'echo got' USR1; kill -USR1 $$; (trap '' TERM; kill -TERM $BASHPID; echo alive)",
    "tar": "mkdir d; echo x > d/f; tar czf a.tgz d; rm -r d; tar xzf a.tgz; cat d/f; rm -r d a.tgz",
    "command substitution": "x=$(printf %s \"$(echo $(echo deep))\"); echo $x; cat <(echo one) <(echo two)",
    "not there": "nosuchprogram; echo $?; ./nosuch; echo $?; /tmp; echo $?",
    "exit codes": "for i in 0 1 77 126 127 255; do sh -c \"exit $i\"; echo $?; done",
    "limits": "ulimit -n 99; sh -c 'ulimit -n'; umask 027; sh -c umask; cd /; pwd",
    "xargs": "seq 20 | xargs -P 4 -n 1 echo | sort -n | tail -1",
    "large arguments": "python3 -c 'import subprocess; print(len(subprocess.check_output([\"echo\"] + [\"x\" * 1000] * 1000)))'",
    "python": "python3 -c 'import multiprocessing as m; print(m.get_context(\"fork\").Pool(2).map(abs, [-1, -2]))'",
    "threads that start programs": "python3 -c 'import concurrent.futures as c, subprocess as s; "
                                   "print(sum(c.ThreadPoolExecutor(8).map(lambda i: s.call([\"true\"]), range(40))))'",
    "node": "node -e 'const c = require(\"child_process\"); console.log(c.execSync(\"echo hi\").toString()); "
            "c.exec(\"exit 3\", e => console.log(e.code))'",
}


@pytest.mark.parametrize("what", EVERYDAY)
def test_everyday_programs_are_the_same(w, what):
    both_ways(w, "bash", "-c", EVERYDAY[what])


def test_make_with_a_job_server(make_warden):
    w = make_warden(POLICY)
    (w.work / "Makefile").write_text("all: a b c d\n%: %.c\n\t@cc -o $@ $<\nclean:\n\t@rm -f a b c d\n")
    for name in "abcd":
        (w.work / f"{name}.c").write_text("int main(void) { return 0; }\n")
    both_ways(w, "sh", "-c", "make -s -j2 && ls && make -s clean")


def test_git_with_hooks(make_warden):
    w = make_warden(POLICY)
    hook = "git init -q r; cd r; git config user.name a; git config user.email a@b.c; " \
           "printf '#!/bin/sh\\ngit diff --cached --name-only; echo $GIT_INDEX_FILE\\n' > .git/hooks/pre-commit; "
    # The hook is the agent's own script: with this policy it would be unknown.
    w.reload_policy(POLICY.replace("unknown_executable: deny", "unknown_executable: ask"))
    p = popen(w, "bash", "-c", hook + "chmod +x .git/hooks/pre-commit; echo x > f; git add f; "
              "git commit -qm one; git log --format=%s; git push nowhere; echo $?", uid=AGENT_UID)
    w.approve(w.wait_queue()[0]["id"])
    out, err = p.communicate(timeout=30)
    assert out == "one\n126\n", (out, err)
    assert err.startswith("f\n.git/index\nclawrden: refused by no-push"), err


def test_vi_in_a_terminal(w):
    code = ("import pty, os, sys, time, select\n"
            "pid, fd = pty.fork()\n"
            "if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])\n"
            "def until(what):\n"
            "    seen = b''\n"
            "    while what not in seen:\n"
            "        if not select.select([fd], [], [], 20)[0]: sys.exit(repr(seen))\n"
            "        seen += os.read(fd, 4096)\n"
            "until(b'~'); os.write(fd, b'ihello\\033:w t.txt\\r'); until(b'written'); os.write(fd, b':q\\r')\n"
            "try:\n"
            "    while os.read(fd, 4096): pass\n"
            "except OSError: pass\n"
            "print(os.waitpid(pid, 0)[1])\n")
    done = subprocess.run(["/usr/bin/python3", "-c", code, GATE, "--", "vi", "-u", "NONE"], capture_output=True, text=True,
                          cwd=w.work, env=environment(w, TERM="xterm"), timeout=60)
    assert done.stdout == "0\n", (done.stdout, done.stderr)
    assert (w.work / "t.txt").read_text() == "hello\n"


def test_ctrl_z_stops_the_gate_with_its_agent(w):
    p = popen(w, "sleep", "30", uid=AGENT_UID, process_group=0)
    wait_for(lambda: by_command(w, "sleep"))
    os.killpg(p.pid, signal.SIGTSTP)
    wait_for(lambda: os.waitid(os.P_PID, p.pid, os.WSTOPPED | os.WNOHANG))
    os.killpg(p.pid, signal.SIGCONT)
    os.killpg(p.pid, signal.SIGTERM)
    assert p.wait(10) == -signal.SIGTERM
    p.communicate()


@both_users
def test_the_exit_status_is_the_agents(w, uid):
    assert run(w, "sh", "-c", "exit 42", uid=uid).returncode == 42
    assert run(w, "sh", "-c", "kill -KILL $$", uid=uid).returncode == -9
    done = run(w, "nosuchprogram", uid=uid)
    assert done.returncode == 127 and "not found" in done.stderr
    r, wr = os.pipe()
    done = run(w, "sh", "-c", "exit 4", uid=uid, gate=("--status-fd", str(wr)), pass_fds=[wr])
    os.close(wr)
    assert os.read(r, 100) == b"started\nexit 4\n"
    os.close(r)


# ---- what cannot be: starts without a warden, walls, self-approval ----

def test_what_is_no_option_is_said(w):
    for argv in (["--socket"], ["--fd", "x", "--", "true"], ["--nonsense", "1", "--", "true"], [],
                 ["--socket", "/x", "--fd", "3", "--", "true"], ["--wall", "paper", "--", "true"]):
        done = subprocess.run([GATE, *argv], capture_output=True, text=True)
        assert done.returncode == 125 and done.stderr.startswith("clawrden: ") and "usage:" in done.stderr


@both_users
def test_the_supervisors_death_starts_nothing(w, uid):
    script = "uname > u; for i in $(seq 200); do /usr/bin/touch t$i || exit 9; sleep 0.05; done"
    p = popen(w, "bash", "-c", script, uid=uid, start_new_session=True)
    bash = wait_for(lambda: [d["pid"] for d in by_command(w, "bash")])[0]
    w.wait_queue()
    p.kill()
    p.wait()
    # What was held is dead, what ran was ended by the warden.
    wait_for(lambda: not os.path.exists(f"/proc/{bash}"), what="the shell is gone")
    assert not os.path.exists(w.work / "t1") and (w.work / "u").read_bytes() == b""
    assert wait_for(lambda: by_command(w, "uname"))[-1]["decision"] == "withdrawn"
    p.communicate()


@both_users
def test_a_second_gate_below_is_refused(w, uid):
    done = sh(w, f"cp {GATE} /tmp/clawrden-test-gate-{uid} 2>/dev/null; {GATE} -- true; echo $?", uid=uid)
    assert done.returncode == 0
    assert "unknown_executable" in done.stderr or "another gate stands above" in done.stderr
    assert "125" in done.stdout or "126" in done.stdout


def test_a_gate_hello_from_within_the_tree_is_refused(w):
    code = ("import socket, struct, sys\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "s.sendall(b'CLAWRDG1' + struct.pack('>B3xIII', 1, 9, 1, 1) + b'\\0')\n"
            "head = s.recv(8); print(head[0], s.recv(200))\n")
    done = run(w, "python3", "-c", code, str(w.socket), uid=AGENT_UID)
    assert done.stdout.startswith("130 ") and "below another gate" in done.stdout, done


def test_the_agent_cannot_approve_itself(make_warden, request):
    """The same user as the warden: only where it stands tells them apart."""
    w = make_warden(POLICY + "env: {pass: [CLAWRDEN_API]}\n")
    cli = "/usr/local/bin/clawrden-test-cli"
    shutil.copy(BIN / "clawrden", cli)
    request.addfinalizer(lambda: os.unlink(cli))
    env = environment(w, CLAWRDEN_API=f"unix:{w.api_socket}", CLI=cli)
    script = "uname & sleep 1; $CLI queue; echo $?; (setsid $CLI queue > out 2>&1; echo $? >> out) & sleep 2; cat out"
    p = popen(w, "sh", "-c", script, env=env)
    assert len(w.wait_queue()) == 1  # we may, and see it
    out, err = p.communicate(timeout=20)
    assert "uname" not in out and "\n0\n" not in "\n" + out, (out, err)
    assert w.log().count("no login by peer credentials: process") >= 2


def test_debuggers_and_rings_are_refused(w):
    code = ("import ctypes, os\n"
            "c = ctypes.CDLL(None, use_errno=True)\n"
            "def call(*a): ctypes.set_errno(0); return c.syscall(*a), ctypes.get_errno()\n"
            "print(call(101, 0, 0, 0, 0), call(311, os.getpid(), 0, 0, 0, 0, 0), call(425, 1, 0), call(435, 0, 0),\n"
            "      call(56, 0x200 | 17, 0, 0, 0, 0), call(0x40000000 + 520, 0, 0, 0))\n")
    done = run(w, "python3", "-c", code, uid=AGENT_UID)
    assert done.stdout == "(-1, 1) (-1, 1) (-1, 1) (-1, 38) (-1, 1) (-1, 38)\n", done


@both_users
def test_the_memory_of_what_waits_cannot_be_written(w, uid):
    p = popen(w, "python3", "-c",
              "import subprocess, time\n"
              "p = subprocess.Popen(['uname'])\n"
              "time.sleep(0.5)\n"
              "try: open(f'/proc/{p.pid}/mem', 'r+b'); print('open')\n"
              "except OSError as e: print('closed', e.errno)\n"
              "p.kill()", uid=uid)
    out, err = p.communicate(timeout=20)
    assert out.startswith("closed"), (out, err)


def test_gates_of_two_trees_do_not_meet(w):
    a = popen(w, "sh", "-c", "uname; echo $?", uid=AGENT_UID)
    b = popen(w, "sh", "-c", "sleep 0.3; true; date; echo $?", uid=AGENT_UID + 1)
    assert b.communicate(timeout=20)[0] == "126\n"
    w.approve(w.wait_queue()[0]["id"])
    assert a.communicate(timeout=20)[0] == "Linux\n0\n"


def test_a_stop_and_cont_flood_lets_nothing_slip(w):
    flood = ("import os, signal, sys\n"
             "pid = int(sys.argv[1])\n"
             "try:\n"
             "    while True: os.kill(pid, signal.SIGSTOP); os.kill(pid, signal.SIGCONT)\n"
             "except OSError: pass\n")
    script = (f"for i in $(seq 30); do (python3 -c '{flood}' $BASHPID & sleep 0.05; exec date); done; true")
    done = run(w, "bash", "-c", script, uid=AGENT_UID, timeout=120)
    assert "UTC" not in done.stdout and done.stdout.strip() == ""
    refused = [d for d in w.decisions() if d["rule"] == "no-date"]
    assert len(refused) == 30, done.stderr


# ---- time ----

def test_a_rules_timeout_ends_the_command_and_what_it_started(make_warden):
    w = make_warden(POLICY + "  - {name: short, command: bash, action: allow, timeout: 500ms}\n", options={"kill_grace": "500ms"})
    p = popen(w, "sh", "-c", "bash -c 'trap \"\" TERM; (sleep 97 &) ; sleep 98; sleep 99'; echo $?", uid=AGENT_UID)
    out, err = p.communicate(timeout=20)
    assert out.strip() in ("137", "143"), (out, err)
    wait_for(lambda: [x for x in w.ends() if x["timeout_violation"]], what="its end is on record")
    assert subprocess.run(["pgrep", "-u", str(AGENT_UID), "-f", "sleep 9[789]"]).returncode == 1


# Forks twice and waits, without starting a program: it has no ancestry to be found by.
ORPHAN = ("import os, signal, sys, time\n"
          "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
          "if os.fork() == 0:\n"
          "    os.setsid()\n"
          "    if os.fork() == 0:\n"
          "        open('orphan', 'w').write(str(os.getpid())); time.sleep(60)\n"
          "    os._exit(0)\n"
          "os.wait(); time.sleep(60)\n")


def cgroups_here():
    """Whether root may make cgroups of version 2 below its own."""
    own = [line.split("::", 1)[1].strip() for line in open("/proc/self/cgroup") if line.startswith("0::")]
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup2 " in line]
    for place in [m + o for m in mounts for o in own]:
        try:
            os.mkdir(f"{place}/clawrden-test-{os.getpid()}")
            os.rmdir(f"{place}/clawrden-test-{os.getpid()}")
            return True
        except OSError:
            pass
    return False


@both_users
def test_a_time_limit_ends_what_lost_its_ancestry_where_there_are_cgroups(make_warden, uid):
    w = make_warden(POLICY + "  - {name: short, command: python3, action: allow, timeout: 1s}\n", options={"kill_grace": "500ms"})
    p = popen(w, "sh", "-c", "python3 -c \"$CODE\"; echo $?; read x", uid=uid, env=environment(w, CODE=ORPHAN), stdin=subprocess.PIPE)
    assert p.stdout.readline() == "137\n"
    orphan = int((w.work / "orphan").read_text())
    scope = by_command(w, "python3")[-1]["scope"]
    # A user without a delegated one may make none, and the record says so.
    assert scope == ("cgroup" if uid == 0 and cgroups_here() else "tree")
    if scope == "cgroup":
        wait_for(lambda: not os.path.exists(f"/proc/{orphan}"), what="the orphan is gone")
    p.communicate("x\n", timeout=20)
    wait_for(lambda: not os.path.exists(f"/proc/{orphan}"), what="it ends with the tree")
    left = subprocess.run(["find", "/sys/fs/cgroup", "-name", f"clawrden-gate-{p.pid}-*"], capture_output=True, text=True).stdout
    assert left == ""


def test_a_scoped_tree_cannot_leave_its_cgroup(make_warden):
    w = make_warden(POLICY + "  - {name: short, command: python3, action: allow, timeout: 30s}\n")
    code = ("import os\nown = [l.split('::')[1].strip() for l in open('/proc/self/cgroup') if l.startswith('0::')][0]\n"
            "print('clawrden-gate-' in own)\n"
            "for root in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'):\n"
            "    try: open(root + os.path.dirname(own) + '/cgroup.procs', 'r+').write('0'); print('left')\n"
            "    except OSError as e: pass\n")
    done = run(w, "python3", "-c", code)
    assert done.stdout == f"{cgroups_here()}\n", done


def test_the_default_timeout_is_not_for_trees(make_warden):
    w = make_warden("default_timeout: 300ms\n" + POLICY)
    done = sh(w, "sleep 1; echo there")
    assert done.stdout == "there\n" and done.returncode == 0


def test_an_operator_ends_a_command(w):
    p = popen(w, "sh", "-c", "sleep 60; echo $?", uid=AGENT_UID)
    id = wait_for(lambda: [d["id"] for d in by_command(w, "sleep")])[0]
    wait_for(lambda: "sleep" in w.cli("running").stdout)
    assert w.cli("kill", "--yes", id).returncode == 0
    assert p.communicate(timeout=20)[0] == "143\n"  # SIGTERM, unless another is named


# ---- the policy's side ----

@pytest.mark.parametrize("executor", ["local", "mirror", "ghost"])
def test_an_executor_outside_is_refused_with_words(make_warden, executor):
    w = make_warden(POLICY + f"  - {{name: away, command: ls, action: allow, executor: {executor}}}\n")
    done = sh(w, "ls; echo $?", uid=AGENT_UID)
    assert done.stdout == "125\n" and f"names the executor '{executor}'" in done.stderr


def test_paths_among_arguments_are_judged(make_warden):
    w = make_warden("default_action: allow\nallowed_paths: ['/*']\nrules:\n"
                    "  - {name: in, command: cat, action: deny, match: {paths_outside: ['/tmp/*', '/usr/*']}}\n")
    (w.work / "f").write_text("in\n")
    os.symlink("/etc/passwd", w.work / "link")
    assert sh(w, "cat f", uid=AGENT_UID).stdout == "in\n"
    for path in ("/etc/passwd", "link", "../../../etc/passwd"):
        assert sh(w, f"cat {path}", uid=AGENT_UID).returncode == 126


def test_a_directory_that_is_not_allowed(make_warden):
    w = make_warden(POLICY.replace("['/*']", "X").replace('["/*"]', "['/tmp/*']"))
    assert sh(w, "/bin/true; cd /; /bin/true; echo $?", uid=AGENT_UID).stdout == "126\n"


# ---- one inherited gate ----

def test_an_inherited_connection_is_the_only_one(make_warden):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    w = make_warden(POLICY, start=False, options={"gate_fd": str(ours.fileno())})
    os.set_inheritable(ours.fileno(), True)
    popen_, subprocess.Popen = subprocess.Popen, lambda *a, **k: popen_(*a, **{**k, "pass_fds": [ours.fileno()]})
    try:
        w.start()
    finally:
        subprocess.Popen = popen_
    p = subprocess.Popen([GATE, "--fd", str(theirs.fileno()), "--", "sh", "-c", "date; echo $?"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()], env=environment(w))
    theirs.close()
    out, err = p.communicate(timeout=20)
    assert out == "126\n" and REFUSED in err
    done = run(w, "true")
    assert done.returncode == 125 and "the one gate" in done.stderr
    ours.close()


# ---- remembering ----

def ask_unknown(make_warden):
    return make_warden(POLICY.replace("unknown_executable: deny", "unknown_executable: ask"))


def test_a_remembered_program_is_not_asked_about_again(make_warden):
    w = ask_unknown(make_warden)
    (w.work / "t").write_text("#!/bin/sh\necho run $1\n")
    (w.work / "t").chmod(0o755)
    p = popen(w, "sh", "-c", "./t 1; ./t 2; echo '# changed' >> t; ./t 3", uid=AGENT_UID)
    os.chown(w.work / "t", AGENT_UID, AGENT_UID)
    first = w.wait_queue()[0]["id"]
    done = w.approve(first, "--remember")
    assert done.returncode == 0, done.stderr
    # Other content, other program: a person is asked again.
    again = wait_for(lambda: [q for q in w.queue() if q["args"][-1] == "3"])
    w.deny(again[0]["id"])
    out, _ = p.communicate(timeout=20)
    assert out == "run 1\nrun 2\n"
    one, two, three = by_command(w, "t")
    assert one["decision"] == "ask-approved" and one["remember"] is True
    assert two["decision"] == "allow" and two["rule"] == "remembered" and first in two["reason"]
    assert three["decision"] == "ask-denied"


def test_another_tree_is_asked_anew(make_warden):
    w = ask_unknown(make_warden)
    shutil.copy("/usr/bin/true", w.work / "t")
    for _ in range(2):
        p = popen(w, "./t", uid=AGENT_UID)
        assert w.approve(w.wait_queue()[0]["id"], "--remember").returncode == 0
        assert p.wait(20) == 0
        p.communicate()
        wait_for(lambda: w.queue() == [])


def test_a_script_behind_env_is_asked_about_once(make_warden):
    w = ask_unknown(make_warden)
    (w.work / "t.py").write_text("#!/usr/bin/env python3\nprint('ran')\n")
    (w.work / "t.py").chmod(0o755)
    p = popen(w, "./t.py", uid=AGENT_UID)
    w.approve(w.wait_queue()[0]["id"])
    assert p.communicate(timeout=20)[0] == "ran\n"
    assert [d["decision"] for d in w.decisions()] == ["ask-approved", "allow"]


def test_what_a_rule_asks_about_is_not_remembered(w):
    p = popen(w, "uname", uid=AGENT_UID)
    id = w.wait_queue()[0]["id"]
    done = w.approve(id, "--remember")
    assert done.returncode != 0 and "a rule asks about this command each time" in done.stderr
    w.approve(id)
    assert p.communicate(timeout=20)[0] == "Linux\n"
