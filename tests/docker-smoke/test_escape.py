# SPDX-License-Identifier: MIT
"""What code of an agent tries from inside of its container, as its own user and as root there. docs/docker.md has the table of
what is stopped in which mode; each of its rows names a test of this file, or of another."""
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from conftest import OPEN, patient, system, wait_for
from test_mirror import cgroup_pids

WIRE = pathlib.Path(__file__).resolve().parents[1] / "system"
# In front of what runs in the container: the protocol, spoken by the agent itself.
SPEAK = """
import ctypes, os, socket, struct, sys, time
sys.path.insert(0, "/opt/tests")
from wire import Conn, v2_request
libc = ctypes.CDLL(None, use_errno=True)
PATH = "/run/clawrden/warden.sock"
def ask(conn, *argv):
    conn.send(v2_request(*argv))
    try:
        conn.go()
        conn.hand_over([0, 1, 2])
        return ("ran", conn.exit())
    except Exception as e:
        return ("refused", str(e)[:300])
"""


@pytest.fixture(params=["native", "docker"])
def mode(request):
    return request.param


@pytest.fixture
def warden(make_warden, mode):
    return make_warden(mirror=mode)


@pytest.fixture(params=["1000", "0"], ids=["agent", "root"])
def prisoner(request, make_container):
    return make_container("-v", f"{WIRE}:/opt/tests:ro", user=request.param)


def speak(c, code, check=False, **kw):
    return c.exec("/usr/bin/python3", "-c", SPEAK + code, check=check, env=c.ENV, **kw)


# ---- who speaks ----

def test_the_protocol_spoken_by_the_agent_itself_gives_no_more(warden, prisoner):
    done = speak(prisoner, "with Conn(PATH) as c: print(ask(c, 'rm', '-rf', '/tmp/x'))")
    assert b"refused" in done.stdout and warden.decisions()[-1]["decision"] == "deny", done
    done = speak(prisoner, "with Conn(PATH) as c: print(ask(c, 'id'))")
    assert b"uid=" + prisoner.user.encode() in done.stdout, done


def test_an_inherited_connection_has_no_voice(warden, prisoner):
    """Connected by one process, spoken on by its child: the kernel names another sender."""
    before = len(warden.decisions())
    done = speak(prisoner, """
c = Conn(PATH)
if os.fork() == 0:
    print(ask(c, 'id'), flush=True)
    os._exit(0)
os.wait()
""")
    assert b"ran" not in done.stdout and b"uid=" not in done.stdout, done
    assert not [d for d in warden.decisions()[before:] if d["decision"] == "allow"]


def test_ids_dropped_on_a_connection_end_it(warden, make_container):
    c = make_container("-v", f"{WIRE}:/opt/tests:ro", user="0")
    done = speak(c, "c = Conn(PATH); os.setgid(1000); os.setuid(1000); print(ask(c, 'id'))")
    assert b"ran" not in done.stdout and b"uid=0" not in done.stdout, done


def test_the_socket_of_another_prisoner_is_refused(make_warden, make_container, tmp_path, mode):
    tmp_path.chmod(0o755)
    w = make_warden(mirror=mode, door=f"mine={tmp_path / 'mine'}")
    for user in ("1000", "0"):
        thief = make_container(by=w, name=f"thief-{user}", socket_dir=tmp_path / "mine", user=user)
        done = thief.run("id")
        assert done.returncode == 125 and b"this socket belongs to 'mine'" in done.stderr, done


# ---- a sandbox of its own ----

LANDLOCK = """
attr = struct.pack("Q", 1 << 1)                       # writing to files is handled, and nothing allows it
fd = libc.syscall(444, attr, 8, 0)
if fd < 0: print("no Landlock"); raise SystemExit(77)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(446, fd, 0) == 0
try: open("/tmp/inside", "w"); raise SystemExit("no rule holds")
except PermissionError: pass
os.execv("/opt/shims/sh", ["sh", "-c", "echo out >/tmp/outside"])
"""


def test_a_landlocked_caller_is_refused(warden, make_container):
    for user in ("1000", "0"):
        c = make_container("--security-opt", "seccomp=unconfined", "-v", f"{WIRE}:/opt/tests:ro", user=user)
        done = speak(c, LANDLOCK)
        if done.returncode == 77:  # this kernel has none: the mark that goes with it is refused all the same
            done = speak(c, "assert libc.prctl(38, 1, 0, 0, 0) == 0; os.execv('/opt/shims/id', ['id'])")
        assert done.returncode == 125 and b"no_new_privs" in done.stderr, done
        assert c.exec("test", "-e", "/tmp/outside", check=False).returncode == 1


def test_nested_namespaces_are_refused(warden, make_container):
    c = make_container("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
    for options in (["--user", "--map-root-user"], ["--user", "--map-root-user", "--mount"], ["--user", "--map-root-user", "--pid", "--fork"]):
        done = c.exec("/usr/bin/unshare", *options, "/opt/shims/id", check=False, env=c.ENV)
        assert done.returncode == 125 and b"uid=" not in done.stdout, (options, done)
    root = make_container("--cap-add", "SYS_ADMIN", user="0")
    done = root.exec("/usr/bin/unshare", "--cgroup", "/opt/shims/id", check=False, env=root.ENV)
    assert done.returncode == 125 and b"another cgroup namespace" in done.stderr, done


# ---- other processes ----

def test_nothing_of_ours_is_there_to_be_traced_or_stopped(warden, prisoner):
    """Every process that can be seen is looked into while commands start: memory, executable, ptrace."""
    hunter = """
import glob
end, seen, opened = time.time() + 6, set(), []
me = os.getpid()
while time.time() < end:
    for d in os.listdir("/proc"):
        if not d.isdigit() or int(d) == me: continue
        for what in ("exe", "cwd", "root"):
            try:
                target = os.readlink(f"/proc/{d}/{what}")
                seen.add(target)
            except OSError: pass
        try: seen.add("comm:" + open(f"/proc/{d}/comm").read().strip())
        except OSError: pass
        try: seen.add("maps:" + str("mirror" in open(f"/proc/{d}/maps").read()))
        except OSError: pass
print([s for s in seen if "mirror" in s or "memfd" in s or "clawrden-warden" in s or s == "maps:True"], len(seen))
"""
    p = subprocess.Popen(prisoner.argv("/usr/bin/python3", "-c", SPEAK + hunter), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ran = 0
    while p.poll() is None:
        assert prisoner.run("true").returncode == 0
        ran += 1
    out, err = p.communicate()
    assert out.startswith(b"[] ") and ran > 3, (out, err)


STOPPER = """
import signal
before = set(os.listdir("/proc"))
print("up", flush=True)
end = time.time() + float(sys.argv[1])
while time.time() < end:
    for d in os.listdir("/proc"):
        if d.isdigit() and d not in before and int(d) != os.getpid():
            try: os.kill(int(d), signal.SIGSTOP)
            except OSError: pass
for d in os.listdir("/proc"):
    if d.isdigit() and int(d) not in (1, os.getpid()):
        try: os.kill(int(d), signal.SIGCONT)
        except OSError: pass
"""


def test_stopping_what_starts_holds_up_nobody_else(warden, prisoner, make_container):
    """SIGSTOP to every new process in there, from the first moment that it can be seen: those commands hang or fail, as
    the agent wanted; the other container, and the warden, go on."""
    other = make_container()
    assert other.run("true").returncode == 0
    p = subprocess.Popen(prisoner.argv("/usr/bin/python3", "-c", SPEAK + STOPPER, "8"), stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    victims = [prisoner.popen("true") for _ in range(8)]
    times = []
    while p.poll() is None:
        begun = time.monotonic()
        assert other.run("true").returncode == 0
        times.append(time.monotonic() - begun)
    assert len(times) >= 2 and max(times) < patient(6), times
    # One that stopped its shim in turn is continued as often as it takes.
    wait_for(lambda: [prisoner.exec("/bin/sh", "-c", "kill -CONT -1", check=False)] and all(v.poll() is not None for v in victims), 60)
    wait_for(lambda: prisoner.run("true").returncode == 0, 20)


def test_a_shim_that_is_traced_is_its_tracers(warden, prisoner):
    """The tracer may end or change its own shim; what it says is judged as ever, and its end ends the command."""
    done = speak(prisoner, """
pid = os.fork()
if pid == 0:
    os.execv('/opt/shims/sleep', ['sleep', '1003'])
time.sleep(1.5)
assert libc.ptrace(16, pid, 0, 0) == 0, ctypes.get_errno()      # PTRACE_ATTACH
os.waitpid(pid, 0x40000000)
assert libc.ptrace(8, pid, 0, 0) == 0                           # PTRACE_KILL
os.waitpid(pid, 0)
print('killed')
""")
    if b"killed" in done.stdout:
        wait_for(lambda: not [x for x in cgroup_pids(prisoner) if b"1003" in cmdline(x)], 20)
    else:  # Docker's filter refuses ptrace on old kernels, Yama may
        assert b"AssertionError" in done.stderr, done


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# ---- programs ----

def test_copies_do_not_take_the_place_of_programs(make_warden, prisoner, mode, make_container):
    w = make_warden(OPEN.replace("unknown_executable: ask", "unknown_executable: deny"), mirror=mode)
    c = make_container(by=w, user=prisoner.user)
    c.exec("/bin/sh", "-c", "cp /usr/bin/rm /app/ls; cp /proc/self/exe /app/cat; mkdir -p /app/keep", user="1000")
    done = c.exec("/bin/sh", "-c", "PATH=/app:$PATH exec /opt/shims/ls -rf /app/keep", check=False, env=c.ENV)
    # The real ls ran, whatever PATH says; or, for root without trusted paths of its own, none.
    assert b"keep" not in done.stdout or done.returncode == 0, done
    assert c.exec("test", "-d", "/app/keep", check=False).returncode == 0
    done = c.exec("/bin/sh", "-c", "exec /opt/shims/sh /proc/self/fd/0", check=False, env=c.ENV, input=b"echo owned")
    assert b"owned" not in done.stdout, done  # a script without a name is no known program


# ---- the way to the warden ----

def test_the_api_is_out_of_reach(warden, make_container, mode):
    port = int(warden.api_url.rsplit(":", 1)[1])
    dial = (f"import socket\ns = socket.socket(); s.settimeout(5)\ntry:\n  s.connect(('127.0.0.1', {port}))\n"
            "  s.sendall(b'POST /api/queue/x/approve HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}'); print(s.recv(100).split(b'\\r\\n')[0])\n"
            "except OSError as e: print(type(e).__name__)")
    for user in ("1000", "0"):
        alone = make_container(user=user)
        assert b"Error" in alone.exec("/usr/bin/python3", "-c", dial).stdout
        near = make_container("--network", "host", user=user)
        out = near.exec("/usr/bin/python3", "-c", dial).stdout
        assert b"Error" in out or b" 401 " in out, out
        # Its socket, by somebody's mistake in the container: whoever stands in a container has no login.
        leak = make_container("-v", f"{warden.state}:/leak", user=user)
        local = ("import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n  s.connect('/leak/api.sock')\n"
                 "  s.sendall(b'GET /api/queue HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(100).split(b'\\r\\n')[0])\nexcept OSError as e: print(type(e).__name__)")
        out = leak.exec("/usr/bin/python3", "-c", local).stdout
        assert b"Error" in out or b" 401 " in out or b" 403 " in out, out


def test_the_engines_socket_is_not_there(prisoner):
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"):
        assert prisoner.exec("test", "-e", path, check=False).returncode == 1
        assert prisoner.run("stat", path).returncode != 0


# ---- the cgroup ----

CLONE_INTO = """
# clone3 into the container's own cgroup, or wherever a directory of cgroups can be opened.
import glob
def clone_into(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    args = struct.pack("11Q", 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd)
    buf = ctypes.create_string_buffer(args)
    return libc.syscall(435, buf, len(args))
got = []
for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
    for path in [root] + glob.glob(root + "/*/"):
        try: r = clone_into(path)
        except OSError: continue
        if r == 0:
            os.setsid(); time.sleep(1000); os._exit(0)
        if r > 0: got.append(path)
print("escaped", got, flush=True)
for _ in range(3):
    if os.fork() == 0:
        os.setsid(); time.sleep(1000); os._exit(0)
time.sleep(1000)
"""


@pytest.mark.parametrize("user", ["1000", "0"])
def test_clone_into_another_cgroup_does_not_leave_the_kill(warden, make_container, user):
    c = make_container("--security-opt", "seccomp=unconfined", "-v", f"{WIRE}:/opt/tests:ro", user=user)
    p = c.popen("python3", "-c", SPEAK + CLONE_INTO)
    line = p.stdout.readline()
    assert line.startswith(b"escaped"), (line, p.stderr.read(300) if p.poll() is not None else b"")
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137
    wait_for(lambda: cgroup_pids(c) == [])


def test_removing_the_container_is_never_held_up(engine, warden, make_container):
    """Commands that run, wait for a person, and hold their directories open."""
    c = make_container()
    ps = [c.popen("sleep", "1000"), c.popen("git", "push"), c.popen("sh", "-c", "cd /tmp; exec sleep 1000")]
    wait_for(lambda: len(warden.decisions()) >= 2 and warden.queue(), 20)
    begun = time.monotonic()
    engine.docker("rm", "-f", c.id)
    assert time.monotonic() - begun < patient(20)
    for p in ps:
        p.wait(20)
    wait_for(lambda: not warden.queue(), 20)
    # os.walk: groups of others come and go meanwhile
    wait_for(lambda: not any(c.id in d for _, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs), 20)
