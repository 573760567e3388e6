# SPDX-License-Identifier: MIT
"""What the helper keeps in a container to start commands from: that it is used, that commands do not see the difference, and what
becomes of it, and of them, when somebody kills, moves, freezes or starves it."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import OPEN, cgroup_dirs, wait_for
from test_escape import SPEAK, WIRE
from test_mirror import compare, facts


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # a worker that went meanwhile
        return []


def seats(w):
    found = []
    for helper in children(w.pid):
        for worker in children(helper):
            for p in children(worker):
                try:
                    if os.readlink(f"/proc/{p}/exe").startswith("/memfd:clawrden-mirror") and state(p) not in "ZX":
                        found.append(p)
                except OSError:
                    pass
    return found


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def is_gone(pid):
    """Dead, though perhaps whoever inherited it has not reaped it."""
    try:
        return state(pid) in "ZX"
    except OSError:
        return True


def turns(pid):
    """How often it slept: once a command."""
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])


def stands_in(pid, name):
    try:
        return name in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def runs(pid, program):
    """Does this process run that program, and is not about to be gone?"""
    try:
        return state(pid) not in "ZX" and os.readlink(f"/proc/{pid}/exe").endswith("/" + program)
    except OSError:
        return False


def seat(w, c):
    """One that is there, behind as many commands as it takes: none is made while its cgroup may have something left in it."""
    return wait_for(lambda: c.run("true").returncode == 0 and [p for p in seats(w) if stands_in(p, c.id)], 20)[0]


def cgroups_of(name):
    """All directories whose path has that in it. glob() fails when one of somebody else's goes meanwhile."""
    return [pathlib.Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if name in top]


def in_cgroup(c):
    found = set()
    for d in cgroups_of(c.id):
        try:
            found |= {int(p) for p in (d / "cgroup.procs").read_text().split()}
        except OSError:  # a command's own, given up
            pass
    return sorted(found)


@pytest.mark.parametrize("user", ["1000", "0"])
def test_a_command_from_a_seat_is_what_docker_exec_starts(warden, make_container, user):
    c = make_container("-m", "256m", "--pids-limit", "200", user=user)
    s = seat(warden, c)
    before = turns(s)
    compare(c)
    # On a busy machine a seat may be given up and made anew: a cgroup that is not empty yet has none.
    assert seats(warden) and (s not in seats(warden) or turns(s) > before), "it was not used"
    # another user, and what only this caller has, right behind it
    other = "0" if user == "1000" else "1000"
    assert facts(lambda *a: c.run(*a, user=other))["status"] == facts(lambda *a: c.exec(*a, user=other))["status"]
    done = c.exec("sh", "-c", "umask 0137; ulimit -f 1234; trap '' USR1; cd /usr; exec /opt/shims/sh -c 'umask; ulimit -f; pwd; grep SigIgn /proc/self/status'",
                  env=c.ENV)
    assert done.stdout.split()[:3] == [b"0137", b"1234", b"/usr"] and int(done.stdout.split()[-1], 16) >> 9 & 1
    assert c.run("sh", "-c", "umask; ulimit -f; pwd").stdout.split() == [b"0022", b"unlimited", b"/app"]
    assert c.run("true", env=["LD_PRELOAD=/x"], check=False).returncode == 0
    for code in (0, 7, 127):
        assert c.run("sh", "-c", f"exit {code}").returncode == code
    assert c.run("sh", "-c", "kill -9 $$").returncode == 137
    # a signal to the shim reaches a command that was started from it
    done = c.exec("/bin/sh", "-c", "/opt/shims/sleep 1000 & sleep 1; kill -TERM $!; wait $!; echo $?", env=c.ENV)
    assert done.stdout == b"143\n"
    assert c.run("cat", input=b"x" * 300000).stdout == b"x" * 300000
    # what is too long for the seat's message goes the long way
    assert c.run("sh", "-c", "echo $#", "sh", *["x" * 50] * 2000).stdout == b"2000\n"
    assert seats(warden)


def test_nobody_in_there_sees_or_reaches_it(warden, make_container):
    c = make_container(user="0")
    s = seat(warden, c)
    status = pathlib.Path(f"/proc/{s}/status").read_text()
    assert len(status.split("\nNSpid:")[1].split("\n")[0].split()) == 1, "it is in the container's pid namespace"
    assert os.stat(f"/proc/{s}/environ").st_uid == 0 and os.stat(f"/proc/{s}").st_uid == 0
    seen = set(c.exec("/bin/sh", "-c", "for p in /proc/[0-9]*; do cat $p/comm; done").stdout.split())
    assert seen <= {b"sh", b"cat", b"sleep"}, seen
    assert c.exec("/bin/sh", "-c", f"kill -9 {s}", check=False).returncode != 0 and state(s) == "S"
    assert c.exec("/bin/sh", "-c", "kill -9 -1; kill -STOP -1; true", check=False).returncode in (0, 137) and state(s) == "S"
    assert c.run("true").returncode == 0 and s in seats(warden)


@pytest.mark.slow
def test_one_that_is_killed_stopped_or_moved_is_replaced(warden, make_container):
    c, other = make_container(), make_container()
    s = seat(warden, c)
    os.kill(s, signal.SIGKILL)
    compare(c)
    s = seat(warden, c)
    # moved out of one hierarchy of the container by the host's root: the command is where it belongs
    path = next(line.split(":")[1:] for line in pathlib.Path(f"/proc/{s}/cgroup").read_text().splitlines() if ":pids:" in line or line.startswith("0::"))
    root = pathlib.Path("/sys/fs/cgroup/pids" if path[0] == "pids" else "/sys/fs/cgroup")
    (root / "cgroup.procs").write_text(str(s))
    compare(c)
    wait_for(lambda: s not in seats(warden), 20)
    s = seat(warden, c)
    # stopped by root: this command fails, the next ones (one for each that was stopped) and others do not
    stopped = set()

    def fails():
        for x in seats(warden):  # also one that was made meanwhile
            if c.id in pathlib.Path(f"/proc/{x}/cgroup").read_text() and x not in stopped:
                os.kill(x, signal.SIGSTOP)
                stopped.add(x)
        p = c.popen("true")
        assert other.run("true").returncode == 0
        return p.wait(30) == 125
    wait_for(fails, 60)
    wait_for(lambda: c.run("true").returncode == 0, 90)
    # the worker of the one that was asked is gone, and it with it (dead, though perhaps nobody has reaped it)
    wait_for(lambda: [x for x in stopped if not os.path.exists(f"/proc/{x}") or state(x) in "ZX"], 20)


def test_what_a_command_leaves_behind_is_not_the_next_ones(warden, make_container):
    c = make_container()
    seat(warden, c)
    before = in_cgroup(c)
    assert c.run("sh", "-c", "/usr/bin/sleep 1000 >/dev/null 2>&1 &").returncode == 0
    left = wait_for(lambda: [p for p in in_cgroup(c) if p not in before and runs(p, "sleep")], 20)[0]
    # the seat in its cgroup is given up; there may be others
    own = pathlib.Path(f"/proc/{left}/cgroup").read_text().splitlines()[-1].removeprefix("0::")
    wait_for(lambda: not [p for p in seats(warden) if stands_in(p, own)], 20)
    n = len(warden.decisions())
    p = c.popen("sleep", "1000")
    wait_for(lambda: len(warden.decisions()) > n, 20)
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137
    assert state(left) == "S", "a kill of another command has hit it"
    for sig in ("TERM", "KILL"):
        seat(warden, c)
        n = len(warden.decisions())
        p = c.popen("sleep", "1000")
        wait_for(lambda: len(warden.decisions()) > n, 20)
        warden.cli("kill", "--yes", "--signal", sig, warden.decisions()[-1]["id"], check=True)
        assert p.wait(20) in (137, 143)
    assert state(left) == "S" and c.run("true").returncode == 0


def test_limits_are_not_eaten_and_not_escaped(engine, make_warden, make_container):
    w = make_warden(asks_per_minute=0)
    few = make_container("--pids-limit", "30", by=w)
    assert few.run("true").returncode == 0 and few.run("true").returncode == 0
    assert seats(w) == [], "a container that may have few processes has no place for it"
    few.remove()
    c = make_container("-m", "64m", "--memory-swap", "64m", "--pids-limit", "128", by=w,
                       command=("sh", "-c", "while :; do sleep 0.2; done"))
    seat(w, c)
    many = [c.popen("sleep", "2") for _ in range(14)]
    assert [p.wait(60) for p in many] == [0] * 14
    wait_for(lambda: len(seats(w)) <= 8, 20)
    assert c.run("python3", "-c", "x = bytearray(200 << 20)").returncode == 137
    n = int(c.run("python3", "-c", "import os, signal, time\nn = 0\nwhile True:\n  try:\n    p = os.fork()\n  except OSError: break\n  if p == 0: time.sleep(1000)\n  n += 1\nprint(n, flush=True)\nos.killpg(0, 9)").stdout)
    assert 100 <= n < 128, n
    wait_for(lambda: c.run("true").returncode == 0, 30)


def test_a_pause_holds_it_and_removal_does_not_wait_for_it(engine, warden, make_container):
    c, other = make_container(), make_container()
    s = seat(warden, c)
    engine.docker("pause", c.id)
    assert other.run("true").returncode == 0
    engine.docker("unpause", c.id)
    wait_for(lambda: c.run("true").returncode == 0, 30)
    ended = []
    for paused in (False, True):
        seat(warden, c)
        if paused:
            engine.docker("pause", c.id)
        mine = [p for p in seats(warden) if c.id in pathlib.Path(f"/proc/{p}/cgroup").read_text()]
        assert mine
        begun = time.monotonic()
        engine.docker("rm", "-f", c.id)
        ended.append(time.monotonic() - begun)
        wait_for(lambda: not set(mine) & set(seats(warden)), 20)
        wait_for(lambda: not cgroups_of(c.id), 20)
        c = make_container()
    assert max(ended) < 20, ended


def test_a_filter_that_lets_none_be_made_or_lets_keys_be_touched(warden, make_container, tmp_path):
    for names in (["recvmsg"], []):
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", *names], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
        if names:
            profile["syscalls"].append({"names": ["keyctl", "add_key", "request_key"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1})
        (tmp_path / "s.json").write_text(json.dumps(profile))
        c = make_container("--security-opt", f"seccomp={tmp_path}/s.json")
        for _ in range(3):
            assert c.run("true").returncode == 0
        compare(c)
        assert seats(warden) == []
        c.remove()


def test_it_goes_with_the_helper(make_warden, make_container):
    w = make_warden()
    c = make_container(by=w)
    s = seat(w, c)
    os.kill(children(w.pid)[0], signal.SIGKILL)
    wait_for(lambda: is_gone(s), 20)
    wait_for(lambda: c.run("true").returncode == 0, 30)
    s, helper = seat(w, c), children(w.pid)[0]
    for _ in range(10):
        assert c.run("true").returncode == 0
    assert s in seats(w) and [p for p in in_cgroup(c) if state(p) in "ZX"] == []
    w.stop()
    wait_for(lambda: is_gone(s), 20)
    assert [d for d in cgroups_of(c.id) if f"/clawrden-{helper}-" in str(d)] == []


def sleeper(c):
    """A command that runs in there: its shim, its pid, its worker's."""
    before = in_cgroup(c)
    p = c.popen("sleep", "1000")
    own = wait_for(lambda: [x for x in in_cgroup(c) if x not in before and runs(x, "sleep")], 20)[0]
    return p, own, int(pathlib.Path(f"/proc/{own}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_what_dies_under_a_command_does_not_let_go_of_it(warden, make_container):
    c = make_container()
    # the seat that it was started from: the command goes on and can still be killed
    seat(warden, c)
    p, own, worker = sleeper(c)
    assert worker in children(children(warden.pid)[0])
    for s in seats(warden):
        os.kill(s, signal.SIGKILL)
    wait_for(lambda: not seats(warden), 20)
    assert p.poll() is None and runs(own, "sleep")
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137 and not runs(own, "sleep")
    # the worker: seat and command die with it, and nothing is left
    seat(warden, c)
    p, own, worker = sleeper(c)
    os.kill(worker, signal.SIGKILL)
    assert p.wait(20) == 125
    wait_for(lambda: not runs(own, "sleep"), 20)
    assert c.run("true").returncode == 0
    assert seat(warden, c)


def test_the_warden_talks_to_its_worker_itself(warden, make_container):
    c = make_container()
    s, dispatcher = seat(warden, c), children(warden.pid)[0]
    before, own = turns(dispatcher), turns(s)
    c.exec("/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /opt/shims/true || exit 1; done", env=c.ENV)
    if s in seats(warden):  # on a busy machine it may have been made anew
        assert turns(s) - own >= 20 and turns(dispatcher) - before < 40, "the dispatcher was woken for each"


@pytest.mark.parametrize("when", ["idle", "stopped"])
def test_a_lent_worker_that_goes_or_stands_still_costs_nobody_a_command(warden, make_container, when):
    c = make_container()
    seat(warden, c)
    workers = [w for w in children(children(warden.pid)[0]) if children(w)]
    assert workers
    for w in workers:
        os.kill(w, signal.SIGKILL if when == "idle" else signal.SIGSTOP)
    begun = time.monotonic()
    assert c.run("sh", "-c", "exit 3").returncode == 3
    assert time.monotonic() - begun < 20
    assert seat(warden, c)
    warden.stop()  # also those that stand still
    wait_for(lambda: not any(os.path.exists(f"/proc/{w}") and state(w) not in "ZX" for w in workers), 20)


def test_a_paused_command_that_is_killed_leaves_no_seat_that_stands_still(warden, make_container):
    c = make_container()
    seat(warden, c)
    p, own, _ = sleeper(c)
    request = warden.decisions()[-1]["id"]
    (in_v2(own)[0] / "cgroup.freeze").write_text("1")
    warden.cli("kill", "--yes", "--signal", "KILL", request, check=True)
    assert p.wait(20) == 137
    for _ in range(5):
        assert c.run("true").returncode == 0


def in_v2(pid):
    path = next(line[3:] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().split("\n") if line.startswith("0::"))
    return cgroup_dirs(path)


CALLED_OFF = """
import subprocess, time
gone = subprocess.Popen(["/opt/shims/true"])
time.sleep(0.2)
gone.kill()
gone.wait()
time.sleep(0.1)
begun = time.monotonic()
assert subprocess.call(["/opt/shims/true"]) == 0
print(time.monotonic() - begun)
"""


def test_nobody_waits_behind_what_a_caller_called_off(warden, make_container):
    c = make_container()

    times = []
    for _ in range(3):  # a machine that is busy may be slow once; whoever waits behind it takes 1.5 s each time
        seat(warden, c)
        for w in children(children(warden.pid)[0]):
            if children(w):
                os.kill(w, signal.SIGSTOP)
        times.append(float(c.exec("/usr/bin/python3", "-c", CALLED_OFF, env=c.ENV).stdout))
    assert sorted(times)[1] < 1.2, times


WALLS = """
import ctypes, signal, struct, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.sigwait([signal.SIGUSR1])
libc = ctypes.CDLL(None, use_errno=True)
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
for i in range(2):
    done = subprocess.run(["/opt/shims/grep", "-E", "^(NoNewPrivs|Seccomp_filters)", "/proc/self/status"], capture_output=True, text=True,
                          env={"CLAWRDEN_SOCKET": "/run/clawrden/warden.sock", "PATH": "/opt/shims:/usr/bin:/bin"})
    print("got", done.returncode, done.stdout.split(), done.stderr, flush=True)
signal.pause()
"""


def test_a_container_that_walls_itself_in_later_is_served_behind_its_walls(engine, warden, make_container):
    c = make_container(command=("python3", "-c", WALLS))
    if not (c.shims / "grep").is_symlink():
        c.add_shim("grep")
    seat(warden, c)

    def said():
        engine.docker("kill", "-s", "USR1", c.id)  # again: its first process may not have listened yet
        text = engine.docker("logs", c.id).stdout.decode()
        return text.count("got") == 2 and text
    text = wait_for(said, 20)
    assert text.count("got 0 ['NoNewPrivs:', '1', 'Seccomp_filters:', '2']") == 2, text


CHANGES = {
    "it is what it was": ("", "ran", "(0, 0, '')"),
    "no_new_privs": ("assert libc.prctl(38, 1, 0, 0, 0) == 0", "refused", "no_new_privs"),
    "a directory": ("os.chdir('/usr')", "refused", "directory"),
    "a lower limit": ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))", "ran", "(0, 7, '')"),
}


def test_who_changes_while_a_person_thinks_is_looked_at_anew(make_warden, make_container):
    w = make_warden(OPEN.replace("command: git", "command: sh"))
    c = make_container("-v", f"{WIRE}:/opt/tests:ro", by=w)
    for change, ends, words in CHANGES.values():
        seat(w, c)
        p = subprocess.Popen(c.argv("/usr/bin/python3", "-c", SPEAK + """
c = Conn(PATH)
c.send(v2_request("sh", "-c", "test `ulimit -f` = unlimited || exit 7"))
c.message()
""" + change + """
print("waits", flush=True)
try:
    c.go().hand_over([0, 1, 2])
    print("ran" , c.exit())
except AssertionError as e:
    print("refused", e)
""", env=c.ENV), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert p.stdout.readline() == "waits\n", p.communicate()
        w.approve(w.wait_queue()[0]["id"])
        out, err = p.communicate(timeout=60)
        assert out.startswith(ends) or "125" in out, (change, out, err)
        assert words in out, (change, out, err)


PINNED = """
import signal
c = Conn(PATH)
c.sock.setsockopt(socket.SOL_SOCKET, 76, 1)
c.send(v2_request("true"))
fds = [struct.unpack("i", c.sock.getsockopt(socket.SOL_SOCKET, 77, 4))[0]]
_, ancillary, _, _ = c.sock.recvmsg(8, 1024)
fds += [struct.unpack("i", data[:4])[0] for level, kind, data in ancillary if kind == 4]
for fd in fds:
    for s in (0, signal.SIGSTOP, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(fd, s)
            print("reached", s)
        except OSError: pass
    print("got" if libc.syscall(438, fd, 0, 0) < 0 else "a descriptor")
print(len(fds))
"""


@pytest.mark.parametrize("user", ["1000", "0"])
def test_the_process_that_talks_to_a_caller_is_out_of_its_reach(warden, make_container, user):
    """The kernel hands a pidfd of the warden, and of the worker that says GO, to whoever asks for it."""
    c = make_container("-v", f"{WIRE}:/opt/tests:ro", user=user)
    seat(warden, c)
    done = c.exec("/usr/bin/python3", "-c", SPEAK + PINNED, env=c.ENV, check=False)
    if done.returncode and b"Protocol not available" in done.stderr:
        return  # before Linux 6.5 there are none
    assert done.stdout.split() == [b"got", b"got", b"2"], done
