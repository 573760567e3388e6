# SPDX-License-Identifier: MIT
"""The kill switch over trees under `clawrden run`: panic reaches every session, all of a tree stands still and goes on,
one program of it alone, kill at once."""
import contextlib
import json
import os
import pathlib
import signal
import time

import pytest

import gate_case
from conftest import AGENT_UID, needs_root, wait_for
from runs import POLICY, make_run  # noqa: F401: a fixture
from test_gate import cgroups_here

# Two busy shells below the agent, one of which has lost its parent, and a sleeper that its shell has stopped.
TREE = """\
sh -c 'echo $$ >one; while :; do :; done' &
sh -c 'sh -c "echo \\$\\$ >two; while :; do :; done" & exit'
sh -c 'echo $$ >three; kill -STOP $$; while :; do :; done' &
touch ready; while :; do :; done
"""


def states(r):
    """State and ticks of all that stands in the workspace, without what is ours."""
    found = {}
    for pid, command in r.left():
        if pathlib.Path(command.split(b"\0")[0].decode()).name.startswith("clawrden"):
            continue
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            found[pid] = fields[0], int(fields[11]) + int(fields[12])
    return found


def stands_still(r):
    before = states(r)
    time.sleep(0.3)
    return before and states(r) == before


def ticks(pid, seconds):
    """How much of the processor it had meanwhile."""
    read = lambda: sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    before = read()
    time.sleep(seconds)
    return read() - before


def moves(r):
    """How many of them used the processor."""
    before = states(r)
    time.sleep(0.5)
    after = states(r)
    return sum(before.get(p, ("", 0))[1] != t for p, (_, t) in after.items())


def tree(make_run, user=None):
    r = make_run(user=user)
    p = r.popen("sh", "-c", TREE, options={"name": "tree"})
    wait_for(lambda: all((r.work / f).exists() for f in ("one", "two", "three", "ready")), 30, "the tree stands")
    wait_for(lambda: any(s == "T" for s, _ in states(r).values()), 10, "one stopped itself")
    return r, p


def rows(r):
    return json.loads(r.cli("running", "--json").stdout)


USERS = [None, AGENT_UID] if os.geteuid() == 0 else [None]


@pytest.mark.parametrize("user", USERS)
def test_panic_stops_all_of_a_tree(make_run, user):
    r, p = tree(make_run, user)
    done = r.cli("panic", "--yes", "--reason", "what is this")
    assert done.returncode == 0 and "commands" in done.stdout, done
    assert stands_still(r), states(r)
    assert all(s in "TZ" for s, _ in states(r).values()), states(r)
    assert "paused" in r.cli("status").stdout
    asleep = [pid for pid, (s, _) in states(r).items()]
    done = r.cli("resume", "--yes", "--all")
    assert done.returncode == 0, done
    wait_for(lambda: moves(r) >= 3, 10, "it goes on")
    kept = [pid for pid, (s, _) in states(r).items() if s == "T"]
    assert len(kept) == 1 and kept[0] in asleep, states(r)  # who had stopped itself stays so
    done = r.cli("panic", "--yes")
    assert done.returncode == 0 and stands_still(r)
    done = r.cli("kill", "--yes", "--all")
    assert done.returncode == 0, done
    p.wait(30)
    assert not r.left()
    kinds = [x["event"] for x in r.records() if x["event"] in ("pause", "resume", "kill")]
    assert kinds == ["pause", "resume", "pause", "kill"]


def test_panic_reaches_every_session(make_run):
    r = make_run()
    runs = [r.popen("sh", "-c", f"touch up{i}; while :; do :; done", options={"name": f"s{i}"}) for i in range(2)]
    wait_for(lambda: (r.work / "up0").exists() and (r.work / "up1").exists(), 30, "both run")
    assert r.cli("panic", "--yes").returncode == 0
    assert stands_still(r)
    # One of them by its name, the other stays as it is.
    assert r.cli("--session", "s1", "resume", "--yes", "--all").returncode == 0
    wait_for(lambda: moves(r) >= 1, 10, "one goes on")
    assert sum(s == "T" for s, _ in states(r).values()) >= 1
    assert r.cli("kill", "--yes", "--all").returncode == 0
    for p in runs:
        p.wait(30)


def test_one_program_of_a_tree_stands_still_alone(make_run):
    r, p = tree(make_run)
    one = int((r.work / "one").read_text())
    busy = next(x for x in rows(r) if "one" in json.dumps(x["args"]) and "two" not in json.dumps(x["args"]))
    assert r.cli("pause", "--yes", busy["id"]).returncode == 0
    assert sum(s == "T" for s, _ in states(r).values()) == 2 and moves(r) >= 2  # and the one that stopped itself
    # Paused twice, by itself and with everything: it goes on with everything, as each pause ends.
    assert r.cli("panic", "--yes").returncode == 0 and stands_still(r)
    assert r.cli("resume", "--yes", "--all").returncode == 0
    wait_for(lambda: moves(r) >= 3, 10, "all go on")
    assert r.cli("pause", "--yes", busy["id"]).returncode == 0
    assert r.cli("kill", "--yes", busy["id"]).returncode == 0
    wait_for(lambda: len([x for x in rows(r) if x["id"] == busy["id"]]) == 0, 10, "it was killed at once")
    assert p.poll() is None and one
    r.cli("kill", "--yes", "--all")
    p.wait(30)


LOST = "dash -c '( (read p rest </proc/self/stat; echo $p >lost; while :; do :; done) & ) ; sleep 100; :' & wait"
LIMITED = POLICY.replace("rules:\n", "rules:\n  - {name: limited, command: dash, action: allow, timeout: 30s}\n")


def test_what_lost_its_parent_stands_still_with_everything(make_run):
    r = make_run(policy=LIMITED)
    p = r.popen("bash", "-c", LOST, options={"name": "limited"})
    wait_for(lambda: (r.work / "lost").exists() and (r.work / "lost").read_text(), 30, "it runs")
    done = r.cli("pause", "--yes", "--all")
    assert done.returncode == 0 and stands_still(r), (done, states(r))
    assert r.cli("resume", "--yes", "--all").returncode == 0
    wait_for(lambda: moves(r) >= 1, 10, "it goes on")
    assert r.cli("kill", "--yes", "--all").returncode == 0
    p.wait(30)


@needs_root
def test_what_has_a_time_limit_stands_still_in_its_cgroup(make_warden):
    if not cgroups_here():
        pytest.skip("no cgroup of version 2 can be made here")
    w = make_warden(LIMITED)
    p = gate_case.popen(w, "bash", "-c", LOST, cwd=w.work)
    wait_for(lambda: (w.work / "lost").exists() and (w.work / "lost").read_text(), 30, "it runs")
    lost = int((w.work / "lost").read_text())
    row = next(x for x in json.loads(w.cli("running", "--json").stdout) if x["rule"] == "limited")
    for target in ([row["id"]], ["--all"]):
        done = w.cli("pause", "--yes", *target)
        assert done.returncode == 0, (done, w.log())
        assert not ticks(lost, 0.3)
        assert pathlib.Path(f"/proc/{lost}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"  # not by a signal
        w.cli("resume", "--yes", *target, check=True)
        assert wait_for(lambda: ticks(lost, 0.2), 10, "it goes on")
    w.cli("pause", "--yes", "--all", check=True)
    w.cli("kill", "--yes", "--all", check=True)
    wait_for(lambda: not pathlib.Path(f"/proc/{lost}").exists(), 10, "what is frozen is killed")
    p.wait(30)


@needs_root
def test_a_tree_goes_on_when_its_warden_is_gone(make_warden):
    w = make_warden(LIMITED)
    p = gate_case.popen(w, "bash", "-c", "echo $$ >up; while :; do :; done", cwd=w.work, uid=AGENT_UID)
    wait_for(lambda: (w.work / "up").exists() and (w.work / "up").read_text(), 30, "it runs")
    pid = int((w.work / "up").read_text())
    try:
        w.cli("pause", "--yes", "--all", check=True)
        assert not ticks(pid, 0.3)
        w.kill()
        wait_for(lambda: ticks(pid, 0.2), 10, "nobody else would let it go on")
    finally:
        p.kill()
        os.kill(pid, signal.SIGKILL)  # what was let go outlives its gate


def test_a_stopped_tree_is_not_woken_by_who_started_it(make_run):
    r, p = tree(make_run)
    assert r.cli("panic", "--yes").returncode == 0 and stands_still(r)
    p.send_signal(signal.SIGCONT)  # as a shell's fg does
    assert stands_still(r)
    # What it asked in the middle waits; a program that is on its way is judged after the resume.
    assert r.cli("kill", "--yes", "--all").returncode == 0
    p.wait(30)


def test_programs_that_start_all_the_time_are_caught(make_run):
    r = make_run()
    p = r.popen("sh", "-c", "touch up; while :; do /bin/true; /bin/true & done", options={"name": "forks"})
    wait_for(lambda: (r.work / "up").exists(), 30, "it runs")
    for _ in range(5):
        done = r.cli("panic", "--yes")
        assert done.returncode == 0, (done, rows(r), states(r))
        before = len(r.records())
        assert stands_still(r)
        assert len(r.records()) == before  # nothing was started meanwhile
        assert r.cli("resume", "--yes", "--all").returncode == 0
        wait_for(lambda: len(r.records()) > before + 4, 10, "it goes on")
    assert r.cli("kill", "--yes", "--all").returncode == 0
    p.wait(30)
