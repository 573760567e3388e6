# SPDX-License-Identifier: MIT
"""scripts/demo.sh: as root, as an ordinary user, by hand, and that it notices when something is wrong."""
import glob
import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import AGENT_GID, AGENT_UID, BIN, ROOT, needs_root
from test_cli import Terminal

DEMO = str(ROOT / "scripts/demo.sh")


def demo(script=DEMO, **kw):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CLAWRDEN_")}
    return subprocess.run([script], capture_output=True, text=True, timeout=120,
                          env={**env, "CLAWRDEN_BIN": str(BIN)}, **kw)


def assert_clean(before):
    assert set(glob.glob("/var/tmp/clawrden-demo.*")) <= before
    left = subprocess.run(["pgrep", "-af", "clawrden-demo[.]"], capture_output=True, text=True, check=False).stdout
    assert left == ""


@pytest.fixture
def stage():
    before = set(glob.glob("/var/tmp/clawrden-demo.*"))
    yield
    assert_clean(before)


def test_the_demo_shows_all_of_it(stage):
    began = time.monotonic()
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed, 0 failed\n\Z", done.stdout, re.M)
    for words in ("$ git push --quiet origin main", "ask-approved by rule", "ask-denied by rule",
                  'deny by rule "remove-system"', "sound:", "was changed"):
        assert words in done.stdout, words
    assert time.monotonic() - began < 60


@needs_root
def test_the_demo_works_for_an_ordinary_user(stage):
    done = demo(user=AGENT_UID, group=AGENT_GID, extra_groups=[])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"uid {AGENT_UID}" in done.stdout and done.stdout.endswith(" passed, 0 failed\n")


def test_the_demo_fails_when_something_is_not_as_it_should_be(stage, tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    agent = tmp_path / "scripts/demo-agent.sh"
    text = agent.read_text()
    changed = text.replace("step allow/0 ls\n", "step deny/126 ls\n")
    assert changed != text
    agent.write_text(changed)
    done = demo(str(tmp_path / "scripts/demo.sh"))
    assert done.returncode == 1 and done.stdout.endswith(" passed, 2 failed\n")
    assert "FAILED     wanted deny, recorded allow" in done.stdout


def test_the_governed_shell(stage):
    t = Terminal(DEMO, env={"INTERACTIVE": "1", "CLAWRDEN_BIN": str(BIN)}, columns=200)
    t.wait_for("governed project $", timeout=30)
    t.send("git status\n")
    t.wait_for("governed project $", timeout=20)
    assert "On branch main" in t.seen
    t.send("rm -rf /\n")
    t.wait_for("governed project $", timeout=20)
    assert "clawrden: refused by remove-system" in t.seen
    t.send("exit\n")
    assert t.end(timeout=30) == 0
    assert re.search(r"deny .* rm -rf /", t.seen) # the history at its end
