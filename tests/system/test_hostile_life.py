# SPDX-License-Identifier: MIT
"""Commands that will not end, callers that stand still: by every way to live longer than its time that an
ordinary program has; with cgroups (a warden that is root) and without (one that is not)."""
import os
import signal
import subprocess
import time

import pytest

import hostile
import wire
from conftest import AGENT_UID, needs_root, wait_for

pytestmark = needs_root

SHORT = 'allowed_paths: ["/*"]\nrules:\n  - {command: "*", action: allow, timeout: 1s}\n'
HOSTS = ["cgroups", "no cgroups"]


@pytest.fixture
def short(make_warden):
    """short(host): a warden under which every command has one second, and one more to leave."""
    def make(host, **options):
        user = None if host == "cgroups" else AGENT_UID
        w = make_warden(SHORT, options={"socket_mode": "0666", "kill_grace": "1s", **options}, user=user)
        assert ("best effort" in w.log()) == (host != "cgroups")
        return w
    return make


def alive(mark):
    """Pids of `sleep MARK`, the mark of a test."""
    done = subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True, text=True)
    return done.stdout.split()


def all_gone(mark, timeout=5):
    wait_for(lambda: not alive(mark), timeout, f"no 'sleep {mark}' is left: {alive(mark)}")


WAYS = {
    "nohup": "nohup sleep MARK >/dev/null 2>&1 & wait",
    "setsid": "setsid -f sleep MARK; sleep MARK",
    "double fork": "(setsid sh -c 'sleep MARK & exec sleep MARK' &) ; sleep MARK",
    "deaf": "trap '' TERM HUP INT QUIT USR1 ALRM; sleep MARK & while :; do sleep MARK; done",
    "deep": "sh -c 'sh -c \"sh -c \\\"setsid sleep MARK & setsid sleep MARK & exit\\\" & exit\" & sleep MARK'",
    "own group": "exec bash -c 'set -m; sleep MARK & sleep MARK & wait'",
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_outlives_its_time(short, host, way):
    w, mark = short(host), f"7{os.getpid()}1"
    start = time.monotonic()
    done = w.run("sh", "-c", WAYS[way].replace("MARK", mark), uid=AGENT_UID)
    assert time.monotonic() - start < 6
    assert done.returncode == 124, done.stderr
    all_gone(mark)
    assert w.wait_ends()[-1]["timeout_violation"] is True


@pytest.mark.parametrize("host", HOSTS)
def test_a_command_that_stops_itself_and_with_it_its_shim_ends_all_the_same(short, host):
    w, mark = short(host), f"7{os.getpid()}7"
    p = w.popen("sh", "-c", f"sleep {mark} & kill -STOP $!; kill -STOP $$", uid=AGENT_UID)
    end = w.wait_ends()[-1]
    assert end["timeout_violation"] is True
    all_gone(mark)
    p.send_signal(signal.SIGCONT)  # it stands still as the plain command would
    assert p.wait(5) == 124
    p.communicate()


@pytest.mark.parametrize("host", HOSTS)
def test_a_fork_bomb_ends_with_its_time(short, host):
    """Bounded by its own limit of processes, each of which forks again as soon as it can."""
    w, mark = short(host), f"7{os.getpid()}2"
    bomb = f"ulimit -u 150; f() {{ sleep {mark} & f 2>/dev/null & f 2>/dev/null; }}; f 2>/dev/null; sleep {mark}"
    p = w.popen("bash", "-c", bomb, uid=AGENT_UID)
    wait_for(lambda: alive(mark), 5)
    slowest = 0
    while p.poll() is None:
        start = time.monotonic()
        with wire.Conn(w.socket) if host == "cgroups" else open("/dev/null") as c:
            if host == "cgroups":
                c.send(wire.v2_request("true")).go()
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.05)
    p.communicate()
    all_gone(mark, 10)
    done = subprocess.run(["pgrep", "-u", str(AGENT_UID), "-f", mark], capture_output=True, text=True)
    assert done.stdout == ""
    assert slowest < 3
    assert w.run("true", uid=AGENT_UID).returncode == 0


@pytest.mark.parametrize("how", ["exec", "fork", "double fork"])
def test_root_that_leaves_its_cgroup_does_not_outlive_its_time(short, how):
    w, mark = short("cgroups"), f"7{os.getpid()}3"
    group = w.work / "group"  # where it was, by its own word: it may have ended before we look
    leave = f"top=$(findmnt -nt cgroup2 -o TARGET | head -1); echo 0 >$top/cgroup.procs && cp /proc/self/cgroup {group} && "
    stay = {"exec": f"trap '' TERM; sleep {mark}; sleep {mark}", "fork": f"sleep {mark} & sleep {mark}",
            "double fork": f"(setsid sh -c 'trap \"\" TERM; sleep {mark} & exec sleep {mark}' &); sleep {mark}"}[how]
    p = w.popen("sh", "-c", leave + stay)
    assert p.wait(20) == 124
    assert group.read_text().splitlines()[-1] == "0::/"  # it did get out
    p.communicate()
    all_gone(mark)
    assert w.wait_ends()[-1]["timeout_violation"] is True


@pytest.mark.parametrize("host", HOSTS)
def test_an_operator_s_kill_reaches_everything(make_warden, host):
    user = None if host == "cgroups" else AGENT_UID
    w, mark = make_warden(hostile.EVERYTHING, user=user, options={"socket_mode": "0666", "kill_grace": "1s"}), \
        f"7{os.getpid()}4"
    p = w.popen("sh", "-c", f"trap '' TERM; setsid -f sleep {mark}; while :; do sleep {mark}; done", uid=AGENT_UID)
    wait_for(lambda: len(alive(mark)) == 2)
    ids = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    id = w.decisions()[-1]["id"]
    w.cli("kill", "--yes", "--signal", "KILL", id, check=True, **ids)
    p.communicate(timeout=10)
    all_gone(mark)


@pytest.mark.parametrize("host", HOSTS)
def test_a_caller_that_dies_leaves_nothing_running(short, host):
    w, mark = short(host), f"7{os.getpid()}5"
    p = w.popen("sh", "-c", f"setsid -f sleep {mark}; trap '' TERM HUP; while :; do sleep {mark}; done", uid=AGENT_UID)
    wait_for(lambda: len(alive(mark)) == 2)
    p.kill()
    p.communicate()
    all_gone(mark)


def test_a_stopped_caller_holds_up_nobody(make_warden):
    """Stopped while it waits for a person, at the hand-over, and while its command runs and writes."""
    w = make_warden(hostile.EVERYTHING.replace("rules:", "rules:\n  - {command: git, action: ask}"),
                    options={"socket_mode": "0666", "kill_grace": "1s"})
    p = hostile.attacker("""
conns = [ask('git', 'push') for i in range(20)]
conns += [ask('true').go() for i in range(20)]
read, write = os.pipe()
conns += [ask('sh', '-c', 'while :; do echo x; done').go().hand_over([null, write, write]) for i in range(3)]
print('ready', flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
""", w)
    try:
        assert p.stdout.readline() == "ready\n"
        w.wait_queue(20)
        for _ in range(20):
            start = time.monotonic()
            assert w.run("true").returncode == 0
            assert time.monotonic() - start < 1
    finally:
        p.kill()
        p.communicate()
    wait_for(lambda: w.queue() == [])
    wait_for(lambda: w.cli("running", "--json").stdout.strip() == "[]", what="nothing runs")


def test_a_stop_in_the_middle_of_a_start_costs_its_own_user_only(make_warden):
    """The child that becomes the command is of the caller's user, who may stop it: also in the moment between
    that and the exec, while the helper's worker waits for it."""
    w = hostile.open_door(make_warden)
    p = hostile.attacker("""
print('ready', flush=True)
end = time.monotonic() + 4
me = os.getpid()
while time.monotonic() < end:
    for pid in os.listdir('/proc'):
        if pid.isdigit() and int(pid) > me:
            try:
                os.kill(int(pid), signal.SIGSTOP)
            except (PermissionError, ProcessLookupError):
                pass
""", w)
    assert p.stdout.readline() == "ready\n"
    victims = []
    while p.poll() is None:
        # Not by Popen's own user: it would wait for a child that was stopped before its exec.
        victims.append(subprocess.Popen(["setpriv", f"--reuid={AGENT_UID}", f"--regid={AGENT_UID}", "--clear-groups",
                                         w.shim("true")], env=w.agent_env(), cwd=w.work, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        start = time.monotonic()
        assert w.run("true").returncode == 0
        assert time.monotonic() - start < 2
    p.communicate()
    for v in victims:
        v.kill()
        v.communicate()
    wait_for(lambda: w.cli("running", "--json").stdout.strip() == "[]", what="nothing runs")
    assert w.run("true", uid=AGENT_UID).returncode == 0


@pytest.mark.parametrize("target", ["worker", "helper"])
def test_killing_the_helper_of_a_warden_of_its_own_user_runs_nothing_unwatched(short, target):
    """Only where agent and warden share a user, which is no wall: what ran ends, and the next command is served."""
    w, mark = short("no cgroups"), f"7{os.getpid()}6"
    p = w.popen("sh", "-c", f"sleep {mark}; :", uid=AGENT_UID)
    wait_for(lambda: alive(mark))
    parent = {"worker": "ps -o ppid= -p $(ps -o ppid= -p %s)", "helper": "pgrep -P %s"}[target]
    pid = subprocess.run(["sh", "-c", parent % (alive(mark)[0] if target == "worker" else w.pid)], capture_output=True,
                         text=True).stdout.split()[0]
    os.kill(int(pid), signal.SIGKILL)
    p.communicate(timeout=10)
    assert p.returncode == 125
    all_gone(mark)
    wait_for(lambda: w.run("true", uid=AGENT_UID).returncode == 0, 10, "the next command is served")
