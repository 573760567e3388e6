# SPDX-License-Identifier: MIT
"""The unit of systemd, installed and run by a real one: readiness, reload, restart with what waits, watchdog, crash, and governing a
container from within its walls. It changes the machine: conftest.py takes it in only where vm.sh says that this one is thrown away."""
import grp
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import AGENT, OPEN, Container, patient, system, wait_for
from test_mirror import compare

NAME = "clawrden-warden"
ETC, DROP_INS = pathlib.Path("/etc/clawrden"), pathlib.Path(f"/etc/systemd/system/{NAME}.service.d")
CLI = "/usr/local/bin/clawrden"


def sh(*argv, check=True, **kw):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **kw)
    assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
    return done


def shown(name):
    return sh("systemctl", "show", "--value", "-p", name, NAME).stdout.strip()


class Unit:
    """What the tests of containers know as a warden."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-test-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.socket = pathlib.Path("/run/clawrden/warden.sock")

    def set_policy(self, text):
        (ETC / "policy.yaml").write_text(text)

    def cli(self, *args, **kw):
        return sh(CLI, *args, **kw)

    def rows(self, what):
        return json.loads(self.cli(what, "--json").stdout)

    def agent(self, *argv, **kw):
        """A shim on the host, of somebody who is in the group."""
        shim = self.dir / argv[0]
        if not shim.is_symlink():
            shim.symlink_to("/usr/local/libexec/clawrden/clawrden-shim")
        ids = {"user": AGENT, "group": AGENT, "extra_groups": [grp.getgrnam("clawrden").gr_gid]} | kw
        return subprocess.Popen(argv, executable=shim, cwd="/tmp", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"CLAWRDEN_SOCKET": str(self.socket), "PATH": "/usr/bin:/bin"}, **ids)


@pytest.fixture(scope="module")
def installed(engine):
    sh("build-aux/install.sh", "install", "", "/usr/local", cwd=system.ROOT)
    sh("systemd-sysusers")
    subprocess.run(["systemd-tmpfiles", "--create", "clawrden.conf"], check=True)
    u = Unit()
    u.set_policy(OPEN)
    (ETC / "clawrden.yaml").write_text(f"socket-group: clawrden\ndrain-timeout: 1s\nengine: {engine.socket}\n"
                                       "door: box=/run/clawrden/box,label=governed\n")
    DROP_INS.mkdir(parents=True, exist_ok=True)
    (DROP_INS / "test.conf").write_text(f"[Service]\nWatchdogSec={patient(2)}\n")
    sh("systemctl", "daemon-reload")
    yield u
    sh("systemctl", "stop", NAME, check=False)
    shutil.rmtree(DROP_INS)
    shutil.rmtree(u.dir)


@pytest.fixture
def unit(installed):
    """It runs, with OPEN in force."""
    installed.set_policy(OPEN)
    sh("systemctl", "reset-failed", NAME, check=False)
    sh("systemctl", "restart", NAME)
    return installed


@pytest.fixture
def governed(engine, unit):
    """A container at its door: not everybody's group may use the warden's own socket."""
    made = []

    def make(*options, **kw):
        made.append(Container(engine, unit, "--label", "governed", *options, socket_dir="/run/clawrden/box", **kw))
        return made[-1]

    yield make
    for c in made:
        c.remove()


@pytest.fixture
def container(governed):
    return governed()


def test_it_is_installed_with_its_directories_and_its_group(unit):
    modes = {p: oct(os.stat(p).st_mode & 0o7777) for p in ("/run/clawrden", "/etc/clawrden", "/var/lib/clawrden", "/var/log/clawrden")}
    assert list(modes.values()) == ["0o755", "0o755", "0o700", "0o700"], modes
    sh("systemd-analyze", "verify", "--man=no", f"/usr/local/lib/systemd/system/{NAME}.service")
    assert (shown("ActiveState"), shown("Type"), shown("NotifyAccess")) == ("active", "notify", "main")
    assert re.fullmatch(r"\d+ rules in force", shown("StatusText"))
    score = sh("systemd-analyze", "security", "--no-pager", NAME).stdout.strip().splitlines()[-1]
    print(score)
    assert "8." in score, score


def test_a_person_and_an_agent_of_the_host(unit):
    assert unit.cli("status").returncode == 0
    p = unit.agent("id", "-u")
    assert p.communicate(timeout=60) == (f"{AGENT}\n", "") and p.returncode == 0
    p = unit.agent("id", "-u", extra_groups=[])  # not in the group
    assert p.communicate(timeout=60)[0] == "" and p.returncode == 125
    assert unit.cli("audit", "verify").returncode == 0


def test_a_container_is_governed_from_within_the_units_walls(unit, governed, container):
    for c in (container, governed("--ulimit", "nofile=9000:9000", "--ulimit", "core=-1", user="0")):
        for _ in range(3):  # with and without a seat
            compare(c)
    assert container.run("rm", "x").returncode == 126
    p = container.popen("sleep", "1000")
    wait_for(lambda: [r for r in unit.rows("running") if r["command_pid"]], 20)
    unit.cli("pause", "--yes", "--container", container.name)
    unit.cli("resume", "--yes", "--container", container.name)
    unit.cli("kill", "--yes", "--container", container.name, "--signal", "KILL")
    p.communicate(timeout=60)


def test_a_container_with_a_capability_that_the_unit_gave_up_is_refused(governed):
    c = governed("--cap-add", "SYSLOG", user="0")
    try:
        done = c.run("true")
        assert done.returncode == 125 and b"clawrden:" in done.stderr, done
        (DROP_INS / "caps.conf").write_text("[Service]\nCapabilityBoundingSet=CAP_SYSLOG\n")
        sh("systemctl", "daemon-reload")
        sh("systemctl", "restart", NAME)
        compare(c)
    finally:
        (DROP_INS / "caps.conf").unlink(missing_ok=True)
        sh("systemctl", "daemon-reload")


def test_reload(unit):
    pid = shown("MainPID")
    unit.set_policy(OPEN + "  - {name: one-more, command: nothing, action: allow}\n")
    rules = OPEN.count("command:") + 1
    sh("systemctl", "reload", NAME)
    wait_for(lambda: shown("StatusText") == f"{rules} rules in force", 20)
    unit.set_policy("rules: [")
    sh("systemctl", "reload", NAME, check=False)
    wait_for(lambda: unit.rows("status")["policy"]["error"], 20)
    assert (shown("MainPID"), shown("ActiveState"), unit.rows("status")["policy"]["rules"]) == (pid, "active", rules)


def test_a_restart_with_what_waits_and_what_runs(unit, container):
    version = unit.rows("status")["policy"]["version"]
    unit.set_policy(OPEN.replace("command: git", "command: date"))
    sh("systemctl", "reload", NAME)
    wait_for(lambda: unit.rows("status")["policy"]["version"] != version, 20)
    waits = container.popen("date", "+%Y")
    runs = container.popen("sleep", "1000")
    row = wait_for(lambda: unit.rows("queue"), 20)[0]
    pid = wait_for(lambda: [r["command_pid"] for r in unit.rows("running") if r["command_pid"]], 20)[0]
    sh("systemctl", "restart", NAME)
    assert not os.path.exists(f"/proc/{pid}") and runs.wait(60) != 0
    again = wait_for(lambda: unit.rows("queue"), 30)[0]
    assert again["id"] == row["id"]
    unit.cli("approve", row["id"])
    out, words = waits.communicate(timeout=60)
    assert (waits.returncode, out[:2]) == (0, b"20"), words


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_is_started_again(unit, container, how):
    """A crash by Restart=, one that stands still by the watchdog. What ran under it has ended."""
    runs = container.popen("sleep", "1000")
    command = wait_for(lambda: [r["command_pid"] for r in unit.rows("running") if r["command_pid"]], 20)[0]
    pid = int(shown("MainPID"))
    os.kill(pid, how)
    wait_for(lambda: shown("MainPID") not in ("0", str(pid)) and shown("ActiveState") == "active", 60, "it was started again")
    wait_for(lambda: not os.path.exists(f"/proc/{command}"), 20)
    runs.communicate(timeout=60)
    assert shown("NRestarts") == "1"
    wait_for(lambda: container.run("true").returncode == 0, 30)
    assert unit.cli("audit", "verify").returncode == 0


def test_a_policy_that_is_wrong_is_no_reason_to_start_over_and_over(unit):
    sh("systemctl", "stop", NAME)
    unit.set_policy("rules: [")
    assert sh("systemctl", "start", NAME, check=False).returncode != 0
    wait_for(lambda: shown("ActiveState") == "failed", 20)
    assert (shown("ExecMainStatus"), shown("NRestarts")) == ("78", "0")


def test_stop_leaves_what_containers_have_mounted(unit, container):
    p = container.popen("sleep", "1000")
    wait_for(lambda: [r for r in unit.rows("running") if r["command_pid"]], 20)
    sh("systemctl", "stop", NAME)
    assert p.wait(60) != 0
    assert shown("ActiveState") == "inactive" and pathlib.Path("/run/clawrden").is_dir()
    assert container.run("true").returncode == 125
    sh("systemctl", "start", NAME)
    wait_for(lambda: container.run("true").returncode == 0, 30)
