# SPDX-License-Identifier: MIT
"""Shims below agents as they were seen to start, time out and kill their commands: which shell, which streams, which
session, which signals to whom. What must hold for each: it works, a refusal can be read, whatever is killed is dead
with all it started, and what waits for a person when its agent gives up never runs."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from conftest import Warden, wait_for

POLICY = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {command: [sh, cat, sleep, python3, node, echo, pwd], action: allow}
  - {command: git, action: ask, approval_timeout: 60s}
  - {command: rm, action: deny, reason: nothing is deleted here, instead: leave it}
"""

TERM, KILL = signal.SIGTERM, signal.SIGKILL


class Agent:
    """How one starts a model's command line `script`, and ends it: [(seconds to wait before, signal, whom)]."""

    def __init__(self, shell, stdin, stdout, session, kills):
        self.shell, self.stdin, self.stdout, self.session, self.kills = shell, stdin, stdout, session, kills


def bash(*options):
    return lambda script: ["/bin/bash", *options, script]


def snapshot(script):
    return ["/bin/bash", "-c", f"source /dev/null && eval {quoted(script)} && pwd > /dev/null"]


def trapped(script):
    return ["bash", "-c", f"shopt -u promptvars; ( trap 'true' EXIT; {script} ); exit"]


def handed_on(script):
    return ["/bin/bash", "-c", f"exec /bin/bash -c {quoted(script)}"]


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


AGENTS = {
    "codex": Agent(handed_on, "null", "pipe", True, [(0, KILL, "group")]),
    "claude": Agent(snapshot, "null", "file", True, [(0, TERM, "group"), (0.5, KILL, "group")]),
    "gemini": Agent(trapped, "null", "socket", True, [(0, TERM, "group"), (0.2, KILL, "group")]),
    "opencode": Agent(bash("-c"), "null", "socket", True, [(0, TERM, "group"), (3, KILL, "group")]),
    "qwen": Agent(bash("-c"), "null", "socket", True, [(0, TERM, "group")]),
    "cline": Agent(bash("-c"), "socket", "socket", True, [(0, KILL, "group")]),
    "cn": Agent(bash("-c"), "socket", "socket", False, [(0, TERM, "shell")]),
    "copilot": Agent(bash("--norc", "--noprofile", "-c"), "null", "pipe", True, [(0, TERM, "group"), (1, KILL, "group")]),
    # Runtimes: tokio's kill_on_drop and Go's CommandContext kill one process and close the pipes.
    "tokio": Agent(bash("-c"), "pipe", "pipe", False, [(0, KILL, "shell")]),
    "go with a group": Agent(bash("-c"), "null", "pipe", "group", [(0, KILL, "group")]),
    "closed stdin": Agent(bash("-c"), "closed", "pipe", True, [(0, TERM, "group")]),
}


@pytest.fixture(scope="module")
def warden():
    w = Warden(POLICY)
    for name in ("sh", "cat", "sleep", "python3", "node", "echo", "pwd", "git", "rm"):
        w.shim(name)
    yield w
    w.close()


class Run:
    """A command line below an agent of that kind."""

    def __init__(self, agent, warden, script, tmp_path):
        self.agent, self.ends, self.out = agent, [], b""
        kw = {"stdin": subprocess.DEVNULL}
        if agent.stdin == "socket":
            ours, kw["stdin"] = socket.socketpair()
            self.ends.append(ours)
        elif agent.stdin == "pipe":
            kw["stdin"] = subprocess.PIPE
        elif agent.stdin == "closed":
            kw["preexec_fn"] = lambda: os.close(0)
        self.path = tmp_path / "out"
        if agent.stdout == "socket":
            self.reader, theirs = socket.socketpair()
        elif agent.stdout == "pipe":
            r, w = os.pipe()
            self.reader, theirs = os.fdopen(r, "rb", 0), os.fdopen(w, "wb", 0)
        else:
            self.reader, theirs = None, open(self.path, "wb")
        kw.update(stdout=theirs, stderr=theirs)
        if agent.session == "group":
            kw["process_group"] = 0
        elif agent.session:
            kw["start_new_session"] = True
        self.p = subprocess.Popen(agent.shell(script), env=warden.agent_env(SHELL="/bin/bash"), cwd=tmp_path, **kw)
        theirs.close()
        if isinstance(kw["stdin"], socket.socket):
            kw["stdin"].close()

    def output(self):
        if self.reader is None:
            self.p.wait(20)
            return self.path.read_bytes()
        read = self.reader.recv if isinstance(self.reader, socket.socket) else self.reader.read
        if isinstance(self.reader, socket.socket):
            self.reader.settimeout(20)
        while data := read(65536):
            self.out += data
        return self.out

    def give_up(self):
        """The agent's patience is over."""
        for after, signo, whom in self.agent.kills:
            time.sleep(after)
            try:
                if whom == "group":
                    os.killpg(self.p.pid, signo)
                else:
                    os.kill(self.p.pid, signo)
            except ProcessLookupError:
                break
        for end in self.ends + ([self.reader] if self.reader else []) + ([self.p.stdin] if self.p.stdin else []):
            end.close()
        self.p.wait(10)


@pytest.fixture(params=AGENTS)
def start(request, warden, tmp_path):
    agent = AGENTS[request.param]
    runs = []
    tmp_path.chmod(0o755)

    def run(script):
        runs.append(Run(agent, warden, script, tmp_path))
        return runs[-1]

    run.agent = agent
    yield run
    for r in runs:
        if r.p.poll() is None:
            r.p.kill()
        r.p.wait()


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_in(path, n):
    wait_for(lambda: path.exists() and len(path.read_text().split()) >= n, what="the tool has started")
    return [int(x) for x in path.read_text().split()]


def test_it_works(start):
    r = start("cat /etc/hostname - < /dev/null; echo out; sh -c 'echo err >&2; exit 7'")
    assert r.output().split(b"\n")[1:] == [b"out", b"err", b""]
    assert r.p.wait(10) == 7


def test_a_refusal_can_be_read(start):
    r = start("rm -rf x")
    text = r.output().decode()
    assert "clawrden: refused" in text and "nothing is deleted here" in text and "leave it" in text
    assert r.p.wait(10) == 126


def test_a_command_ends_with_its_agents_patience(start, tmp_path):
    """The tool and what it started in its group, also behind a shell that would have more to do."""
    r = start(f"sh -c 'echo $$ >> {tmp_path}/pids; sleep 60 & echo $! >> {tmp_path}/pids; wait'; exit $?")
    pids = pids_in(tmp_path / "pids", 2)
    if start.agent.kills[-1][2] == "shell":
        # Killed alone, the shell leaves the tool behind, shims or not; the tool ends by what it is sent itself.
        r.give_up()
        shim = [int(p.parent.name) for p in pathlib.Path("/proc").glob("[0-9]*/stat")
                if f"{tmp_path}/pids".encode() in cmdline(p.parent) and exe(p.parent).endswith("clawrden-shim")]
        assert len(shim) == 1
        os.kill(shim[0], signal.SIGKILL)
    else:
        r.give_up()
    wait_for(lambda: not any(map(alive, pids)), what=f"{pids} are gone")


def cmdline(proc):
    try:
        return (proc / "cmdline").read_bytes()
    except OSError:
        return b""


def exe(proc):
    try:
        return os.readlink(proc / "exe")
    except OSError:
        return ""


@pytest.mark.parametrize("start", [k for k, a in AGENTS.items() if a.kills[-1][1:] == (KILL, "group")], indirect=True)
def test_a_command_that_ignores_the_polite_signal_ends_by_the_other(start, tmp_path):
    r = start(f"sh -c 'trap \"\" TERM; echo $$ >> {tmp_path}/pids; while :; do sleep 0.1; done'")
    pids = pids_in(tmp_path / "pids", 1)
    r.give_up()
    wait_for(lambda: not any(map(alive, pids)), what=f"{pids} are gone")


def test_what_waits_when_its_agent_gives_up_never_runs(start, warden, tmp_path):
    r = start(f"git init {tmp_path}/repo; exit $?")
    queue = warden.wait_queue(1)
    r.give_up()
    wait_for(lambda: not warden.queue(), what="it is withdrawn")
    assert warden.approve(queue[0]["id"]).returncode != 0
    time.sleep(0.2)
    assert not (tmp_path / "repo").exists()


def test_what_was_approved_in_time_runs(start, warden, tmp_path):
    r = start(f"git init -q {tmp_path}/repo && echo done; exit $?")
    warden.approve(warden.wait_queue(1)[0]["id"])
    assert r.output() == b"done\n"
    assert r.p.wait(10) == 0 and (tmp_path / "repo").exists()


def test_a_daemon_that_it_leaves_behind_lives_on(start, tmp_path):
    r = start(f"sh -c 'setsid sleep 3 < /dev/null > /dev/null 2>&1 & echo $! > {tmp_path}/pids'")
    assert r.output() == b"" and r.p.wait(10) == 0
    time.sleep(0.3)
    pid = pids_in(tmp_path / "pids", 1)[0]
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
