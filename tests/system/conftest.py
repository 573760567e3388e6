# SPDX-License-Identifier: MIT
"""The harness of the whole-program tests.

    def test_something(make_warden):
        w = make_warden("default_action: deny\nrules:\n  - {command: ls, action: allow}\n")
        done = w.run("ls", "/tmp")              # through a shim, as an agent would
        assert done.returncode == 0
        assert w.decisions()[-1]["decision"] == "allow"

`warden` is make_warden() with POLICY below: echo, ls, cat, env, sleep, true, sh pass; git asks; the
rest is denied. Each warden has a directory of its own under /tmp and ends with the test: by SIGTERM,
and the test fails when it does not leave with 0 within a few seconds or when a sanitizer spoke.

Everything waits with a bound; nothing sleeps for luck. wait_for(fn) repeats fn until it is true. CLAWRDEN_TEST_PATIENCE
multiplies every bound, for machines that are slow as such (emulated ones).
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CLAWRDEN_TEST_BIN", ROOT / "bin"))

POLICY = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {name: pass, command: echo, action: allow}
  - {command: ls, action: allow}
  - {command: cat, action: allow}
  - {command: env, action: allow}
  - {command: sleep, action: allow}
  - {command: "true", action: allow}
  - {command: sh, action: allow}
  - {name: ask-git, command: git, action: ask, approval_timeout: 60s}
  - {name: no-rm, command: rm, action: deny, reason: nothing is deleted here, instead: leave it}
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="switches to other users: needs root")

# An ordinary user for agents; any number will do, it need not have a name.
AGENT_UID = AGENT_GID = int(os.environ.get("CLAWRDEN_TEST_UID", "61234"))


PATIENCE = float(os.environ.get("CLAWRDEN_TEST_PATIENCE", "1"))


def patient(seconds):
    """The bound that an ordinary machine keeps with `seconds`, on this one."""
    return None if seconds is None else seconds * PATIENCE


class PatientPopen(subprocess.Popen):
    def wait(self, timeout=None):
        return super().wait(patient(timeout))

    def communicate(self, input=None, timeout=None):
        return super().communicate(input, patient(timeout))


if PATIENCE != 1:
    subprocess.Popen = PatientPopen  # also what subprocess.run() and check_output() use


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: more than ten seconds; `make check-long` runs it")
    config.addinivalue_line("markers", "timing: measures time, which a sanitizer's build has too much of")


def wait_for(fn, timeout=10.0, what=None):
    """fn() until it is true: that value. AssertionError behind `timeout` seconds."""
    end = time.monotonic() + patient(timeout)
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or fn}")
        time.sleep(0.01)


def rss_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def sanitized():
    """Whether the warden is built with a sanitizer, whose memory and speed are not ours."""
    done = subprocess.run(["ldd", str(BIN / "clawrden-warden")], capture_output=True, text=True)
    return "asan" in done.stdout


def start_time(pid):
    """When process `pid` started, in the kernel's ticks; None: there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def descendants(pid):
    """[(pid, start_time)] of what is below process `pid`."""
    found = []
    for f in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = f.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, children):
            found += [(child, start_time(child)), *descendants(child)]
    return found


class Warden:
    """One clawrden-warden in a directory of its own. `options`: {"socket_mode": "0600"} is
    --socket-mode 0600."""

    def __init__(self, policy=POLICY, options=None, env=None, start=True, user=None, program=BIN / "clawrden-warden"):
        # Open on its way, so that agents of other users reach the socket; state and audit are not.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-test-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.user = user
        self.program = program
        self.policy = self.dir / "policy.yaml"
        self.socket = self.dir / "run" / "warden.sock"
        self.state = self.dir / "state"
        self.audit = self.dir / "audit.jsonl"
        self.shims = self.dir / "shims"
        self.work = self.dir / "work"
        self.api_socket = self.state / "api.sock"
        self.options = dict(options or {})
        self.env = dict(env or {})
        self.process = None
        self.started = []  # what runs under it and may outlive a test that fails
        self.stdout = ""
        self.expect_exit = 0
        self.shims.mkdir()
        self.work.mkdir()
        self.work.chmod(0o777)
        self.set_policy(policy)
        if user is not None:
            for p in (self.dir, self.policy, self.work):
                os.chown(p, user, user)
        if start:
            self.start()

    # ---- life ----

    def command(self):
        args = [str(self.program)]
        given = {"policy": self.policy, "socket": self.socket, "audit": self.audit,
                 "state": self.state, "api": "127.0.0.1:0", "log_level": "debug",
                 "mirror_binary": BIN / "clawrden-mirror"}
        given.update(self.options)
        for name, value in given.items():
            if value is not None:
                args += ["--" + name.replace("_", "-"), str(value)]
        return args

    def spawn(self):
        """Starts it without waiting for it to be ready."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("CLAWRDEN_")}
        # A sanitizer's quarantine would be measured as the warden's memory.
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "exitcode=97") + ":quarantine_size_mb=4"
        env.setdefault("UBSAN_OPTIONS", "halt_on_error=1")
        env.update(self.env)
        self.log_path = self.dir / "warden.log"
        self.out_path = self.dir / "warden.out"
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        ids = {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        with open(self.log_path, "ab") as log, open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=log, env=env, start_new_session=True, **ids)
        return self.process

    def start(self):
        """Starts it and waits until it is ready."""
        self.spawn()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the warden ended with {self.process.returncode}:\n{self.log()}")
            return "clawrden-warden: ready" in self.log(since_start=True)

        wait_for(ready, 20, "the warden is ready")
        return self

    def stop(self, timeout=20):
        """SIGTERM; its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the warden did not stop within {timeout} s:\n{self.log()}")
        self.process = None
        return code

    def kill(self):
        """SIGKILL, as a crash would be."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def keep(self, p):
        """Has close() end `p` and what is below it, should a test leave it behind; returns it."""
        self.started = [q for q in self.started if q.returncode is None] + [p]
        return p

    def end_started(self):
        left = [p for p in self.started if p.poll() is None]
        below = [d for p in left for d in descendants(p.pid)]
        for p in left:
            p.kill()
            p.wait()
        for pid, born in below:
            if start_time(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self):
        try:
            code = self.stop()
        finally:
            self.end_started()
        log = self.log() if (self.dir / "warden.log").exists() else ""
        shutil.rmtree(self.dir, ignore_errors=True)
        assert "AddressSanitizer" not in log and "runtime error:" not in log, log
        assert code in (None, self.expect_exit), f"exit status {code}:\n{log}"

    def log(self, since_start=False):
        text = (self.dir / "warden.log").read_bytes()
        return text[self.log_from if since_start else 0:].decode(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    # ---- policy ----

    def set_policy(self, text):
        """Puts the text in place by rename, as editors do. Does not wait for the reload."""
        new = self.policy.with_name("policy.new")
        new.write_text(text)
        new.rename(self.policy)

    def reload_policy(self, text):
        """set_policy(), and waits until it is in force."""
        before = self.log().count(" in force (")
        self.set_policy(text)
        wait_for(lambda: self.log().count(" in force (") > before, what="the policy is reloaded")

    # ---- agents ----

    def shim(self, name):
        """The path of a shim that stands in for `name`."""
        path = self.shims / name
        if not path.is_symlink():
            path.symlink_to(BIN / "clawrden-shim")
        return str(path)

    def agent_env(self, **more):
        env = {"PATH": f"{self.shims}:/usr/bin:/bin", "HOME": str(self.work), "LANG": "C.UTF-8",
               "CLAWRDEN_SOCKET": str(self.socket)}
        env.update(more)
        return env

    def popen(self, *argv, env=None, cwd=None, uid=None, **kw):
        """A governed command, started. `uid`: as another user (needs root)."""
        ids = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        return self.keep(subprocess.Popen([argv[0], *argv[1:]], executable=self.shim(argv[0]),
                                          env=self.agent_env() if env is None else env,
                                          cwd=cwd or self.work, **ids, **kw))

    def run(self, *argv, input=None, timeout=30, **kw):
        """A governed command, to its end: returncode, stdout, stderr (bytes)."""
        if input is not None:
            kw["stdin"] = subprocess.PIPE
        p = self.popen(*argv, **kw)
        try:
            out, errors = p.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            for f in filter(None, (p.stdin, p.stdout, p.stderr)):
                f.close()  # what was left behind may hold the other ends for ever
            raise
        return subprocess.CompletedProcess(argv, p.returncode, out, errors)

    # ---- people ----

    def cli(self, *args, check=False, timeout=30, **kw):
        """`clawrden ARGS` over the API's unix socket; text streams."""
        env = {**os.environ, "CLAWRDEN_API": f"unix:{self.api_socket}"}
        done = subprocess.run([str(BIN / "clawrden"), *map(str, args)], capture_output=True, text=True,
                              env=env, timeout=timeout, **kw)
        if check:
            assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done

    def queue(self):
        return json.loads(self.cli("queue", "--json", check=True).stdout)

    def wait_queue(self, n=1, timeout=10):
        """The queue, once `n` requests wait."""
        return wait_for(lambda: (q := self.queue()) and len(q) >= n and q, timeout, f"{n} waiting")

    def approve(self, id, *args):
        return self.cli("approve", id, *args)

    def deny(self, id, *args):
        return self.cli("deny", id, *args)

    @property
    def api_url(self):
        """http://127.0.0.1:PORT, as printed."""
        line = wait_for(lambda: [x for x in self.out_path.read_text().splitlines()
                                 if x.startswith("api http")], what="the API's address is printed")[0]
        return line.split()[1]

    @property
    def token(self):
        return (self.state / "token").read_text().strip()

    def metrics(self):
        """The text of /metrics."""
        request = urllib.request.Request(self.api_url + "/metrics",
                                         headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    # ---- records ----

    def records(self):
        """All records of the current audit file."""
        if not self.audit.exists():
            return []
        lines = self.audit.read_bytes().split(b"\n")
        return [json.loads(x) for x in lines[:-1]]

    def records_of(self, event):
        return [r for r in self.records() if r.get("event") == event]

    def decisions(self):
        return self.records_of("decision")

    def ends(self):
        return self.records_of("end")

    def wait_ends(self, n=1, timeout=10):
        return wait_for(lambda: (e := self.ends()) and len(e) >= n and e, timeout, f"{n} end records")


@pytest.fixture
def make_warden():
    """make_warden(policy=POLICY, options=None, env=None, start=True, user=None): a Warden."""
    with contextlib.ExitStack() as stack:
        def make(policy=POLICY, **kw):
            w = Warden(policy, start=False, **{k: v for k, v in kw.items() if k != "start"})
            stack.callback(w.close)
            if kw.get("start", True):
                w.start()
            return w
        yield make


@pytest.fixture
def warden(make_warden):
    return make_warden()
