# SPDX-License-Identifier: MIT
"""--mirror=docker: the engine's API runs what is allowed; streams, ends and kills as with the native mirror."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import time

import pytest

from conftest import OPEN, patient, wait_for
from test_mirror import DAEMONS, cgroup_pids, facts, start_daemons


@pytest.fixture
def warden(make_warden):
    return make_warden(mirror="docker")


def test_it_says_which_way_and_why(warden, make_warden):
    assert "executor 'mirror' lets the engine run commands" in warden.log() and "mirror docker: --mirror=docker" in warden.log()
    status = json.loads(warden.cli("status", "--json", check=True).stdout)
    assert status["mirror"] == "docker" and "--mirror=docker" in status["mirror_words"]
    assert json.loads(make_warden().cli("status", "--json", check=True).stdout)["mirror"] == "native"


def test_a_command_runs_as_its_caller(make_container):
    c = make_container()
    done = c.run("id")
    assert (done.returncode, done.stderr) == (0, b""), (done, c.warden.log())
    assert done.stdout == c.exec("id").stdout


def test_bytes_go_through_unchanged(make_container):
    c = make_container()
    data = os.urandom(3 << 20)
    assert c.run("cat", input=data).stdout == data


def test_lines_of_a_mebibyte_and_two_streams(make_container):
    c = make_container()
    code = ("import sys\nfor i in range(3):\n sys.stdout.write(chr(97 + i) * (1 << 20) + chr(10)); sys.stdout.flush()\n"
            " sys.stderr.write(chr(65 + i) * (1 << 20) + chr(10)); sys.stderr.flush()")
    done = c.run("python3", "-c", code)
    assert done.stdout == b"".join(bytes([97 + i]) * (1 << 20) + b"\n" for i in range(3))
    assert done.stderr == b"".join(bytes([65 + i]) * (1 << 20) + b"\n" for i in range(3))


def test_the_end_of_input_is_passed_on(make_container):
    c = make_container()
    done = c.run("python3", "-c", "import sys; n = len(sys.stdin.buffer.read()); print(n, flush=True); print('after')", input=b"x" * 100000)
    assert done.stdout == b"100000\nafter\n"
    assert c.run("wc", "-c", input=b"").stdout == b"0\n"


def test_exit_codes(make_container):
    c = make_container()
    assert c.run("sh", "-c", "exit 37").returncode == 37
    assert c.run("sh", "-c", "kill -TERM $$").returncode == 143
    assert c.run("false").returncode == 1


def test_a_reader_that_goes_ends_it(make_container):
    c = make_container()
    done = c.exec("/usr/bin/sh", "-c", "/opt/shims/sh -c 'while :; do echo 1; done' | /usr/bin/head -1", env=c.ENV)
    assert done.stdout == b"1\n"
    wait_for(lambda: cgroup_pids(c) == [])


@pytest.mark.parametrize("options, user", [
    ([], "1000"), ([], "0"), (["--security-opt", "no-new-privileges"], "1000"), (["--cap-drop", "ALL"], "0"),
    (["--cap-add", "SYS_PTRACE"], "0"), (["-e", "ODD=a b", "--read-only", "--tmpfs", "/tmp"], "1000")], ids=str)
def test_parity_with_docker_exec(make_container, options, user):
    c = make_container(*options, user=user)
    plain, ours = facts(c.exec), facts(c.run)
    for key in ("status", "limits", "namespaces", "root", "cwd", "oom", "nice", "clone3", "keyctl", "unshare", "mount", "ppid", "label", "personality"):
        assert ours[key] == plain[key], key
    assert set(ours["env"]) - {"CLAWRDEN_SOCKET"} == set(plain["env"])


def test_variables_of_the_container_do_not_come_back(make_warden, make_container):
    """The engine puts in what the container was started with; the policy says what passes."""
    w = make_warden(OPEN.replace('env: {pass: ["*"]}', 'env: {pass: [LANG]}'), mirror="docker")
    c = make_container("-e", "LD_PRELOAD_=/tmp/evil.so", "-e", "GIT_DIR=/tmp", by=w)
    out = c.run("env", env=("LANG=C",)).stdout.split(b"\n")
    assert b"LANG=C" in out and not [x for x in out if x.startswith((b"LD_PRELOAD_", b"GIT_DIR", b"CLAWRDEN"))], out


# ---- ends ----

def test_a_kill_leaves_nothing(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137
    assert cgroup_pids(c) == []


def test_a_caller_that_goes_takes_its_command_with_it(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    os.kill(warden.decisions()[-1]["pid"], signal.SIGKILL)
    wait_for(lambda: cgroup_pids(c) == [])
    p.wait(20)


def test_a_timeout_ends_it(make_warden, make_container):
    w = make_warden(OPEN.replace("action: allow}", "action: allow, timeout: 1s}"), kill_grace="500ms", mirror="docker")
    c = make_container(by=w)
    assert c.run("sleep", "100").returncode == 124
    assert c.run("sh", "-c", "trap '' TERM; sleep 100 & wait; sleep 100").returncode == 124
    wait_for(lambda: cgroup_pids(c) == [])


RUNNER = """
import os, time
# Each child leaves its parent at once, from the first moment on.
for i in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(1000)
print("up", flush=True)
time.sleep(1000)
"""


def test_what_ran_away_in_the_first_moment_is_found(warden, make_container):
    c = make_container()
    for _ in range(3):
        p = c.popen("python3", "-c", RUNNER)
        assert p.stdout.readline() == b"up\n"
        warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
        assert p.wait(20) == 137
        assert cgroup_pids(c) == []


def test_others_of_the_container_live_on(warden, make_container):
    c = make_container()
    c.exec("sh", "-c", "setsid sleep 1001 >/dev/null 2>&1 </dev/null &")
    other = c.popen("sleep", "1002")
    p = start_daemons(c)
    warden.cli("kill", "--yes", "--signal", "KILL", [d for d in warden.decisions() if d["command"] == "python3"][-1]["id"], check=True)
    assert p.wait(20) == 137
    names = [pathlib.Path(f"/proc/{x}/cmdline").read_bytes() for x in cgroup_pids(c)]
    assert any(b"1001" in n for n in names) and any(b"1002" in n for n in names)
    other.kill()


def test_daemons_of_a_command_that_ended_stay(make_container):
    c = make_container()
    assert c.run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & exit 3").returncode == 3
    time.sleep(0.2)
    assert len(cgroup_pids(c)) == 1


def test_a_daemon_that_keeps_the_output_open_does_not_hold_it_up(make_container):
    c = make_container()
    begun = time.monotonic()
    assert c.run("sh", "-c", "sleep 1000 & echo done").stdout == b"done\n"
    assert time.monotonic() - begun < patient(20)


def test_the_death_of_the_helper_ends_what_runs(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    os.kill(int(subprocess.check_output(["pgrep", "-P", str(warden.pid)]).split()[0]), signal.SIGKILL)
    p.wait(20)
    wait_for(lambda: cgroup_pids(c) == [])
    wait_for(lambda: c.run("id").returncode == 0, 20)


def test_the_death_of_the_warden_ends_what_runs(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    warden.kill()
    wait_for(lambda: cgroup_pids(c) == [], 20)
    assert p.wait(20) != 0
    warden.start()
    assert c.run("id").returncode == 0


def test_the_death_of_the_container_ends_what_runs(engine, warden, make_container):
    c = make_container()
    p = start_daemons(c)
    engine.docker("kill", c.id)
    p.wait(20)
    wait_for(lambda: len(warden.ends()) == len(warden.decisions()))
    assert warden.queue() == []


def test_32_at_once(make_container, warden):
    c = make_container()
    code = ("import subprocess\nps = [subprocess.Popen(['/opt/shims/sh', '-c', f'cat /dev/zero | head -c 100000 | wc -c; exit {i}'],"
            " stdout=subprocess.PIPE) for i in range(32)]\n"
            "for i, p in enumerate(ps):\n  out = p.communicate()[0]\n  assert (out, p.returncode) == (b'100000\\n', i), (i, out, p.returncode)\nprint('fine')")
    done = c.exec("/usr/bin/python3", "-c", code, env=c.ENV, check=False, timeout=120)
    assert done.stdout == b"fine\n", (done, warden.log()[-2000:])


# ---- refused ----

def test_what_the_engine_cannot_carry_is_refused(make_container):
    c = make_container()
    done = c.exec("/usr/bin/python3", "-c", "import os; os.execve('/opt/shims/true', [b'true', b'\\xff'], os.environb)", check=False, env=c.ENV)
    assert done.returncode == 125 and b"not UTF-8" in done.stderr, done


def test_a_caller_that_gave_up_rights_is_refused(make_container):
    c = make_container(user="0")
    code = ("import ctypes, os; libc = ctypes.CDLL(None); assert libc.prctl(24, 0, 0, 0, 0) == 0; "  # a bound is dropped
            "os.execv('/opt/shims/id', ['id'])")
    done = c.exec("/usr/bin/python3", "-c", code, check=False, env=c.ENV)
    assert done.returncode == 125 and b"given up rights" in done.stderr, done
    groups = "import os; os.setgroups([]); os.setgid(1000); os.setuid(1000); os.execv('/opt/shims/id', ['id'])"
    assert c.exec("/usr/bin/python3", "-c", groups, env=c.ENV).stdout == b"uid=1000(agent) gid=1000(agent) groups=1000(agent)\n"
    # The container has 44 and 2000 for that user, its caller has not: it gets neither.
    fewer = groups.replace("[]", "[44]")
    assert c.exec("/usr/bin/python3", "-c", fewer, env=c.ENV).stdout == b"uid=1000(agent) gid=1000(agent) groups=1000(agent)\n"
    d = make_container()
    none = "import ctypes, os; os.execv('/opt/shims/id', ['id'])"
    assert b"44(video)" in d.exec("/usr/bin/python3", "-c", none, env=d.ENV).stdout


def test_what_a_person_approved_by_content_is_not_left_to_a_name(warden, make_container):
    c = make_container()
    c.exec("sh", "-c", "echo 'print(1)' >/app/own.py")
    p = c.popen("python3", "/app/own.py")
    row = wait_for(lambda: warden.queue() and warden.queue()[0], 20)
    warden.cli("approve", row["id"], check=True)
    out, err = p.communicate(timeout=20)
    assert (p.returncode, out) == (125, b"") and b"approved this very content" in err, (out, err)


def test_walls_hold_as_with_the_native_mirror(make_container):
    c = make_container("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
    done = c.exec("unshare", "--user", "--map-root-user", "/opt/shims/id", check=False, env=c.ENV)
    assert done.returncode == 125 and b"another user namespace than its container" in done.stderr, done


# ---- terminal ----

def test_a_terminal_with_its_size_and_its_keys(make_container):
    import fcntl
    import struct
    import termios
    c = make_container()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    script = ("trap 'echo caught; exit 9' INT; trap 'stty size 2>/dev/null || python3 -c \"import os; print(*os.get_terminal_size()[::-1])\"' WINCH; "
              "python3 -c 'import os; print(*os.get_terminal_size()[::-1], [os.isatty(i) for i in range(3)])'; "
              "echo ready; while :; do sleep 0.1; done")
    p = subprocess.Popen(c.argv("sh", "-c", script, env=c.ENV, tty=True), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""

    def until(what):
        nonlocal seen
        end = time.monotonic() + patient(30)
        while what not in seen:
            assert time.monotonic() < end, seen
            seen += os.read(master, 1000)

    until(b"True, True, True]")
    until(b"ready")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
    os.kill(p.pid, signal.SIGWINCH)
    until(b"44 111")
    os.write(master, b"\x03")
    assert p.wait(20) == 9
    os.close(master)
