# SPDX-License-Identifier: MIT
"""Who is calling: containers are named by the engine, and bound to callers by the kernel's word alone."""
import os
import pathlib
import subprocess
import time

import pytest

from conftest import BIN, OPEN, SHIMMED, Container, hierarchies, system, wait_for


def test_an_allowed_command_runs_in_its_container(warden, make_container):
    c = make_container("--label", "agent=blue", "--label", "odd=a \"b\"\n", name="first")
    done = c.run("id")
    assert (done.returncode, done.stderr) == (0, b""), warden.log()
    assert b"uid=1000(agent)" in done.stdout
    d = warden.decisions()[-1]
    assert d["container"] == "first" and d["executor"] == "mirror"
    assert d["labels"] == {"agent": "blue", "odd": "a \"b\"\n"}
    assert warden.ends()[-1]["id"] == d["id"]


def test_a_denied_command_says_why(warden, make_container):
    c = make_container()
    done = c.run("rm", "-rf", "/app")
    assert done.returncode == 126
    assert b"nothing is deleted here" in done.stderr and b"leave it" in done.stderr


def test_a_person_is_asked_and_answers(warden, make_container):
    c = make_container(name="asking")
    p = c.popen("git", "push")
    row = wait_for(lambda: warden.queue() and warden.queue()[0])
    assert row["container"] == "asking"
    warden.cli("deny", row["id"], "--comment", "not today", check=True)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 126 and b"not today" in err


def test_a_container_that_has_just_started_is_known(warden, make_container):
    for i in range(5):
        c = make_container(name=f"fresh-{i}")
        assert c.run("true").returncode == 0, warden.log()
        assert warden.decisions()[-1]["container"] == f"fresh-{i}"


def test_a_new_name_and_a_new_life_are_noticed(engine, warden, make_container):
    # Docker 26 renames no container whose network is the default of an engine that has none.
    c = make_container("--network", "none", name="before")
    assert c.run("true").returncode == 0
    engine.docker("rename", c.id, "after")
    wait_for(lambda: c.run("true").returncode == 0 and warden.decisions()[-1]["container"] == "after")
    engine.docker("restart", "-t", "0", c.id)
    wait_for(lambda: c.run("true").returncode == 0)
    assert warden.decisions()[-1]["container"] == "after"


RULES = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {command: "true", container: "one*", action: allow}
  - {command: "true", labels: {tier: gold}, action: allow}
"""


def test_rules_look_at_names_and_labels(make_warden, make_container):
    w = make_warden(RULES)
    one, gold = make_container(by=w, name="one-1"), make_container("--label", "tier=gold", by=w, name="two")
    none = make_container("--label", "tier=iron", by=w, name="three")
    assert [c.run("true").returncode for c in (one, gold, none)] == [0, 0, 126]


def test_callers_of_the_host_stay_on_the_host(warden):
    done = warden.run("id")
    assert done.returncode == 0, done
    assert warden.decisions()[-1]["container"] is None and warden.decisions()[-1]["executor"] == "local"


# ---- doors of prisoners ----

def shim_at(directory, *argv, **kw):
    """A shim of the host at another socket."""
    env = {"CLAWRDEN_SOCKET": f"{directory}/warden.sock", "PATH": "/usr/bin:/bin"}
    return subprocess.run([argv[0], *argv[1:]], executable=kw.pop("shim"), env=env, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, **kw)


def test_a_door_serves_its_own_prisoner_only(make_warden, make_container, tmp_path):
    doors = {k: tmp_path / k for k in ("mine", "theirs", "blue")}
    tmp_path.chmod(0o755)
    w = make_warden(door=f"mine={doors['mine']};theirs={doors['theirs']};any={doors['blue']},label=agent=blue")
    mine = make_container(by=w, name="mine", socket_dir=doors["mine"])
    assert mine.run("true").returncode == 0, w.log()
    stranger = make_container(by=w, name="stranger", socket_dir=doors["mine"])
    done = stranger.run("true")
    assert done.returncode == 125 and b"this socket belongs to 'mine', and the caller is in container stranger" in done.stderr
    blue = make_container("--label", "agent=blue", by=w, socket_dir=doors["blue"])
    green = make_container("--label", "agent=green", by=w, socket_dir=doors["blue"])
    assert (blue.run("true").returncode, green.run("true").returncode) == (0, 125)
    done = shim_at(doors["theirs"], "true", shim=w.shim("true"))
    assert done.returncode == 125 and b"the caller is on the host" in done.stderr


def test_a_door_holds_its_socket_and_nothing_else(make_warden, make_container, tmp_path):
    tmp_path.chmod(0o755)
    w = make_warden(door=f"mine={tmp_path / 'mine'}")
    assert os.listdir(tmp_path / "mine") == ["warden.sock"]
    c = make_container(by=w, name="mine", socket_dir=tmp_path / "mine")
    w.restart()
    assert c.run("true").returncode == 0  # a directory that is mounted shows the new socket
    assert c.exec("touch", "/run/clawrden/x", check=False, user="0").returncode != 0


def test_the_socket_can_belong_to_one_prisoner(make_warden, make_container):
    w = make_warden(prisoner="only")
    assert make_container(by=w, name="only").run("true").returncode == 0
    assert make_container(by=w, name="other").run("true").returncode == 125
    assert w.run("true").returncode == 125


def test_without_an_engine_a_door_knows_a_cgroup(engine, make_warden, make_container, tmp_path):
    tmp_path.chmod(0o755)
    parent, path = engine.parent("clawrdenwho")
    w = make_warden(engine="none", prisoner=f"box,cgroup={path}")
    inside = make_container("--cgroup-parent", parent, by=w)
    outside = make_container(by=w)
    done = inside.run("id")
    assert done.returncode == 0 and b"agent" in done.stdout, w.log()
    assert w.decisions()[-1]["container"] == "box"
    assert outside.run("id").returncode == 125


def test_without_an_engine_nobody_in_a_container_is_served(make_warden, make_container):
    w = make_warden(engine="none")
    done = make_container(by=w).run("id")
    assert done.returncode == 125 and b"namespace of its own" in done.stderr


def test_an_engine_that_is_away_is_no_reason_to_run(make_warden, make_container, tmp_path):
    w = make_warden(engine=tmp_path / "nothing.sock")
    done = make_container(by=w).run("id")
    assert done.returncode == 125 and b"the engine knows no running container" in done.stderr
    assert "asking again every second" in w.log()
    assert w.run("true").returncode == 0  # callers of the host have nothing to do with it


# ---- what a caller may pretend ----

def test_a_forged_cgroup_name_is_no_container(warden, make_container):
    c = make_container(name="victim")
    assert c.run("true").returncode == 0
    dirs = [h / "clawrden-forged" / "docker" / c.id for h in hierarchies()]
    try:
        for d in dirs:
            d.mkdir(parents=True)
            for f in ("cpuset.cpus", "cpuset.mems"):  # version 1 lets nobody in without; in version 2 empty is the parent's, and the root has none
                for p in (d.parent.parent, d.parent, d):
                    if (p.parent / f).exists() and (p / f).exists() and not (p / f).read_text().strip():
                        (p / f).write_text((p.parent / f).read_text())
        join = " ".join(f"echo $$ > {d}/cgroup.procs;" for d in dirs)
        env = warden.agent_env()
        done = subprocess.run(["/bin/sh", "-c", f"{join} exec {warden.shim('true')}"], env=env, capture_output=True, timeout=30)
        assert done.returncode == 125 and b"is named like that of container" in done.stderr, done
        assert warden.decisions()[-1]["pid"] != 0
    finally:
        for d in dirs:
            for p in (d, d.parent, d.parent.parent):
                wait_for(lambda p=p: not p.exists() or not (p / "cgroup.procs").read_text())
                if p.exists():
                    p.rmdir()


def test_a_warden_that_cannot_see_its_callers_says_what_to_set(make_warden, engine, tmp_path):
    w = system.Warden(OPEN, {"engine": "none"}, start=False)
    try:
        command = w.command()
        w.command = lambda: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
        w.start()
        done = w.run("true")
        assert done.returncode == 125 and b"pid: host" in done.stderr, (done, w.log())
        assert "--pid=host" in w.log()
    finally:
        w.expect_exit = None
        w.process.kill()
        w.process.wait()
        w.process = None
        w.close()
