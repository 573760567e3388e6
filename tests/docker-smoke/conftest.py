# SPDX-License-Identifier: MIT
"""A Docker Engine of our own, images without a registry, and containers whose commands are governed.

The engine has its own directories and its own network namespace, and nothing but these tests knows its socket; one
that runs on this host already is never touched. Images are stand-ins for Debian images: the files of Debian packages
that are installed here (image.py).

    def test_something(warden, make_container):
        c = make_container()                       # governed: shims in front of PATH, the warden's socket inside
        done = c.run("id")                         # as an agent in there would
        plain = c.exec("id")                       # by docker exec, past the shims
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import conftest_system as system  # noqa: E402  (see below)
import image  # noqa: E402

BIN = system.BIN
patient, wait_for = system.patient, system.wait_for
DOCKER = "/usr/bin/docker"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
IMAGE = "clawrden-stand-in:debian"
SHIMMED = ["bash", "cat", "env", "false", "id", "ls", "python3", "sh", "sleep", "true", "head", "nproc", "grep", "ps", "kill",
           "dd", "tee", "git", "rm", "stat", "readlink", "prlimit", "sort", "wc", "date"]
OPEN = """\
default_action: deny
allowed_paths: ["/*"]
unknown_executable: ask
env: {pass: ["*"]}
rules:
  - {name: no-rm, command: rm, action: deny, reason: nothing is deleted here, instead: leave it}
  - {name: ask-git, command: git, action: ask, approval_timeout: 60s}
  - {name: all, command: "*", action: allow}
"""
AGENT = 1000
# Installs into the machine: for one that is thrown away (build-aux/vm.sh).
collect_ignore = [] if os.environ.get("CLAWRDEN_TEST_MACHINE") == "disposable" else ["test_unit.py"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: more than ten seconds; `make check-long` runs it")
    config.addinivalue_line("markers", "timing: measures time")


def hierarchies():
    """Where cgroups are mounted: one directory for each hierarchy of version 1, and that of version 2."""
    return [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [p for p in CGROUPS.iterdir() if (p / "cgroup.procs").exists()]


def cgroup_dirs(path):
    """The directories of the cgroup `path`, in every hierarchy that has it."""
    return [d for h in hierarchies() if (d := h / path.lstrip("/")).is_dir()]


class Engine:
    def __init__(self, config=None, prelude=""):
        self.config, self.prelude = config or {}, prelude
        # On the disk: overlayfs does not go on every file system, and images are large.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-docker-", dir="/var/tmp"))
        self.socket = self.dir / "docker.sock"
        self.client = [DOCKER, "-H", f"unix://{self.socket}"]
        self.process = None

    def start(self):
        (self.dir / "daemon.json").write_text(json.dumps(self.config))
        for attempt in range(3):
            self.spawn()
            wait_for(lambda: self.answers() or self.process.poll() is not None, 60, "dockerd answers")
            if self.process.poll() is None:
                return self
            # It gives its containerd 15 s, whatever the machine; the second time its files are in memory.
            if "timeout waiting for containerd" not in self.log():
                break
        raise AssertionError("dockerd ended:\n" + self.log())

    def spawn(self):
        command = self.prelude + ("ip link set lo up; exec dockerd --data-root {0}/data --exec-root {0}/exec --pidfile {0}/pid "
                   "-H unix://{0}/docker.sock --bridge=none --iptables=false --ip6tables=false "
                   "--config-file {0}/daemon.json").format(self.dir)
        with open(self.dir / "log", "ab") as log:
            # A network namespace of its own: with --bridge=none it would remove the host's docker0.
            self.process = subprocess.Popen(["unshare", "--net", *(["--mount"] if self.prelude else []), "sh", "-c", command], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def log(self):
        return (self.dir / "log").read_text()[-3000:]

    def answers(self):
        return self.docker("version", check=False).returncode == 0

    def docker(self, *args, check=True, input=None, timeout=120):
        done = subprocess.run([*self.client, *args], capture_output=True, input=input, timeout=timeout)
        assert not check or done.returncode == 0, (args, done.stderr)
        return done

    def text(self, *args):
        return self.docker(*args).stdout.decode().strip()

    def parent(self, name):
        """What --cgroup-parent wants for a cgroup of its own at the top, and that cgroup's path: under systemd it is a slice."""
        if self.text("info", "-f", "{{.CgroupDriver}}") == "systemd":
            return f"{name}.slice", f"/{name}.slice"
        return f"/{name}", f"/{name}"

    def load(self):
        tar = self.dir / "image.tar"
        with open(tar, "wb") as out:
            image.write(out)
        self.docker("import", str(tar), IMAGE)
        tar.unlink()

    def kill(self):
        """As a crash: containers go on."""
        os.kill(int((self.dir / "pid").read_text()), signal.SIGKILL)
        self.process.wait()
        (self.dir / "pid").unlink(missing_ok=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def close(self):
        ids = self.docker("ps", "-aq", check=False).stdout.decode().split()
        if ids:
            self.docker("rm", "-f", *ids, check=False)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="session")
def engine():
    e = Engine()
    try:
        e.start()
        e.load()
        yield e
    finally:
        e.close()


class Container:
    def __init__(self, engine, warden, *options, user=str(AGENT), command=("sleep", "1000000"), name=None, socket_dir=None):
        self.engine, self.warden, self.user = engine, warden, user
        mounts = []
        if warden is not None:
            self.shims = pathlib.Path(tempfile.mkdtemp(prefix="shims-", dir=warden.dir))
            self.shims.chmod(0o755)
            for n in SHIMMED:
                self.add_shim(n)
            mounts = ["-v", f"{socket_dir or warden.socket.parent}:/run/clawrden:ro",
                      "-v", f"{(BIN / 'clawrden-shim').resolve()}:/opt/clawrden-shim:ro", "-v", f"{self.shims}:/opt/shims:ro"]
        name_option = ["--name", name] if name else []
        self.id = engine.text("run", "-d", "--init=false", "-u", user, "-w", "/app", *name_option, *mounts, *options, IMAGE,
                              *command)
        info = json.loads(engine.text("inspect", self.id))[0]
        self.init, self.name = info["State"]["Pid"], info["Name"].lstrip("/")

    def add_shim(self, name):
        (self.shims / name).symlink_to("/opt/clawrden-shim")

    def argv(self, *argv, user=None, env=(), tty=False, cwd=None):
        options = ["-i"]
        if tty:
            options += ["-t"]
        for e in env:
            options += ["-e", e]
        if cwd:
            options += ["-w", cwd]
        return [*self.engine.client, "exec", *options, "-u", user or self.user, self.id, *argv]

    def exec(self, *argv, check=True, input=b"", timeout=60, **kw):
        """docker exec."""
        done = subprocess.run(self.argv(*argv, **kw), capture_output=True, input=input, timeout=timeout)
        assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
        return done

    ENV = ("CLAWRDEN_SOCKET=/run/clawrden/warden.sock", "PATH=/opt/shims:/usr/bin:/bin")

    def run(self, *argv, check=False, env=(), **kw):
        """Through a shim, as an agent in the container would."""
        return self.exec(*argv, check=check, env=(*self.ENV, *env), **kw)

    def popen(self, *argv, env=(), user=None, tty=False, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.argv(*argv, user=user, env=(*self.ENV, *env), tty=tty), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **kw)

    def processes(self):
        """Pids of the host of everything in its cgroup and below."""
        return [int(p) for p in self.engine.text("top", self.id, "-eo", "pid").split()[1:]]

    def remove(self):
        self.engine.docker("rm", "-f", self.id, check=False)


@pytest.fixture
def make_warden(engine):
    made = []

    def make(policy=OPEN, **options):
        given = {"engine": engine.socket, "socket_mode": "0666"}
        given.update(options)
        w = system.Warden(policy, given)
        made.append(w)
        return w

    yield make
    for w in made:
        w.close()


@pytest.fixture
def warden(make_warden):
    return make_warden()


@pytest.fixture
def make_container(engine, warden):
    made = []

    def make(*options, governed=True, **kw):
        kw.setdefault("socket_dir", None)
        c = Container(engine, kw.pop("by", warden) if governed else None, *options, **kw)
        made.append(c)
        return c

    yield make
    for c in made:
        c.remove()
