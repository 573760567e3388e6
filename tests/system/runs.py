# SPDX-License-Identifier: MIT
"""`clawrden run` for tests: a home and a workspace of its own, as root or as an ordinary user.

    def test_something(make_run):
        r = make_run(user=AGENT_UID, policy=POLICY)
        done = r.run("sh", "-c", "echo hi")     # stdin is /dev/null; to its end
        assert done.stdout == b"hi\\n"
        assert r.decisions()[-1]["command"] == "sh"

Not below /tmp or /var/tmp: those are empty behind the walls.
"""
import contextlib
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import AGENT_UID, BIN, wait_for

# The programs under test count as the system's, wherever they were built.
TRUSTED = ", ".join(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", str((BIN / "clawrden").resolve().parent)])
POLICY = f"""\
default_action: deny
allowed_paths: ["/*"]
trusted_paths: [{TRUSTED}]
rules:
  - {{name: no-rm, command: rm, args: [-r], action: deny, reason: nothing is deleted here, instead: leave it}}
  - {{name: push, command: git, args: [push], action: ask, reason: others see it, approval_timeout: 60s}}
  - {{name: all, command: ["*"], action: allow}}
"""


class Run:
    def __init__(self, user=None, policy=POLICY, home=None):
        base = "/home" if os.geteuid() == 0 else str(pathlib.Path.home())
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-run-", dir=base))
        self.user = user
        self.home = self.dir / "home"
        self.work = self.home / "work"
        self.state = self.dir / "state"
        self.config = self.home / ".config" / "clawrden"
        self.policy = self.config / "policy.yaml"
        self.processes = []
        self.dir.chmod(0o755)
        self.work.mkdir(parents=True)
        self.state.mkdir(mode=0o700)
        self.config.mkdir(parents=True)
        if policy is not None:
            self.policy.write_text(policy)
        self.own()

    def own(self):
        """What was made by the test becomes the user's."""
        if self.user is not None:
            for top, dirs, files in os.walk(self.dir):
                for name in [top, *(os.path.join(top, f) for f in files + dirs)]:
                    os.lchown(name, self.user, self.user)

    @property
    def ids(self):
        return {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}

    def env(self, **more):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.home), "LANG": "C.UTF-8",
               "CLAWRDEN_STATE": str(self.state), "XDG_CONFIG_HOME": str(self.home / ".config")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(more)
        return env

    def args(self, argv, options):
        args = [str(BIN / "clawrden"), "run"]
        if self.policy.exists() and "policy" not in options and os.geteuid() == 0 and self.user is None:
            options = {"policy": self.policy, **options}  # root's own place is /etc
        for name, value in options.items():
            args += ["--" + name.replace("_", "-"), *([] if value is None else [str(value)])]
        return [*args, "--", *map(str, argv)]

    def popen(self, *argv, options=None, env=None, cwd=None, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        p = subprocess.Popen(self.args(argv, dict(options or {})), env=self.env(**(env or {})), cwd=cwd or self.work,
                             start_new_session=True, **self.ids, **kw)
        self.processes.append(p)
        return p

    def run(self, *argv, timeout=60, **kw):
        p = self.popen(*argv, **kw)
        out, errors = p.communicate(timeout=timeout)
        return subprocess.CompletedProcess(argv, p.returncode, out, errors.decode(errors="replace"))

    def sh(self, script, **kw):
        return self.run("sh", "-c", script, **kw)

    # ---- people ----

    def cli(self, *args, **kw):
        """`clawrden ARGS` as the same user in another terminal: nothing says where the session is."""
        return subprocess.run([str(BIN / "clawrden"), *map(str, args)], capture_output=True, text=True, timeout=30,
                              env=self.env(), cwd="/", **self.ids, **kw)

    def queue(self):
        done = self.cli("queue", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else []

    def wait_queue(self, n=1):
        return wait_for(lambda: len(q := self.queue()) >= n and q, 20, f"{n} waiting")

    # ---- records ----

    def sessions(self):
        return sorted((self.state / "run").iterdir()) if (self.state / "run").exists() else []

    def records(self, session=None):
        log = (session or self.sessions()[-1]) / "audit.jsonl"
        return [json.loads(x) for x in log.read_bytes().split(b"\n")[:-1]]

    def decisions(self, session=None):
        return [r for r in self.records(session) if r.get("event") == "decision"]

    def left(self):
        """Processes that stand in the workspace: what is left of the agent's tree."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(p / "cwd").startswith(str(self.work)) and int(p.name) != os.getpid():
                    found.append((int(p.name), (p / "cmdline").read_bytes()))
        return found

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
            for f in (p.stdout, p.stderr):
                if f:
                    f.close()
        wait_for(lambda: not self.left(), 10, "the tree has ended")
        shutil.rmtree(self.dir)


class Terminal:
    """`clawrden run`, or `args`, on a terminal of its own, as under a person's hands."""

    def __init__(self, run, *argv, options=None, env=None, args=None):
        args = args or run.args(argv, dict(options or {}))
        self.out = b""
        self.seen = 0
        self.master, slave = pty.openpty()
        self.slave = slave
        # A session whose controlling terminal this is; Popen's own setsid comes first.
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c",
             "import fcntl,os,sys,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])",
             *args], stdin=slave, stdout=slave, stderr=slave, env=run.env(**{"TERM": "xterm", **(env or {})}),
            cwd=run.work, **run.ids)
        run.processes.append(self.process)

    def pid(self):
        return self.process.pid

    def read(self, timeout=0.1):
        if select.select([self.master], [], [], timeout)[0]:
            with contextlib.suppress(OSError):
                self.out += os.read(self.master, 65536)

    def expect(self, text, timeout=20):
        """Waits for `text` behind what was expected before; everything up to it."""
        end = time.monotonic() + timeout
        while (at := self.out.find(text, self.seen)) < 0:
            assert time.monotonic() < end, (text, self.out[self.seen:])
            self.read()
        before, self.seen = self.out[self.seen:at], at + len(text)
        return before

    def type(self, text):
        os.write(self.master, text)

    def wait(self, timeout=20):
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, self.out
            self.read()
        self.read()
        return self.process.returncode

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def child(pid, name, fits=lambda p: True):
    """One of its living children; None: there is none (any more)."""
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            status = dict(line.split(":\t", 1) for line in (p / "status").read_text().splitlines() if ":\t" in line)
            if int(status["PPid"]) == pid and status["Name"] == name and not status["State"].startswith("Z") and fits(p):
                return int(p.name)
        except OSError:
            continue
    return None


@pytest.fixture
def make_run():
    with contextlib.ExitStack() as stack:
        def make(**kw):
            r = Run(**kw)
            stack.callback(r.close)
            return r
        yield make


@pytest.fixture(params=["root", "user"])
def any_run(request, make_run):
    """The same as root and as an ordinary user."""
    return make_run(user=AGENT_UID if request.param == "user" and os.geteuid() == 0 else None)


@pytest.fixture
def make_terminal():
    with contextlib.ExitStack() as stack:
        def make(run, *argv, **kw):
            t = Terminal(run, *argv, **kw)
            stack.callback(t.close)
            return t
        yield make
