# SPDX-License-Identifier: MIT
"""The gate when its warden comes late, goes and comes back, and when any of them is killed at any moment."""
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import AGENT_UID, needs_root, wait_for
from gate_case import GATE, POLICY, both_users, environment, popen, run, sh

pytestmark = needs_root


@pytest.fixture
def w(make_warden):
    return make_warden(POLICY)


@pytest.fixture
def start():
    """subprocess.Popen, of what ends with the test."""
    with contextlib.ExitStack() as stack:
        def popen(*args, **kw):
            p = subprocess.Popen(*args, **kw)
            stack.callback(lambda: (p.kill(), p.communicate()) if p.poll() is None else None)
            return p
        yield popen


def by_command(w, name):
    return [d for d in w.decisions() if d["command"] == name]


# ---- before the agent ----

def test_without_a_warden_nothing_starts(tmp_path):
    done = subprocess.run([GATE, "--socket", tmp_path / "none", "--wait", "0", "--", "touch", tmp_path / "ran"],
                          capture_output=True, text=True)
    assert done.returncode == 125 and "cannot reach the warden" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_it_waits_for_its_warden_and_says_so(make_warden):
    w = make_warden(POLICY, start=False)
    p = popen(w, "sh", "-c", "echo ran", uid=0, gate=("--wait", "60"))
    first = p.stderr.readline()
    assert first == "clawrden: waiting for the warden's socket, 60 s at most\n"
    w.start()
    out, err = p.communicate(timeout=30)
    assert (out, p.returncode) == ("ran\n", 0), err


def silent_warden(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    os.chmod(path, 0o777)
    s.listen()
    return s


def test_it_waits_for_the_go_ahead_for_a_time(tmp_path):
    s = silent_warden(tmp_path / "sock")
    done = subprocess.run([GATE, "--socket", tmp_path / "sock", "--wait", "2", "--", "touch", tmp_path / "ran"],
                          capture_output=True, text=True, timeout=30)
    s.close()
    assert done.returncode == 125 and not (tmp_path / "ran").exists()
    assert "waiting for the warden's go-ahead, 2 s at most" in done.stderr
    assert "did not give its go-ahead in time" in done.stderr


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("what", ["socket", "go-ahead"])
def test_a_signal_ends_the_wait(start, tmp_path, signo, what):
    s = silent_warden(tmp_path / "sock") if what == "go-ahead" else None
    p = start([GATE, "--socket", tmp_path / "sock", "--wait", "60", "--", "touch", tmp_path / "ran"],
              stderr=subprocess.PIPE, text=True)
    assert what in p.stderr.readline()
    p.send_signal(signo)
    p.communicate(timeout=10)
    assert p.returncode == 128 + signo and not (tmp_path / "ran").exists()
    if s:
        s.close()


# ---- signals ----

def test_who_sends_a_signal_to_the_gate_means_the_agent(w):
    for signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN + 3):
        p = popen(w, "bash", "-c", f"trap 'echo got; exit 7' {int(signo)}; echo ready; while :; do read -t 0.1 < /dev/zero; done",
                  uid=AGENT_UID, start_new_session=True)
        assert p.stdout.readline() == "ready\n"
        p.send_signal(signo)
        assert p.communicate(timeout=20)[0] == "got\n" and p.returncode == 7, signo


# ---- the warden goes and comes back ----

# It needs no program but the one that it tries, so that the shell goes on.
LOOP = "exec 9<>fifo; while :; do /bin/true; echo $?; read -t 0.05 <&9; done"


def lines(p):
    """What it printed, as it comes."""
    got = []
    t = threading.Thread(target=lambda: got.extend(iter(p.stdout.readline, "")), daemon=True)
    t.start()
    return got


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_without_its_warden_everything_is_refused_until_it_is_back(w, how):
    os.mkfifo(w.work / "fifo")
    os.chmod(w.work / "fifo", 0o666)
    p = popen(w, "bash", "-c", LOOP, uid=AGENT_UID)
    got, errors = lines(p), []
    threading.Thread(target=lambda: errors.extend(iter(p.stderr.readline, "")), daemon=True).start()
    wait_for(lambda: "0\n" in got)
    getattr(w, how)()
    wait_for(lambda: "125\n" in got, 20, "programs are refused")
    assert p.poll() is None
    assert any("not run: the warden cannot be reached" in e for e in errors)
    before = len(w.decisions()) if w.audit.exists() else 0
    del got[:]
    time.sleep(0.5)
    assert got and set(got) == {"125\n"}, "nothing starts meanwhile"
    assert len(w.decisions()) == before
    w.start()
    os.chmod(w.socket, 0o666)
    wait_for(lambda: "0\n" in got, 20, "programs start again")
    assert by_command(w, "true")[-1]["decision"] == "allow"
    assert any("the warden is gone: every program is refused" in e for e in errors)
    assert any("the warden is back" in e for e in errors)
    p.terminate()  # which the agent gets: what was let go would outlive its gate
    p.wait(10)


def test_what_waits_when_the_warden_goes_is_refused_with_words(w):
    p = popen(w, "sh", "-c", "uname; echo $?", uid=AGENT_UID)
    w.wait_queue()
    w.kill()
    out, err = p.communicate(timeout=20)
    assert out == "125\n" and "the warden went away before it had decided" in err


def test_what_has_a_time_limit_ends_with_the_warden(make_warden):
    w = make_warden(POLICY + "  - {name: short, command: python3, action: allow, timeout: 600s}\n")
    p = popen(w, "sh", "-c", "python3 -c 'import time; time.sleep(100)'; echo $?; read x", uid=AGENT_UID, stdin=subprocess.PIPE)
    wait_for(lambda: by_command(w, "python3"))
    w.kill()
    assert p.stdout.readline() == "137\n"
    p.communicate("x\n", timeout=10)


def test_a_decision_after_the_return_is_made_by_the_new_policy(w):
    p = popen(w, "sh", "-c", "while read x; do ls / >/dev/null; echo $?; done", uid=AGENT_UID, stdin=subprocess.PIPE)

    def go():
        p.stdin.write("x\n")
        p.stdin.flush()
        return p.stdout.readline()

    assert go() == "0\n"
    w.kill()
    wait_for(lambda: go() == "125\n")
    w.set_policy(POLICY + "  - {name: no-ls, command: ls, action: deny}\n")
    w.start()
    os.chmod(w.socket, 0o666)
    wait_for(lambda: go() == "126\n", 20)
    p.communicate(timeout=10)


@pytest.mark.parametrize("how", ["a directory that the agent can write", "a directory of the agent's own"])
def test_where_the_agent_could_put_a_socket_losing_the_warden_ends_the_tree(make_warden, how):
    w = make_warden(POLICY)
    d = w.dir / "open"
    d.mkdir()
    os.symlink(w.socket, d / "warden.sock")
    if how.endswith("own"):
        os.chown(d, AGENT_UID, AGENT_UID)
        d.chmod(0o555)
    else:
        d.chmod(0o777)
    env = environment(w, CLAWRDEN_SOCKET=str(d / "warden.sock"))
    p = popen(w, "sh", "-c", "sleep 30; touch ran", uid=AGENT_UID, env=env)
    wait_for(lambda: by_command(w, "sleep"))
    w.kill()
    out, err = p.communicate(timeout=20)
    assert p.returncode == 125 and "the governed tree was ended: the warden is gone" in err
    assert not (w.work / "ran").exists()


def test_root_where_it_can_write_the_sockets_directory_ends_with_its_warden(w):
    p = popen(w, "sh", "-c", "sleep 30; touch ran")
    wait_for(lambda: by_command(w, "sleep"))
    w.kill()
    out, err = p.communicate(timeout=20)
    assert p.returncode == 125 and "the warden is gone" in err and not (w.work / "ran").exists()


def test_another_users_socket_is_not_its_warden(w, start):
    p = popen(w, "sh", "-c", "while read x; do /bin/true; echo $?; done", uid=AGENT_UID, stdin=subprocess.PIPE)

    def go():
        p.stdin.write("x\n")
        p.stdin.flush()
        return p.stdout.readline()

    assert go() == "0\n"
    w.kill()
    wait_for(lambda: go() == "125\n")
    w.socket.unlink(missing_ok=True)
    code = ("import os, socket, sys, time\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666)\n"
            "os.setuid(int(sys.argv[2])); s.listen(); print('there', flush=True)\nn = 0\n"
            "while True:\n    c, _ = s.accept(); c.settimeout(3); print('got', c.recv(8), flush=True)\n")
    fake = start(["python3", "-c", code, w.socket, "1234"], stdout=subprocess.PIPE, text=True)
    try:
        assert fake.stdout.readline() == "there\n"
        assert fake.stdout.readline() == "got b''\n", "it hangs up at once"
        assert go() == "125\n"
    finally:
        fake.kill()
        fake.communicate()
        p.communicate(timeout=10)


# ---- killed at any moment ----

def everything_of(uid):
    return subprocess.run(["ps", "-u", str(uid), "-o", "pid=,args="], capture_output=True, text=True).stdout


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("victim", ["gate", "warden"])
def test_killed_at_any_moment_nothing_ungoverned_starts(make_warden, victim, rounds):
    """The tree starts `clawrden-test-witness` over and over, which is denied: its mark must never appear, whoever dies and when."""
    rng = random.Random(os.environ.get("CLAWRDEN_TEST_SEED", "4"))
    uid = 3_000_000 + rng.randrange(100000)
    witness = f"/usr/local/bin/clawrden-test-witness-{os.getpid()}"
    with open(witness, "w") as f:
        f.write("#!/bin/sh\necho ran >> \"$MARK\"\n")
    os.chmod(witness, 0o755)
    w = make_warden(POLICY + f"  - {{name: no-witness, command: {os.path.basename(witness)}, action: deny}}\n",
                    options={"asks_per_minute": "0"})
    mark = w.work / "mark"
    mark.touch()
    mark.chmod(0o666)
    script = f"while :; do {witness} & {witness} & uname & (/bin/true; exec {witness}) & wait; done"
    try:
        for i in range(rounds):
            os.chmod(w.socket, 0o666)
            p = popen(w, "bash", "-c", script, uid=uid, env=environment(w, MARK=str(mark)), start_new_session=True,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.0, 0.8))
            if victim == "gate":
                p.kill()
                p.wait()
                # The warden ends what the gate had let go; what it held dies with it.
                wait_for(lambda: not everything_of(uid).strip(), 20, lambda: everything_of(uid))
            else:
                w.kill()
                time.sleep(rng.uniform(0.0, 0.3))
                p.kill()
                p.wait()
                for line in everything_of(uid).splitlines():  # no warden to end what runs: only shells may
                    assert witness not in line.split()[1:2], line
                subprocess.run(["pkill", "-KILL", "-u", str(uid)])
                wait_for(lambda: not everything_of(uid).strip(), 20)
                w.start()
            assert mark.stat().st_size == 0, i
    finally:
        subprocess.run(["pkill", "-KILL", "-u", str(uid)])
        os.unlink(witness)
