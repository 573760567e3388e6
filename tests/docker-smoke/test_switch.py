# SPDX-License-Identifier: MIT
"""The kill switch with a real engine, and at doors without one: whole containers, by the engine's word or by cgroups."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import CGROUPS, OPEN, Container, cgroup_dirs, patient, system, wait_for

BUSY = ("sh", "-c", "while :; do :; done")


def state(engine, c):
    return json.loads(engine.text("inspect", c.id))[0]["State"]


def ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def stands_still(pid):
    before = ticks(pid)
    time.sleep(0.3)
    return ticks(pid) == before


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def processes_in(path):
    """Pids in the cgroup and below, in every hierarchy; a cgroup that systemd has tidied away has none."""
    found = ""
    for p in (p for d in cgroup_dirs(path) for p in d.rglob("cgroup.procs")):
        with contextlib.suppress(OSError):  # a container's goes when it has ended
            found += p.read_text()
    return found


def in_container(c):
    """Pids of everything in its cgroups and below."""
    found = set()
    for top, _, names in os.walk(CGROUPS):
        if c.id in top and "cgroup.procs" in names:
            with contextlib.suppress(OSError):  # one that goes meanwhile
                found |= {int(p) for p in (pathlib.Path(top) / "cgroup.procs").read_text().split()}
    return found


def paused(w):
    return json.loads(w.cli("status", "--json", check=True).stdout)["paused"]


def busy(w, c):
    """A governed command in there that works, and its pid."""
    p = c.popen(*BUSY)
    row = wait_for(lambda: [r for r in json.loads(w.cli("running", "--json", check=True).stdout)
                            if r["container"] == c.name and r["command_pid"]], what="it runs")[0]
    return p, row["command_pid"], row


# ---- with the engine ----

def test_a_container_is_paused_and_resumed(engine, warden, make_container):
    c, other = make_container(name="still"), make_container(name="going")
    p, pid, row = busy(warden, c)
    done = warden.cli("pause", "--yes", "--container", "still", "--reason", "look at it")
    assert done.returncode == 0 and done.stdout == "paused container still: 1 container\n", done
    assert state(engine, c)["Paused"] and not state(engine, other)["Paused"]
    assert stands_still(pid) and stands_still(c.init)
    assert other.run("true").returncode == 0
    assert warden.cli("pause", "--yes", "--container", c.id[:12]).returncode == 0  # once more
    assert [(x["scope"], x["container"], x["by"]) for x in paused(warden)] == [("container", "still", "root")]
    warden.cli("resume", "--yes", "--container", "still", check=True)
    assert not state(engine, c)["Paused"] and paused(warden) == []
    wait_for(lambda: not stands_still(pid), what="it goes on")
    assert c.run("true").returncode == 0
    warden.cli("kill", "--yes", row["id"], "--signal", "KILL", check=True)
    p.communicate(timeout=20)


def test_what_waits_in_a_paused_container_runs_after_it(engine, warden, make_container):
    c = make_container(name="asking")
    p = c.popen("git", "--version")
    row = wait_for(lambda: warden.queue() and warden.queue()[0])
    warden.cli("pause", "--yes", "--container", "asking", check=True)
    assert warden.queue()[0]["deadline"] is None
    assert warden.approve(row["id"]).returncode == 0
    time.sleep(0.5)
    assert [r["decision"] for r in warden.decisions() if r["id"] == row["id"]] == []  # nothing is decided yet
    warden.cli("resume", "--yes", "--container", "asking", check=True)
    p.communicate(timeout=20)
    assert [r["decision"] for r in warden.decisions() if r["id"] == row["id"]] == ["ask-approved"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_pause_outlives_the_warden_and_the_container(engine, make_warden, make_container, how):
    w = make_warden()
    c = make_container(by=w, name="lasting")
    assert c.run("true").returncode == 0
    w.cli("pause", "--yes", "--container", "lasting", check=True)
    getattr(w, how)()
    assert state(engine, c)["Paused"]
    w.start()
    assert paused(w)[0]["container"] == "lasting"
    engine.docker("unpause", c.id)  # by somebody who does not know
    w.restart()
    wait_for(lambda: state(engine, c)["Paused"], what="the warden stops it again")
    engine.docker("kill", c.id)
    engine.docker("start", c.id)
    wait_for(lambda: state(engine, c)["Paused"], what="a new life stands still too")
    assert paused(w)[0]["container"] == "lasting"
    w.cli("resume", "--yes", "--container", "lasting", check=True)
    wait_for(lambda: c.run("true").returncode == 0)


def test_it_resumes_by_itself(engine, warden, make_container):
    c = make_container(name="timed")
    warden.cli("pause", "--yes", "--container", "timed", "--resume-after", f"{patient(2):.0f}s", check=True)
    assert state(engine, c)["Paused"]
    wait_for(lambda: not state(engine, c)["Paused"], 20)
    assert paused(warden) == []
    assert c.run("true").returncode == 0


def test_a_container_that_dies_while_it_is_paused(engine, warden, make_container):
    c = make_container(name="dying")
    warden.cli("pause", "--yes", "--container", "dying", check=True)
    engine.docker("kill", c.id)
    done = warden.cli("kill", "--yes", "--container", "dying")
    assert done.returncode == 0, done  # nothing of it is left to kill
    engine.docker("rm", "-f", c.id)
    wait_for(lambda: paused(warden) == [], what="a container that was removed is not paused")
    done = warden.cli("resume", "--yes", "--container", "dying")
    assert done.returncode == 1 and "no governed container" in done.stderr


def test_kill_ends_a_container(engine, warden, make_container):
    c = make_container(name="ends")
    p, pid, _ = busy(warden, c)
    waits = c.popen("git", "push")
    wait_for(lambda: warden.queue())
    started = time.monotonic()
    done = warden.cli("kill", "--yes", "--container", "ends", "--signal", "KILL", "--reason", "enough")
    assert done.returncode == 0 and "2 commands, 1 containers" in done.stdout, done
    wait_for(lambda: not state(engine, c)["Running"])
    assert time.monotonic() - started < patient(20) and not alive(pid)
    p.communicate(timeout=20)
    waits.communicate(timeout=20)
    record = warden.records_of("kill")[-1]
    assert (record["container"], record["by"], record["reason"], record["signal"]) == ("ends", "root", "enough", "KILL")
    assert {d["decision"] for d in warden.decisions()} >= {"ask-denied"}


def test_kill_sends_term_and_then_kill(engine, make_warden, make_container):
    w = make_warden(kill_grace="2s")
    # The first process of a container does not hear TERM unless it wants to.
    c = make_container(by=w, name="deaf")
    polite = make_container(by=w, name="polite", command=("python3", "-c", "import signal, sys, time\n"
                            "signal.signal(15, lambda *a: sys.exit(7))\nwhile True: time.sleep(1)"))
    time.sleep(1)
    started = time.monotonic()
    w.cli("kill", "--yes", "--container", "polite", check=True)
    wait_for(lambda: not state(engine, polite)["Running"])
    assert state(engine, polite)["ExitCode"] == 7
    w.cli("kill", "--yes", "--container", "deaf", check=True)
    assert state(engine, c)["Running"]
    wait_for(lambda: not state(engine, c)["Running"], 30)
    assert state(engine, c)["ExitCode"] == 137


def test_a_paused_container_is_killed_at_once(engine, make_warden, make_container):
    w = make_warden(kill_grace="60s")
    c = make_container(by=w, name="frozen")
    p, pid, _ = busy(w, c)
    w.cli("pause", "--yes", "--container", "frozen", check=True)
    w.cli("kill", "--yes", "--container", "frozen", check=True)
    wait_for(lambda: not state(engine, c)["Running"] and not alive(pid), 20)
    p.communicate(timeout=20)


def test_panic_leaves_strangers_alone(engine, warden, make_container):
    mine, stranger = make_container(name="mine"), make_container(governed=False, name="stranger")
    p, pid, _ = busy(warden, mine)
    done = warden.cli("panic", "--yes")
    assert done.returncode == 0, done
    assert state(engine, mine)["Paused"] and not state(engine, stranger)["Paused"]
    late = Container(engine, warden, name="late")  # one that comes while everything is paused
    try:
        wait_for(lambda: state(engine, late)["Paused"], what="a new one stands still too")
        assert warden.cli("pause", "--yes", "--container", "stranger").returncode == 1  # not ours to stop
        done = warden.cli("resume", "--yes", "--container", "mine")
        assert done.returncode == 1 and "everything is paused" in done.stderr
        warden.cli("resume", "--yes", "--all", check=True)
        assert not state(engine, mine)["Paused"] and not state(engine, late)["Paused"]
        assert late.run("true").returncode == 0
        warden.cli("kill", "--yes", "--all", "--signal", "KILL", check=True)
        wait_for(lambda: not state(engine, mine)["Running"] and not state(engine, late)["Running"])
        assert state(engine, stranger)["Running"]
        p.communicate(timeout=20)
    finally:
        late.remove()


def test_what_somebody_else_paused_is_not_ours_to_resume(engine, warden, make_container):
    c, ours = make_container(name="theirs"), make_container(name="ours")
    engine.docker("pause", c.id)
    warden.cli("panic", "--yes", check=True)
    assert state(engine, c)["Paused"] and state(engine, ours)["Paused"]
    warden.cli("resume", "--yes", "--all", check=True)
    assert state(engine, c)["Paused"] and not state(engine, ours)["Paused"]
    engine.docker("unpause", c.id)


@pytest.mark.parametrize("what", ["a command", "its container", "everything"])
def test_removing_what_is_paused_is_never_held_up(engine, warden, make_container, what):
    """With a command that runs, one that is held by the pause and one that waits for a person."""
    c = make_container(name="to-remove")
    p, pid, row = busy(warden, c)
    asks = c.popen("git", "push")
    warden.wait_queue()
    warden.cli("pause", "--yes", *{"a command": [row["id"]], "its container": ["--container", "to-remove"], "everything": ["--all"]}[what], check=True)
    assert stands_still(pid)
    begun = time.monotonic()
    engine.docker("rm", "-f", c.id)
    assert time.monotonic() - begun < patient(20)
    for x in (p, asks):
        x.communicate(timeout=30)
    assert not alive(pid)
    wait_for(lambda: not warden.queue() and not json.loads(warden.cli("running", "--json", check=True).stdout), 20, "nothing is left")
    if what == "everything":
        warden.cli("resume", "--yes", "--all", check=True)
    wait_for(lambda: not paused(warden), 20, "what is removed is not paused")


def test_what_the_engine_was_told_to_pause_is_killed(engine, warden, make_container):
    c = make_container(name="held")
    p, pid, _ = busy(warden, c)
    engine.docker("pause", c.id)  # by somebody else
    warden.cli("kill", "--yes", "--container", "held", "--signal", "KILL", check=True)
    wait_for(lambda: not state(engine, c)["Running"] and not alive(pid), 20)
    p.communicate(timeout=20)


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.slow), "kill"])
def test_a_pause_with_an_end_outlives_the_warden(engine, make_warden, make_container, how):
    """Its time goes on while no warden runs: who is not due stays paused, who is goes on with the next warden."""
    w = make_warden()
    soon, late = make_container(by=w, name="soon"), make_container(by=w, name="late")
    w.cli("pause", "--yes", "--container", "late", "--resume-after", "1h", check=True)
    w.cli("pause", "--yes", "--container", "soon", "--resume-after", "1s", check=True)
    getattr(w, how)()
    assert state(engine, late)["Paused"]
    time.sleep(1)
    w.start()
    wait_for(lambda: not state(engine, soon)["Paused"], 20, "its time is up")
    assert state(engine, late)["Paused"] and [x["container"] for x in paused(w)] == ["late"]
    w.cli("resume", "--yes", "--container", "late", check=True)
    assert not state(engine, late)["Paused"]


# ---- a command that does not want to go ----

REAPER = """
import os, time
while True:
    try: os.wait()
    except OSError: time.sleep(0.02)
"""
# It and all that it starts are deaf to TERM, lead sessions of their own, lose their parents, and are as many as may be.
BOMB = """
import os, signal, time
for s in (1, 2, 3, 15, 17, 20, 21, 22): signal.signal(s, signal.SIG_IGN)
print("begun", flush=True)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork(): os._exit(0)
    except OSError: time.sleep(0.02)
"""


@pytest.mark.parametrize("user, mirror", [("1000", "native"), pytest.param("0", "native", marks=pytest.mark.slow),
                                          pytest.param("0", "docker", marks=pytest.mark.slow)])
def test_a_command_that_forks_without_end_is_killed_alone(engine, make_warden, make_container, user, mirror):
    w = make_warden(kill_grace="1s", mirror=mirror)
    # A first process that reaps what falls to it, and needs no process for that: a shell that cannot fork leaves, and with it the container.
    c = make_container("--pids-limit", "150", by=w, user=user, command=("python3", "-c", REAPER))
    other, pid, _ = busy(w, c)
    n = len(w.decisions())
    bomb = c.popen("python3", "-c", BOMB)
    row = wait_for(lambda: w.decisions()[n:], 20)[0]
    assert bomb.stdout.readline() == b"begun\n"

    def theirs():
        found = []
        for p in in_container(c):
            with contextlib.suppress(OSError):
                if b"setsid" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes() and alive(p):
                    found.append(p)
        return found

    wait_for(lambda: len(theirs()) > 100, 30, "it has filled the container")
    w.cli("pause", "--yes", row["id"], check=True)
    first = theirs()
    assert all(stands_still(p) for p in first[:5]) and not stands_still(pid)
    w.cli("resume", "--yes", row["id"], check=True)
    w.cli("kill", "--yes", row["id"], check=True)  # TERM, which nobody hears; KILL a second later
    assert bomb.wait(30) == 137
    wait_for(lambda: theirs() == [], 20, "nothing of it is left")
    assert alive(pid) and not stands_still(pid), "another command was hit"
    wait_for(lambda: c.run("true").returncode == 0, 20)
    w.cli("kill", "--yes", "--container", c.name, "--signal", "KILL", check=True)
    other.communicate(timeout=20)


# ---- the engine is away ----

def test_an_engine_that_hangs_does_not_disarm_the_switch(engine, make_warden, make_container):
    w = make_warden(kill_grace="2s")
    c = make_container(by=w, name="alone")
    p, pid, _ = busy(w, c)
    daemon = int((engine.dir / "pid").read_text())
    os.kill(daemon, signal.SIGSTOP)
    try:
        done = w.cli("pause", "--yes", "--container", "alone", timeout=60)
        assert done.returncode == 0, (done, w.log())
        assert stands_still(pid) and stands_still(c.init)
        w.cli("resume", "--yes", "--container", "alone", check=True, timeout=60)
        wait_for(lambda: not stands_still(pid))
        w.cli("kill", "--yes", "--container", "alone", "--signal", "KILL", check=True, timeout=60)
        wait_for(lambda: not alive(pid) and not alive(c.init))
    finally:
        os.kill(daemon, signal.SIGCONT)
    wait_for(lambda: engine.docker("version", check=False).returncode == 0, 60)
    p.communicate(timeout=60)


@pytest.mark.slow
def test_what_an_engine_does_too_late_is_put_right(engine, make_warden, make_container):
    """It hears of a pause and of a resume that were given up on, carries both out at once, and in any order."""
    w = make_warden()
    c = make_container(by=w, name="late")
    p, pid, _ = busy(w, c)
    daemon = int((engine.dir / "pid").read_text())
    for _ in range(3):
        os.kill(daemon, signal.SIGSTOP)
        try:
            w.cli("pause", "--yes", "--container", "late", check=True, timeout=60)
            w.cli("resume", "--yes", "--container", "late", check=True, timeout=60)
        finally:
            os.kill(daemon, signal.SIGCONT)
        wait_for(lambda: engine.docker("version", check=False).returncode == 0, 60)
        wait_for(lambda: not state(engine, c)["Paused"] and not stands_still(pid), 30, "it goes on")
        time.sleep(3)
        assert not state(engine, c)["Paused"] and not stands_still(pid), w.log()
    w.cli("kill", "--yes", "--container", "late", "--signal", "KILL", check=True)
    p.communicate(timeout=60)


# ---- doors without an engine ----

@pytest.fixture
def box(engine, make_warden, make_container, tmp_path):
    """A warden without an engine, and a container that it knows by its cgroup alone."""
    parent, path = engine.parent("clawrdenswitch")
    w = make_warden(engine="none", prisoner=f"box,cgroup={path}", kill_grace="2s")
    c = make_container("--cgroup-parent", parent, by=w)
    c.door = path
    assert c.run("true").returncode == 0, w.log()
    return w, c


def test_a_door_without_an_engine_is_stopped_by_its_cgroup(engine, box, make_container):
    w, c = box
    stranger = make_container(by=w)
    p = c.popen(*BUSY)
    pid = wait_for(lambda: [r for r in json.loads(w.cli("running", "--json").stdout) if r["command_pid"]])[0]["command_pid"]
    done = w.cli("pause", "--yes", "--container", "box")
    assert done.returncode == 0 and "1 container" in done.stdout, done
    assert stands_still(pid) and stands_still(c.init)
    assert stranger.exec("true").returncode == 0
    w.kill()
    w.start()
    assert paused(w)[0]["container"] == "box"
    assert stands_still(c.init)
    w.cli("resume", "--yes", "--container", "box", check=True)
    wait_for(lambda: c.run("true").returncode == 0)
    p.kill()
    p.communicate()


def test_a_paused_door_stays_paused_when_its_cgroup_was_let_go_on(engine, box):
    w, c = box
    w.cli("pause", "--yes", "--container", "box", check=True)
    w.stop()
    for d in cgroup_dirs(c.door):
        for f, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if (d / f).exists():
                (d / f).write_text(text)
    assert c.exec("true").returncode == 0
    w.start()
    wait_for(lambda: any((d / f).exists() and (d / f).read_text().strip() in ("FROZEN", "1")
                         for d in cgroup_dirs(c.door) for f in ("freezer.state", "cgroup.freeze")))
    w.cli("resume", "--yes", "--container", "box", check=True)
    wait_for(lambda: c.run("true").returncode == 0)


def test_a_file_beside_the_hierarchies_does_not_hide_them(engine, box):
    """The root of cgroups version 1 is a tmpfs: whoever has root can leave a file there that looks like one of version 2."""
    w, c = box
    stray = CGROUPS / "cgroup.procs"
    made = not stray.exists()
    stray.touch()
    try:
        done = w.cli("pause", "--yes", "--container", "box", check=True)
        assert "1 container" in done.stdout and stands_still(c.init)
        w.cli("resume", "--yes", "--container", "box", check=True)
        wait_for(lambda: c.run("true").returncode == 0)
        w.cli("kill", "--yes", "--container", "box", "--signal", "KILL", check=True)
        wait_for(lambda: not alive(c.init), 30)
    finally:
        if made and not (CGROUPS / "cgroup.controllers").exists():
            stray.unlink()


def test_what_is_not_there_is_not_counted(engine, make_warden):
    w = make_warden(engine="none", prisoner="box,cgroup=/clawrden-test-nobody")
    assert w.cli("kill", "--yes", "--container", "box", check=True).stdout.strip().endswith("0 commands, 0 containers")
    assert w.cli("pause", "--yes", "--container", "box", check=True).stdout.strip() == "paused container box"
    assert paused(w)[0]["container"] == "box"


def test_a_decoy_does_not_lead_the_kill_astray(engine, make_warden, make_container):
    """A prisoner makes pid namespaces of its own and knocks from there: the kill is for the cgroup of the door."""
    parent, path = engine.parent("clawrdendecoy")
    w = make_warden(engine="none", prisoner=f"box,cgroup={path}", kill_grace="1s")
    c = make_container("--cgroup-parent", parent, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
                       "--security-opt", "apparmor=unconfined", by=w, user="0")
    knock = ("CLAWRDEN_SOCKET=/run/clawrden/warden.sock PATH=/opt/shims:/usr/bin:/bin "
             "unshare --pid --fork --mount-proc sh -c '/opt/shims/true; sleep 1000'")
    decoys = [c.popen("/bin/sh", "-c", knock) for _ in range(3)]
    wait_for(lambda: len(w.decisions()) >= 1 or "box" in w.log(), 20)
    done = w.cli("kill", "--yes", "--container", "box", "--signal", "KILL")
    assert done.returncode == 0 and "1 containers" in done.stdout, (done, w.log())
    wait_for(lambda: not alive(c.init), what="the container itself is dead, not only a decoy")
    for p in decoys:
        p.communicate(timeout=30)
    assert processes_in(path) == ""


def test_a_door_without_an_engine_is_killed_with_all_that_forks(engine, box):
    w, c = box
    bomb = c.popen("sh", "-c", "while :; do sleep 100 & done", stdin=subprocess.DEVNULL)
    time.sleep(1)
    w.cli("kill", "--yes", "--container", "box", check=True)  # TERM first, KILL after two seconds
    wait_for(lambda: not alive(c.init), 30)
    wait_for(lambda: processes_in(c.door) == "", 30, "nothing is left")
    bomb.communicate(timeout=30)
