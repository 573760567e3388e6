# SPDX-License-Identifier: MIT
"""Podman in the place of Docker: its containers, its compatible API. Without a daemon of its own that would have to run: `podman
system service` is started for the socket alone, by root."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

import image
from conftest import IMAGE, OPEN, Container, hierarchies, wait_for
from test_mirror import cgroup_pids, compare, facts, start_daemons
from test_switch import busy, stands_still

pytestmark = pytest.mark.slow


class Podman:
    """Speaks as conftest's Engine does."""
    # What Podman asks for by itself is more than a root without SYS_RESOURCE may raise.
    RUN = ("--network", "none", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=2000:4000")

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-podman-", dir="/var/tmp"))
        self.socket = self.dir / "podman.sock"
        manager = "systemd" if pathlib.Path("/run/systemd/system").exists() else "cgroupfs"
        self.client = ["podman", "--root", f"{self.dir}/data", "--runroot", f"{self.dir}/run", "--tmpdir", f"{self.dir}/tmp",
                       "--cgroup-manager", manager, "--runtime", "runc", "--events-backend", "file"]
        self.manager = manager
        self.process = None

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([*self.client, "system", "service", "--time", "0", f"unix://{self.socket}"], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.socket.exists, 60, "podman listens")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.socket.unlink(missing_ok=True)

    def docker(self, *args, check=True, input=None, timeout=120):
        if args[0] == "run":
            args = ("run", *self.RUN, *args[1:])
        done = subprocess.run([*self.client, *args], capture_output=True, input=input, timeout=timeout)
        assert not check or done.returncode == 0, (args, done.stderr)
        return done

    def text(self, *args):
        return self.docker(*args).stdout.decode().strip()

    def load(self):
        tar = self.dir / "image.tar"
        with open(tar, "wb") as out:
            image.write(out)
        self.docker("import", str(tar), IMAGE)
        tar.unlink()

    def close(self):
        self.docker("rm", "-f", "-t", "0", "-a", check=False)
        self.stop()
        # Its overlay stays mounted once; the directory is ours alone.
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            at = line.split()[4]
            if at.startswith(f"{self.dir}/"):
                subprocess.run(["umount", "-l", at], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def engine():
    assert shutil.which("podman"), "podman is missing: make deps"
    e = Podman()
    try:
        e.load()
        e.start()
        yield e
    finally:
        e.close()


@pytest.fixture(params=["native", "docker"])
def warden(request, make_warden):
    return make_warden(mirror=request.param)


def test_containers_are_known_by_name_and_label(warden, make_container):
    c = make_container("--label", "agent=blue", name="first")
    done = c.run("id")
    assert (done.returncode, done.stderr) == (0, b""), (done, warden.log())
    d = warden.decisions()[-1]
    assert (d["container"], d["labels"], d["executor"]) == ("first", {"agent": "blue"}, "mirror")
    assert c.run("rm", "-rf", "/app").returncode == 126


def test_a_name_of_a_cgroup_is_not_enough(make_warden, make_container, engine):
    w = make_warden(mirror="native")
    c = make_container(by=w, name="victim")
    assert c.run("true").returncode == 0
    dirs = [h / "clawrdenforged" / f"libpod-{c.id}.scope" for h in hierarchies() if not (h / "cpuset.cpus").exists()]
    try:
        for d in dirs:
            d.mkdir(parents=True)
        join = " ".join(f"echo $$ > {d}/cgroup.procs;" for d in dirs)
        done = subprocess.run(["/bin/sh", "-c", f"{join} exec {w.shim('true')}"], env=w.agent_env(), capture_output=True, timeout=30)
        assert done.returncode == 125 and b"is named like that of container" in done.stderr, done
    finally:
        for d in dirs:
            wait_for(lambda d=d: not (d / "cgroup.procs").read_text())
            d.rmdir()
            d.parent.rmdir()


@pytest.mark.parametrize("options, user", [([], "1000"), ([], "0"), (["--cap-drop", "ALL", "--read-only"], "1000"),
                                           (["--memory", "256m", "--pids-limit", "200"], "1000")], ids=str)
def test_parity_with_podman_exec(make_warden, make_container, options, user):
    c = make_container(*options, by=make_warden(mirror="native"), user=user)
    compare(c)


def test_bytes_and_statuses(warden, make_container):
    c = make_container()
    data = os.urandom(1 << 20)
    assert c.run("cat", input=data).stdout == data
    assert c.run("sh", "-c", "exit 37").returncode == 37
    assert c.run("sh", "-c", "kill -KILL $$").returncode == 137


def test_a_kill_leaves_nothing(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137
    wait_for(lambda: cgroup_pids(c) == [])


def test_a_timeout_ends_it(make_warden, make_container):
    w = make_warden(OPEN.replace("action: allow}", "action: allow, timeout: 1s}"), kill_grace="500ms", mirror="native")
    c = make_container(by=w)
    assert c.run("sleep", "100").returncode == 124
    wait_for(lambda: cgroup_pids(c) == [])


def state(engine, c):
    return json.loads(engine.text("inspect", c.id))[0]["State"]["Status"]


def test_a_container_is_paused_resumed_and_killed(engine, warden, make_container):
    c, other = make_container(name="still"), make_container(name="going")
    p, pid, _ = busy(warden, c)
    warden.cli("pause", "--yes", "--container", "still", check=True)
    assert state(engine, c) == "paused" and stands_still(pid) and stands_still(c.init)
    assert other.run("true").returncode == 0
    warden.cli("resume", "--yes", "--container", "still", check=True)
    wait_for(lambda: not stands_still(pid), what="it goes on")
    warden.cli("kill", "--yes", "--container", "still", "--signal", "KILL", check=True)
    wait_for(lambda: state(engine, c) == "exited")
    p.communicate(timeout=20)
    assert other.run("true").returncode == 0


def test_without_its_service_cgroups_do(engine, make_warden, make_container):
    """The API is away: who is known stays known, and pause and kill are by cgroup."""
    w = make_warden(mirror="native", kill_grace="1s")
    c = make_container(by=w, name="alone")
    p, pid, _ = busy(w, c)
    engine.stop()
    try:
        w.cli("pause", "--yes", "--container", "alone", check=True, timeout=60)
        assert stands_still(pid) and stands_still(c.init)
        w.cli("resume", "--yes", "--container", "alone", check=True, timeout=60)
        wait_for(lambda: not stands_still(pid))
        assert c.run("true").returncode == 0
        w.cli("kill", "--yes", "--container", "alone", "--signal", "KILL", check=True, timeout=60)
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists())
    finally:
        engine.start()
    p.communicate(timeout=20)
