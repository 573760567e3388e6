# SPDX-License-Identifier: MIT
"""scripts/demo.sh: as root, as an ordinary user, by hand, and that it notices when something is wrong."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from conftest import AGENT_UID, BIN, ROOT, needs_root
from test_cli import Terminal

DEMO = str(ROOT / "scripts/demo.sh")


class Stage:
    """A home for whoever runs it, as the demo needs one; it must be empty again when it has ended."""

    def __init__(self, uid=None):
        base = "/home" if os.geteuid() == 0 else str(pathlib.Path.home())
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-demo-", dir=base))
        self.ids = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        if uid is not None:
            os.chown(self.home, uid, uid)

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CLAWRDEN_")}
        return {**env, "CLAWRDEN_BIN": str(BIN), "HOME": str(self.home), **more}

    def demo(self, script=DEMO):
        return subprocess.run([script], capture_output=True, text=True, timeout=120, env=self.env(), **self.ids)

    def close(self):
        left = subprocess.run(["pgrep", "-af", str(self.home)], capture_output=True, text=True, check=False).stdout
        stays = os.listdir(self.home)
        shutil.rmtree(self.home)
        assert left == ""
        # npm keeps a cache in the home of the demo, git and node nothing.
        assert [x for x in stays if x != ".npm"] == []


@pytest.fixture
def make_stage():
    stages = []

    def make(uid=None):
        stages.append(Stage(uid))
        return stages[-1]
    yield make
    for s in stages:
        s.close()


def test_the_demo_shows_all_of_it(make_stage):
    began = time.monotonic()
    done = make_stage().demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed, 0 failed\n\Z", done.stdout, re.M)
    for words in ("$ git push --quiet origin main", "ask-approved by rule", "ask-denied by rule", "$ bash -lc exec\\ git\\ push", "remembered",
                  'deny by rule "remove-system"', "sound:", "was changed"):
        assert words in done.stdout, words
    assert time.monotonic() - began < 60


@needs_root
def test_the_demo_works_for_an_ordinary_user(make_stage):
    done = make_stage(AGENT_UID).demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"uid {AGENT_UID}" in done.stdout and done.stdout.endswith(" passed, 0 failed\n")


def test_the_demo_fails_when_something_is_not_as_it_should_be(make_stage, tmp_path):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    agent = tmp_path / "scripts/demo-agent.sh"
    text = agent.read_text()
    changed = text.replace("step allow/0 ls\n", "step deny/126 ls\n")
    assert changed != text
    agent.write_text(changed)
    done = make_stage().demo(str(tmp_path / "scripts/demo.sh"))
    assert done.returncode == 1 and done.stdout.endswith(" passed, 2 failed\n")
    assert "FAILED     wanted deny, recorded allow" in done.stdout


def test_the_governed_shell(make_stage):
    t = Terminal(DEMO, env={"INTERACTIVE": "1", "CLAWRDEN_BIN": str(BIN), "HOME": str(make_stage().home)}, columns=200)
    t.wait_for("governed project $", timeout=30)
    t.send("git status\n")
    t.wait_for("governed project $", timeout=20)
    assert "On branch main" in t.seen
    t.send("rm -rf /\n")
    t.wait_for("governed project $", timeout=20)
    assert "clawrden: refused by remove-system" in t.seen
    t.send("exit\n")
    assert t.end(timeout=30) == 0
    assert re.search(r'deny "rm" \["-rf","/"\]', t.seen)  # what was not simply allowed, at its end
