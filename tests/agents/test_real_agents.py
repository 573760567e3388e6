# SPDX-License-Identifier: MIT
"""Three agents from npm under `clawrden run` with the starter policy, led by a scripted model: what they tell the model is what they
tell it ungoverned, refusals reach it as text, and what waits for a person runs when it was approved and never when it was given up.
`make agents` installs them (versions in package.json) and starts this."""
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from conftest import AGENT_UID, BIN, ROOT, wait_for
from model import Model
from runs import TRUSTED, make_run  # noqa: F401: a fixture

# As root there is no network but loopback: agents call home, and nothing here may depend on what answers.
CLONE_NEWNET = 0x40000000
if os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

AGENTS_DIR = pathlib.Path(os.environ.get("AGENTS_DIR", ROOT / "build/agents"))
USER = AGENT_UID if os.geteuid() == 0 else None

RULES = """rules:
  - {name: no-date, command: date, action: deny, reason: time is not told here, instead: look outside}
  - {name: installed-agents, command: ["%s/*"], action: allow}
  - {name: ask-uname, command: uname, args: [-m], action: ask, reason: a person should see it, approval_timeout: 100s}
"""


class Agent:
    """`argv(url)`, what it needs in its environment and home, and how long a silent command may take before it says something."""

    def __init__(self, name, argv, env, files=(), polls=False):
        self.name, self.argv, self.env, self.files, self.polls = name, argv, env, dict(files), polls


CODEX_PROVIDER = 'model_providers.scripted={{name="scripted",base_url="{0}/v1",wire_api="responses",env_key="SCRIPTED_KEY"}}'
GEMINI_SETTINGS = {"security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
                   "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}, "general": {"enableAutoUpdate": False}}
AGENTS = [
    Agent("claude", lambda url: ["claude", "-p", "go on", "--allowedTools", "Bash"],
          lambda url: {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                       "DISABLE_AUTOUPDATER": "1"}),
    Agent("codex", lambda url: ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-c",
                                'model_provider="scripted"', "-c", CODEX_PROVIDER.format(url), "-c", 'model="gpt-5"', "go on"],
          lambda url: {"SCRIPTED_KEY": "none"}, polls=True),
    Agent("gemini", lambda url: ["gemini", "-p", "go on", "--approval-mode", "yolo", "--skip-trust", "-m", "gemini-2.5-pro"],
          lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "none"},
          files={".gemini/settings.json": json.dumps(GEMINI_SETTINGS)}),
]


def policy_for(work):
    text = (ROOT / "share/policies/starter.yaml").read_text().replace("# run: ", "").replace("/workspace", str(work))
    text = re.sub(r"^trusted_paths: .*$", f"trusted_paths: [{TRUSTED}]", text, flags=re.M)
    assert "\nrules:\n" in text
    return text.replace("\nrules:\n", "\n" + RULES % AGENTS_DIR.resolve(), 1)


class Stage:
    """A home with a small repository, an agent, and the model that leads it."""

    def __init__(self, make_run, agent):
        self.agent = agent
        self.r = make_run(user=USER, policy="default_action: deny\n")
        self.r.policy.write_text(policy_for(self.r.work))
        for name, text in agent.files.items():
            path = self.r.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.r.work / "hello.py").write_text("print('hello from python')\n")
        (self.r.work / "package.json").write_text('{"name": "p", "version": "1.0.0", "scripts": {"test": "node -p 6*7"}}')
        self.r.own()
        self.models = []
        for line in ("git init -q .", "git add .", "git -c user.name=n -c user.email=n@example.org commit -qm start"):
            subprocess.run(line.split(), cwd=self.r.work, env=self.r.env(), check=True, **self.r.ids)

    def env(self, model):
        # Nothing but loopback is reached, network or not.
        return {"PATH": f"{AGENTS_DIR}/bin:/usr/local/bin:/usr/bin:/bin", "SHELL": "/bin/bash", "TERM": "dumb", "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", **self.agent.env(model.url)}

    def model(self, script):
        self.models.append(Model(script))
        return self.models[-1]

    def plain(self, script, timeout=120):
        m = self.model(script)
        done = subprocess.run(self.agent.argv(m.url), env=self.r.env(**self.env(m)), cwd=self.r.work, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, **self.r.ids)
        assert done.returncode == 0, done
        return m.results

    def start(self, script, **options):
        m = self.model(script)
        return m, self.r.popen(*self.agent.argv(m.url), env=self.env(m), options=options)

    def governed(self, script, timeout=120, **options):
        m, p = self.start(script, **options)
        out, errors = p.communicate(timeout=timeout)
        assert p.returncode == 0, (out[-2000:], errors[-4000:], m.results)
        return m.results, errors.decode(errors="replace")

    def of(self, command):
        return [d for d in self.r.decisions() if d["command"] == command]

    def close(self):
        for m in self.models:
            m.close()


@pytest.fixture(params=AGENTS, ids=lambda a: a.name)
def stage(request, make_run):
    assert (AGENTS_DIR / "bin" / request.param.name).exists(), "make agents installs them"
    s = Stage(make_run, request.param)
    yield s
    s.close()


def told(result):
    """What a result says, without what differs each time: times, ids, process numbers, remarks of the agent's own."""
    text = re.sub(r"<system-reminder>.*?</system-reminder>", "", result, flags=re.S)
    text = re.sub(r"Chunk ID: \w+|Wall time: [\d.]+ seconds|Process Group PGID: \d+|took [\d.]+m?s", "", text)
    return text.strip()


WORK = [
    "echo plain > a.txt && cat a.txt && ls",
    "git status --short && git log --oneline | wc -l",
    "python3 hello.py; python3 - <<'X'\nprint(6 * 7)\nX",
    "npm test --silent",
    "false; echo code $?; (exit 3); echo code $?",
    "printf 'b\\na\\n' | sort | head -1; no-such-command 2>&1; echo $?",
    "cat a.txt missing.txt 2>&1",
    "{ bash -c 'kill -TERM $$'; } 2>/dev/null; echo $?",
    "sh -c 'echo err >&2; exit 9'",
]


def test_its_results_are_those_without(stage):
    plain = [told(x) for x in stage.plain(WORK)]
    (stage.r.work / "a.txt").unlink()
    results, errors = stage.governed(WORK, ask="none")
    assert [told(x) for x in results] == plain
    assert "plain" in plain[0] and "42" in plain[2] and "42" in plain[3]
    # Neither the agent's own programs nor the work was asked for or refused.
    held = [(d["decision"], d["rule"], d["command"], *d["args"]) for d in stage.r.decisions() if d["decision"] != "allow"]
    assert held == [], "\n".join(map(" ".join, held))
    assert " 0 asked, 0 denied" in errors


def test_a_refusal_is_read_by_the_model(stage):
    results, errors = stage.governed(["date", "/bin/date -u", "bash -lc 'env -i date'; echo went on", "git push --force origin main"], ask="none")
    for result in results[:3]:
        assert "refused by no-date" in result and "time is not told here" in result and "look outside" in result, result
    assert "126" in results[0] and "went on" in results[2], results
    assert "refused by rewrite-main" in results[3] and "open a pull request" in results[3]
    assert [d["rule"] for d in stage.r.decisions() if d["decision"] == "deny"] == ["no-date"] * 3 + ["rewrite-main"]
    assert " 4 denied" in errors


def approve_after(stage, seconds):
    waiting = wait_for(stage.r.queue, 60, "it asks")
    time.sleep(seconds)
    assert [w["id"] for w in stage.r.queue()] == [waiting[0]["id"]], "it still waits"
    assert stage.r.cli("approve", waiting[0]["id"]).returncode == 0


def polled(stage, script):
    """An agent that says "still running" has a model that asks again."""
    return script + [{"poll": True}] * 3 if stage.agent.polls else script


@pytest.mark.parametrize("seconds", [5, 40])
def test_what_is_approved_in_time_runs(stage, seconds):
    m, p = stage.start(polled(stage, ["uname -m"]) if seconds > 5 else ["uname -m"])
    approve_after(stage, seconds)
    out, errors = p.communicate(timeout=90)
    assert p.returncode == 0, errors
    assert any(os.uname().machine in r for r in m.results), m.results
    assert [d["decision"] for d in stage.of("uname") if d["rule"] == "ask-uname"] == ["ask-approved"]
    other = [(d["decision"], d["rule"], d["command"], *d["args"]) for d in stage.r.decisions() if d["decision"] not in ("allow", "ask-approved")]
    assert other == [], "\n".join(map(" ".join, other))
    assert re.search(rb"1 asked, 0 denied, waited \d+s", errors), errors


def test_what_its_agent_gave_up_never_runs(stage):
    """gemini after a time without output, codex at its own end, claude when it is ended itself."""
    if stage.agent.name == "gemini":
        settings = {**GEMINI_SETTINGS, "tools": {"shell": {"inactivityTimeout": 3}}}
        (stage.r.home / ".gemini/settings.json").write_text(json.dumps(settings))
    m, p = stage.start(["uname -m > ran.txt"])
    waiting = wait_for(stage.r.queue, 60, "it asks")
    if stage.agent.name == "claude":
        p.terminate()
    out, errors = p.communicate(timeout=90)
    assert stage.r.cli("approve", waiting[0]["id"]).returncode != 0
    assert [d["decision"] for d in stage.of("uname") if d["rule"] == "ask-uname"] == ["withdrawn"], errors
    ran = stage.r.work / "ran.txt"
    assert not ran.exists() or ran.read_text() == ""
    assert stage.r.left() == []
    if stage.agent.name != "claude":
        assert p.returncode == 0 and m.results, (errors, m.results)
        assert os.uname().machine not in m.results[0]
