# SPDX-License-Identifier: MIT
"""User namespaces, engines that go and come, a container that is paused or has no memory: the helper stands beside all of it."""
import json
import os
import pathlib
import subprocess
import time

import pytest

from conftest import OPEN, Container, Engine, patient, system, wait_for
from test_mirror import FACTS, facts
from test_switch import stands_still


@pytest.fixture(params=["native", "docker"])
def mode(request):
    return request.param


# ---- user namespaces ----

@pytest.fixture(scope="module")
def remapped():
    """Docker's --userns-remap, with subordinate ids that only this engine's mount namespace has."""
    e = Engine({"userns-remap": "nobody:nogroup"})
    e.dir.chmod(0o711)
    for name in ("subuid", "subgid"):
        (e.dir / name).write_text("nobody:500000:65536\nnogroup:500000:65536\n")
    e.prelude = f"for f in subuid subgid; do touch /etc/$f; mount --bind {e.dir}/$f /etc/$f || exit 1; done; "
    try:
        e.start()
        e.load()
        yield e
    finally:
        e.close()


def test_ids_of_a_user_namespace_are_translated(remapped, make_warden, mode):
    w = make_warden(engine=remapped.socket, mirror=mode)
    for user, outside in (("1000", 501000), ("0", 500000)):
        c = Container(remapped, w, user=user)
        try:
            done = c.run("id")
            assert (done.returncode, done.stdout) == (0, c.exec("/usr/bin/id").stdout), (done, w.log()[-2000:])
            assert w.decisions()[-1]["uid"] == outside
            plain, ours = facts(c.exec), facts(c.run)
            for key in ("status", "limits", "namespaces", "root", "clone3", "unshare", "mount", "label"):
                assert ours[key] == plain[key], key
            assert c.run("cat", input=b"x" * 300000).stdout == b"x" * 300000
            # What belongs to root of the host is nobody's in there.
            assert c.run("stat", "-c", "%u", "/opt/clawrden-shim").stdout == b"65534\n"
            before = len(w.decisions())
            p = c.popen("sh", "-c", "/usr/bin/sleep 1000 & exec /usr/bin/sleep 1000")
            d = wait_for(lambda: w.decisions()[before:], 20)[-1]
            wait_for(lambda: "running" in running(w), 20)
            w.cli("kill", "--yes", "--signal", "KILL", d["id"], check=True)
            assert p.wait(20) == 137
        finally:
            c.remove()


# ---- the engine ----

@pytest.fixture(scope="module")
def restarting():
    e = Engine({"live-restore": True})
    try:
        e.start()
        e.load()
        yield e
    finally:
        e.close()


def test_an_engine_that_dies_and_comes_back(restarting, make_warden):
    w = make_warden(engine=restarting.socket, mirror="native")
    c = Container(restarting, w)
    try:
        assert c.run("true").returncode == 0
        # From within, because docker exec needs the engine: a loop of governed commands.
        loop = ("import os, subprocess, sys\nfor i in range(100000):\n  r = subprocess.run(['/opt/shims/true'], capture_output=True)\n"
                "  open('/tmp/log', 'a').write(f'{r.returncode} {r.stderr}\\n')\n  import time; time.sleep(0.02)")
        restarting.docker("exec", "-d", "-u", "1000", *[x for e in c.ENV for x in ("-e", e)], c.id, "/usr/bin/python3", "-c", loop)
        log = pathlib.Path(f"/proc/{c.init}/root/tmp/log")
        wait_for(lambda: log.exists() and log.read_text().count("\n") > 3, 20)
        restarting.stop()
        begun = log.read_text().count("\n")
        wait_for(lambda: log.read_text().count("\n") > begun + 5, 20)
        assert "the engine is away" in wait_for(lambda: w.log() if "the engine is away" in w.log() else None)
        restarting.start()
        wait_for(lambda: w.log().count("the engine answers") >= 2, 20)
        begun = log.read_text().count("\n")
        wait_for(lambda: log.read_text().count("\n") > begun + 5, 20)
        assert set(log.read_text().splitlines()) == {"0 b''"}
        wait_for(lambda: c.exec("/opt/shims/id", check=False, env=c.ENV).returncode == 0, 30)
        fresh = Container(restarting, w, name="after-the-restart")
        assert fresh.run("true").returncode == 0 and w.decisions()[-1]["executor"] == "mirror"
        fresh.remove()
    finally:
        c.remove()


@pytest.mark.slow
def test_an_engine_killed_while_containers_are_paused(restarting, make_warden):
    w = make_warden(engine=restarting.socket, mirror="native")
    one, two = (Container(restarting, w, name=n) for n in ("killed-one", "killed-two"))

    def is_paused(c):
        return json.loads(restarting.text("inspect", c.id))[0]["State"]["Paused"]

    try:
        pids = {}
        for c in (one, two):
            script = "import subprocess\nsubprocess.run(['/opt/shims/sh', '-c', 'while :; do :; done'])"
            restarting.docker("exec", "-d", "-u", "1000", *[x for e in c.ENV for x in ("-e", e)], c.id, "/usr/bin/python3", "-c", script)
            rows = wait_for(lambda: [r for r in json.loads(w.cli("running", "--json", check=True).stdout) if r["container"] == c.name and r["command_pid"]], 30)
            pids[c.name] = rows[0]["command_pid"]
        w.cli("pause", "--yes", "--container", "killed-one", check=True)
        w.cli("panic", "--yes", check=True)
        restarting.kill()
        assert all(stands_still(p) for p in pids.values())
        # What the engine has stopped only it lets go on: that is said, and it stays paused.
        done = w.cli("resume", "--yes", "--container", "killed-two", timeout=60)
        assert done.returncode == 1, done
        restarting.start()
        wait_for(lambda: w.log().count("the engine answers") >= 2, 30, "the engine is back")
        assert is_paused(one) and is_paused(two) and all(stands_still(p) for p in pids.values())
        w.cli("resume", "--yes", "--container", "killed-one", check=True)
        assert stands_still(pids["killed-one"])  # with everything
        w.cli("resume", "--yes", "--all", check=True)
        wait_for(lambda: not any(stands_still(p) for p in pids.values()), 30, "both go on")
        assert not is_paused(one) and not is_paused(two)
        begun = time.monotonic()
        restarting.docker("rm", "-f", one.id, two.id)
        assert time.monotonic() - begun < patient(30)
    finally:
        one.remove()
        two.remove()


def test_a_kill_needs_no_engine(restarting, make_warden):
    """The engine is away while it runs a command: the kill is ours, and so is the word about its end."""
    w = make_warden(engine=restarting.socket, mirror="docker")
    c = Container(restarting, w)
    try:
        script = ("import subprocess\nr = subprocess.run(['/opt/shims/sleep', '1000'], capture_output=True)\n"
                  "open('/tmp/end', 'w').write(f'{r.returncode} {r.stderr}')")
        restarting.docker("exec", "-d", "-u", "1000", *[x for e in c.ENV for x in ("-e", e)], c.id, "/usr/bin/python3", "-c", script)
        d = wait_for(lambda: [x for x in w.decisions() if x["decision"] == "allow"], 20)[-1]
        wait_for(lambda: '"state":"running"' in running(w).replace(" ", ""), 20)
        restarting.stop()
        w.cli("kill", "--yes", "--signal", "KILL", d["id"], check=True)
        end = pathlib.Path(f"/proc/{c.init}/root/tmp/end")
        wait_for(lambda: end.exists() and end.read_text(), 20)
        assert end.read_text().startswith(("-9 ", "137 ")), end.read_text()
    finally:
        if restarting.process.poll() is not None:
            restarting.start()
        c.remove()


def running(w):
    return w.cli("running", "--json").stdout


# ---- the helper ----

def helper_of(w):
    return int(subprocess.check_output(["pgrep", "-P", str(w.pid)]).split()[0])


def test_the_helper_runs_from_memory_that_nobody_can_change(make_warden):
    import fcntl
    w = make_warden()
    pid = helper_of(w)
    exe = os.readlink(f"/proc/{pid}/exe")
    assert exe.startswith("/memfd:clawrden-mirror"), exe
    fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
    try:
        seals = fcntl.fcntl(fd, 1034)  # F_GET_SEALS
    finally:
        os.close(fd)
    assert seals & 0xf == 0xf, hex(seals)  # no seal, no shrinking, no growing, no writing
    with pytest.raises(OSError):
        os.open(f"/proc/{pid}/exe", os.O_RDWR)


def test_the_helper_stands_outside_of_every_cgroup_and_namespace(make_warden, make_container, mode):
    w = make_warden(mirror=mode)
    c = make_container("-m", "64m", "--pids-limit", "30", by=w)
    p = c.popen("sleep", "1000")
    wait_for(lambda: "sleep" in running(w), 20)
    helpers = [helper_of(w)]
    helpers += [int(x) for x in subprocess.run(["pgrep", "-P", str(helpers[0])], capture_output=True, text=True).stdout.split()]
    for pid in helpers:
        assert c.id not in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        for kind in ("pid", "mnt", "net", "ipc", "uts"):
            assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{w.pid}/ns/{kind}"), kind
        # a worker that has looked at files in there is back
        assert os.path.samefile(f"/proc/{pid}/root", f"/proc/{w.pid}/root")
        assert pid == helpers[0] or os.readlink(f"/proc/{pid}/cwd") == "/proc"
    c.remove()
    p.wait(20)


def test_a_container_out_of_memory_or_pids_or_paused_holds_up_nobody_else(engine, make_warden, make_container, mode):
    w = make_warden(mirror=mode)
    full = make_container("-m", "64m", "--memory-swap", "64m", "--pids-limit", "25", by=w,
                          command=("sh", "-c", "while :; do sleep 0.2; done"))  # a first process that reaps what falls to it
    other = make_container(by=w)
    helper, last = helper_of(w), []
    done = full.run("python3", "-c", "x = bytearray(200 << 20)")
    assert done.returncode == 137
    bomb = full.popen("python3", "-c", "import os, time\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(1000)\n  except OSError: time.sleep(0.1)")
    time.sleep(1)
    for _ in range(3):
        assert other.run("true").returncode == 0
    engine.docker("pause", full.id)
    for _ in range(3):
        assert other.run("true").returncode == 0
    engine.docker("unpause", full.id)
    w.cli("kill", "--yes", "--signal", "KILL", w.decisions()[0]["id"])
    for d in w.decisions():
        if d["container"] == full.name:
            w.cli("kill", "--yes", "--signal", "KILL", d["id"])
    bomb.wait(30)
    wait_for(lambda: last.append(full.run("true")) or last[-1].returncode == 0, 30)
    assert helper_of(w) == helper and "the helper died" not in w.log()
