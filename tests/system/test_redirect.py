# SPDX-License-Identifier: MIT
"""What a rule gives to the executor 'ghost' becomes the shim under a gate, and the shim asks for it. The executor here is the
tests' own (tests/ghost), which starts commands on this host."""
import os
import pathlib
import shutil
import time

import pytest

import gate_case
from conftest import AGENT_UID, BIN, ROOT, needs_root, wait_for

pytestmark = needs_root
GHOST_WARDEN = ROOT / "build/dynamic/tests/ghost/clawrden-warden-ghost"
TOOL = f"clawrden-test-npm-{os.getpid()}"
POLICY = f"""\
default_action: allow
allowed_paths: ["/*"]
unknown_executable: deny
rules:
  - {{name: no-utc, command: date, args: -u, action: deny, reason: "no"}}
  - {{name: out, command: date, action: allow, executor: ghost}}
  - {{name: asked-out, command: uname, action: ask, executor: ghost, approval_timeout: 60s}}
  - {{name: tool-out, command: {TOOL}, action: allow, executor: ghost}}
"""


@pytest.fixture(scope="module")
def shim():
    """Where a trusted shim lies in such a tree."""
    place = pathlib.Path(f"/usr/local/lib/clawrden-test-{os.getpid()}")
    place.mkdir()
    shutil.copy(BIN / "clawrden-shim", place / "clawrden-shim")
    yield place / "clawrden-shim"
    shutil.rmtree(place)


def ghostly(make_warden, shim, policy=POLICY):
    return make_warden(policy, options={"gate_shim": str(shim)}, program=GHOST_WARDEN, env={"CLAWRDEN_TEST_GHOST": str(ROOT / "tests/ghost/start.py")})


@pytest.fixture
def warden(make_warden, shim):
    return ghostly(make_warden, shim)


def decided(w):
    """(door, command, args, decision, executor) of each."""
    return [(r["door"], r["command"], r["args"], r["decision"], r["executor"]) for r in w.decisions()]


@pytest.mark.parametrize("way", ["date +now:%%", "/usr/bin/date +now:%%", "env -i /usr/bin/date +now:%%", "bash -lc 'date +now:%%'",
                                 "ln -s /usr/bin/date clock; ./clock +now:%%"])
def test_what_runs_elsewhere_is_asked_for_by_the_shim(warden, tmp_path, way):
    way = way.replace("env -i", f"env -i CLAWRDEN_SOCKET={warden.socket}")
    os.chmod(warden.work, 0o777)
    done = gate_case.sh(warden, way, uid=AGENT_UID)
    assert (done.returncode, done.stdout) == (0, "now:%\n"), done.stderr
    records = [d for d in decided(warden) if "+now:%%" in d[2] and d[1] in ("date", "clock")]
    assert [(d[0], d[3], d[4]) for d in records] == [("gate", "allow", "redirect"), ("shim", "allow", "ghost")], records
    assert records[1][1] == "date", "the shim stands in for the tool, not for the name of a link"
    ids = {d["id"] for d in warden.decisions() if d["executor"] in ("redirect", "ghost")}
    wait_for(lambda: len([r for r in warden.ends() if r["id"] in ids]) == 2)
    assert [r["exit_code"] for r in warden.ends() if r["id"] in ids] == [0, 0]


def test_a_person_is_asked_once(warden):
    p = gate_case.popen(warden, "/usr/bin/uname", "-s", uid=AGENT_UID)
    q = warden.wait_queue(1)[0]
    assert q["door"] == "shim" and q["command"] == "uname" and q["args"] == ["-s"]
    assert warden.cli("approve", q["id"]).returncode == 0
    out, err = p.communicate(timeout=20)
    assert (p.returncode, out) == (0, "Linux\n"), err
    assert [d[3:] for d in decided(warden)] == [("allow", "redirect"), ("ask-approved", "ghost")]


def test_no_from_that_person_is_its_end(warden):
    p = gate_case.popen(warden, "/usr/bin/uname", "-s", uid=AGENT_UID)
    assert warden.cli("deny", warden.wait_queue(1)[0]["id"]).returncode == 0
    out, err = p.communicate(timeout=20)
    assert p.returncode == 126 and out == "" and "refused" in err


def test_a_denial_needs_no_shim(warden):
    done = gate_case.sh(warden, "/usr/bin/date -u", uid=AGENT_UID)
    assert done.returncode == 126 and "refused by no-utc" in done.stderr
    assert [d for d in decided(warden) if d[0] == "shim"] == []


def test_arguments_of_an_interpreter_do_not_go_along(warden, shim):
    """A tool that is a script: the shim stands in for the tool, with the tool's arguments."""
    tool = pathlib.Path("/usr/bin") / TOOL
    tool.write_text("#!/bin/sh\necho $0 \"$@\"\n")
    tool.chmod(0o755)
    try:
        done = gate_case.run(warden, TOOL, "install", "a b", uid=AGENT_UID)
    finally:
        tool.unlink()
    assert done.returncode == 0 and done.stdout == f"/usr/bin/{TOOL} install a b\n", (done, warden.log())
    assert ("shim", TOOL, ["install", "a b"], "allow", "ghost") in decided(warden)


def test_a_socket_of_the_agents_own_starts_nothing(warden, tmp_path):
    """The shim goes where the environment says; the tool itself has not started, whoever answers there."""
    done = gate_case.run(warden, "/usr/bin/date", "+now:%%", uid=AGENT_UID,
                         env=gate_case.environment(warden))
    assert done.stdout == "now:%\n"
    done = gate_case.sh(warden, f"CLAWRDEN_SOCKET={tmp_path}/none exec /usr/bin/date +now:%%", uid=AGENT_UID)
    assert done.returncode == 125 and "now" not in done.stdout


def test_a_shim_that_the_agent_can_write_is_judged_as_a_program(make_warden, tmp_path):
    place = pathlib.Path(f"/tmp/clawrden-test-shim-{os.getpid()}")
    place.mkdir()
    shutil.copy(BIN / "clawrden-shim", place / "clawrden-shim")
    os.chown(place, AGENT_UID, AGENT_UID)
    w = ghostly(make_warden, place / "clawrden-shim")
    try:
        done = gate_case.sh(w, "/usr/bin/date +now:%%", uid=AGENT_UID)
    finally:
        shutil.rmtree(place)
    assert done.returncode == 126 and "now" not in done.stdout, done


def test_without_such_an_executor_it_is_refused(make_warden, shim):
    w = make_warden(POLICY, options={"gate_shim": str(shim)})
    done = gate_case.sh(w, "/usr/bin/date +now:%%", uid=AGENT_UID)
    assert done.returncode != 0 and "now" not in done.stdout and "under a gate commands run where they are" in done.stderr


def test_killing_it_ends_what_runs_elsewhere(make_warden, shim):
    w = ghostly(make_warden, shim, POLICY.replace("command: date, action: allow", "command: sleep, action: allow"))
    p = gate_case.popen(w, "/usr/bin/sleep", "77031", uid=AGENT_UID)
    wait_for(lambda: len(w.decisions()) == 2, what="gate's and shim's")
    mine = w.decisions()[0]["id"]
    begin = time.monotonic()
    assert w.cli("kill", mine, "--yes").returncode == 0
    p.communicate(timeout=20)
    w.wait_ends(2)
    assert time.monotonic() - begin < 10
