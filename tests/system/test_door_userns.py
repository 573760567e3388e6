# SPDX-License-Identifier: MIT
"""A door bound to a user namespace: what rootless engines make is known by its owner, without an engine's word. Whoever is elsewhere
is refused: on the host, under another owner, in the pid namespace of others, in namespaces that got the numbers of earlier ones."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import AGENT_UID, BIN, needs_root, wait_for

pytestmark = needs_root

OPEN = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {name: no-rm, command: rm, action: deny}
  - {command: "*", action: allow}
"""
OTHER_UID = AGENT_UID + 1
SUBORDINATE = 700000
KINDS = ("user", "pid", "mnt")

# As a rootless engine does it: namespaces of a user, ids that somebody with rights maps, files that belong to the user in there. The
# first process takes {"argv", "uid"} a line and answers with what became of it. clone3() so that it can get a number of our choice.
SPACE = r"""
import ctypes, json, os, shutil, struct, subprocess, sys
owner, wanted, first = map(int, sys.argv[1:4])
root, door, shim, busybox, *libraries = sys.argv[4:]
libc = ctypes.CDLL(None, use_errno=True)
def check(r):
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
check(libc.prctl(8, 1, 0, 0, 0))  # PR_SET_KEEPCAPS
os.setgroups([]); os.setresgid(owner, owner, owner); os.setresuid(owner, owner, owner)
head, caps = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
check(libc.capget(head, caps))
low = struct.unpack("6I", caps.raw)
check(libc.capset(head, struct.pack("6I", low[1], low[1], 0, low[4], low[4], 0)))
go, mapped = os.pipe()
tids = (ctypes.c_int * 2)(1, wanted)
args = struct.pack("11Q", 0x10000000 | 0x20000000 | 0x20000, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(tids) if wanted else 0, 2 if wanted else 0, 0)
pid = check(libc.syscall(435, args, len(args)))
if pid:
    maps = f"0 {owner} 1" + (f"\n1 {first} 65535" if first else "")
    for f, text in (("setgroups", "allow" if first else "deny"), ("uid_map", maps), ("gid_map", maps)):
        open(f"/proc/{pid}/{f}", "w").write(text)
    print(pid, flush=True)
    os.close(mapped)
    os.waitpid(pid, 0)
    raise SystemExit
libc.prctl(1, 9)  # PR_SET_PDEATHSIG
os.close(mapped); os.read(go, 1)
os.setresgid(0, 0, 0); os.setresuid(0, 0, 0)
check(libc.mount(b"none", b"/", None, 0x44000, None))
check(libc.mount(b"tmpfs", root.encode(), b"tmpfs", 0, b"mode=755"))
os.chdir(root)
for name in ("bin", "shims", "door", "proc", "tmp", "dev"): os.mkdir(name)
open("dev/null", "w").close()
os.chmod("tmp", 0o1777)
shutil.copy(busybox, "bin/busybox"); shutil.copy(shim, "shim")
for path in libraries:
    os.makedirs(os.path.dirname(path)[1:], exist_ok=True); shutil.copy(path, path[1:])
for name in "id ls cat grep mkfifo readlink rm seq sh sleep true unshare setsid".split():
    os.symlink("busybox", f"bin/{name}"); os.symlink("/shim", f"shims/{name}")
check(libc.mount(door.encode(), b"door", None, 0x1000, None))
check(libc.mount(b"/dev/null", b"dev/null", None, 0x1000, None))
check(libc.mount(b"proc", b"proc", b"proc", 0, None))
check(libc.syscall(155, b".", b"."))  # pivot_root
check(libc.umount2(b".", 2))
os.chdir("/tmp")
for line in sys.stdin:
    ask = json.loads(line)
    done = subprocess.run(ask["argv"], user=ask["uid"], group=ask["uid"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
"""


class Space:
    def __init__(self, w, owner=AGENT_UID, pid=0, first=SUBORDINATE):
        busybox = shutil.which("busybox")
        libraries = re.findall(r"/\S+", subprocess.run(["ldd", busybox], capture_output=True, text=True).stdout)
        command = [sys.executable, "-c", SPACE, str(owner), str(pid), str(first), w.work, w.dir / "box", (BIN / "clawrden-shim").resolve(),
                   busybox, *libraries]
        self.process = w.keep(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                               env={"PATH": "/bin", "CLAWRDEN_SOCKET": "/door/warden.sock"}))
        self.init = int(self.process.stdout.readline())

    def run(self, *argv, uid=0):
        """[status, stdout, stderr] of a program in there."""
        self.process.stdin.write(json.dumps({"argv": [str(a) for a in argv], "uid": uid}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def governed(self, *argv, **kw):
        return self.run(f"/shims/{argv[0]}", *argv[1:], **kw)

    def numbers(self):
        return [os.readlink(f"/proc/{self.init}/ns/{k}") for k in KINDS]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


@pytest.fixture
def door(make_warden):
    w = make_warden(OPEN, start=False)
    w.options.update(engine="none", door=f"box={w.dir}/box,userns={AGENT_UID}")
    return w.start()


def knock(w, *argv, uid=None):
    """From the host."""
    ids = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.run([w.shim(argv[0]), *argv[1:]], env=w.agent_env(CLAWRDEN_SOCKET=f"{w.dir}/box/warden.sock"), cwd=w.work,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **ids)


def test_a_command_runs_where_its_caller_lives(door):
    box = Space(door)
    links = ("sh", "-c", f"for k in {' '.join(KINDS)}; do readlink /proc/self/ns/$k; done")
    for uid, outside in ((0, AGENT_UID), (1000, SUBORDINATE + 999)):
        for argv in (links, ("id",), ("sh", "-c", "grep -E 'Groups|Cap|NoNewPrivs|Seccomp' /proc/self/status; ls /")):
            plain, ours = box.run(*argv, uid=uid), box.governed(*argv, uid=uid)
            assert ours == plain and plain[1], (ours, plain, door.log())
        d = door.decisions()[-1]
        assert (d["container"], d["executor"], d["uid"]) == ("box", "mirror", outside)
    assert box.governed("rm", "x")[0] == 126
    other = Space(door)  # a second one of this owner
    assert other.governed(*links)[1].split() == other.numbers() != box.numbers()
    assert box.governed(*links)[1].split() == box.numbers()


def test_a_namespace_that_its_owner_made_without_help(door):
    """One id is mapped and setgroups(2) is denied in there, as `unshare --map-root-user` and bubblewrap leave it."""
    box = Space(door, first=0)
    assert box.run("cat", "/proc/self/setgroups")[1] == "deny\n"
    assert box.governed("id") == box.run("id"), door.log()
    assert box.governed("cat", "/proc/self/uid_map")[0] == 0 and door.decisions()[-1]["uid"] == AGENT_UID


def test_whoever_is_elsewhere_is_refused(door):
    w, box = door, Space(door)
    assert box.governed("true")[0] == 0
    for uid in (None, AGENT_UID, OTHER_UID):
        done = knock(w, "true", uid=uid)
        assert done.returncode == 125 and "this socket belongs to 'box', and the caller is on the host" in done.stderr, done
    other = Space(w, owner=OTHER_UID, first=SUBORDINATE + 100000)
    status, _, words = other.governed("true")
    assert status == 125 and "the caller is in a container and no engine is there to name it" in words
    assert len(w.decisions()) == 1


def test_a_pid_namespace_of_others_makes_nobody_of_them_the_prisoner(door):
    """Whoever owns a user namespace, and shares its pid namespace with others, must not make that one's first process, and with it
    everybody in its user namespace, the prisoner of the door."""
    w = door
    theirs = ("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", 'trap "" TERM; "$@"; exit $?', "sh", "setpriv", f"--reuid={AGENT_UID}",
              f"--regid={AGENT_UID}", "--clear-groups", "unshare", "--user", "--map-root-user", "sh", "-c", '"$@"; status=$?; echo knocked; read x; exit $status', "sh")
    p = w.keep(subprocess.Popen([*theirs, w.shim("true")], env=w.agent_env(CLAWRDEN_SOCKET=f"{w.dir}/box/warden.sock"), cwd=w.work,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    assert p.stdout.readline() == "knocked\n"
    done = knock(w, "true")  # while that pid namespace is there
    assert done.returncode == 125 and "the caller is on the host" in done.stderr, done
    _, words = p.communicate("\n", timeout=20)
    assert p.returncode == 125 and "is not what 'box' is bound to; give it a pid namespace of its own" in words, words
    assert w.decisions() == []


def test_nested_namespaces(door):
    w, box = door, Space(door)
    assert box.governed("true")[0] == 0
    unshare = ("unshare", "-U", "-r")
    # of the same owner, with the box's first process: not where its command would run
    status, _, words = box.run(*unshare, "/shims/id")
    assert status == 125 and "another user namespace than its container" in words, words
    # with a first process of its own it is a prisoner of its own, whose command runs in there and not in the box
    status, out, words = box.run(*unshare, "-p", "-f", "--mount-proc", "sh", "-c", f"readlink /proc/self/ns/user; /shims/readlink /proc/self/ns/user")
    lines = out.split()
    assert status == 0 and lines[0] == lines[1] != box.numbers()[0], (out, words)
    # of another user in there, who is somebody else out here
    status, _, words = box.run(*unshare, "-p", "-f", "--mount-proc", "/shims/id", uid=1000)
    assert status == 125 and "no engine is there to name it" in words, words
    assert box.governed("readlink", "/proc/self/ns/user")[1].strip() == box.numbers()[0]


def again(w, owner, pid):
    with contextlib.suppress(ValueError):  # somebody has the pid just now
        return Space(w, owner=owner, pid=pid, first=SUBORDINATE + 100000)


@pytest.mark.parametrize("owner", [AGENT_UID, OTHER_UID])
def test_later_namespaces_with_the_numbers_of_earlier_ones(door, owner):
    """A user namespace gets the number of an earlier one, its first process the pid of the earlier: neither is what a prisoner is known by."""
    w, box = door, Space(door)
    for _ in range(3):
        assert box.governed("true")[0] == 0
    before, pid = box.numbers()[0], box.init
    box.close()
    # The numbers are free when nothing of the warden holds the old ones: it notices with the next that knocks there.
    passing = Space(w)
    assert passing.governed("true")[0] == 0
    passing.close()
    later = None
    for _ in range(10):  # others make namespaces too, and may have taken the number: then it is the pid alone
        if later:
            later.close()
        later = wait_for(lambda: again(w, owner, pid), 20)
        if later.numbers()[0] == before:
            break
    assert later.init == pid
    status, out, words = later.governed("id")
    if owner == AGENT_UID:
        assert (status, out) == (0, later.run("id")[1]), words
        assert later.governed("readlink", "/proc/self/ns/mnt")[1].strip() == later.numbers()[2]
        status, _, words = later.governed("id", uid=1000)
        assert status == 0 and w.decisions()[-1]["uid"] == SUBORDINATE + 100999, words
    else:
        assert status == 125 and "no engine is there to name it" in words, words
        assert len(w.decisions()) == 4


def test_a_door_is_no_store_of_dead_namespaces(door):
    """Each pid namespace at the door costs the warden a descriptor: those that ended go, and the living are counted."""
    w, box = door, Space(door)

    def held():
        return len(os.listdir(f"/proc/{w.pid}/fd"))
    knock = "unshare -U -r -p -f --mount-proc sh -c '/shims/true && echo fine; exec {}'"
    box.governed("true")
    before = held()
    assert box.run("sh", "-c", f"for i in $(seq 30); do {knock.format('true')}; done")[1].count("fine") == 30
    assert held() < before + 10
    box.run("sh", "-c", f"for i in $(seq 66); do {knock.format('sleep 1000')} >>/tmp/said 2>&1 & done")
    said = wait_for(lambda: (s := box.run("cat", "/tmp/said")[1]) and s.count("fine") + s.count("refused") == 66 and s, 60)
    assert said.count("fine") == 63 and said.count("'box' has callers in 64 pid namespaces, and may have no more") == 3, said
    box.process.kill()
    later = Space(w)
    wait_for(lambda: later.governed("true")[0] == 0, 20)


def test_all_of_it_is_killed_and_only_that(door):
    w, box = door, Space(door)
    other = Space(w, owner=OTHER_UID, first=SUBORDINATE + 100000)
    script = "setsid unshare -U -r -p -f sh -c 'setsid sleep 1000 & sleep 1000' >/dev/null 2>&1 & setsid sleep 1000 >/dev/null 2>&1 & true"
    assert box.governed("sh", "-c", script)[0] == 0
    assert box.run("sh", "-c", script)[0] == 0

    def below():
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"\nNSpid:\t{p.name}\t" in (text := (p / "status").read_text()) and f"\nUid:\t{AGENT_UID}\t" in text and "\nState:\tZ" not in text:
                    found.append(int(p.name))
        return found
    wait_for(lambda: len(below()) >= 9, 20)
    done = w.cli("pause", "--yes", "--container", "box")
    assert "cannot be" in done.stdout + done.stderr, done
    w.cli("resume", "--yes", "--container", "box")
    w.cli("kill", "--yes", "--container", "box", "--signal", "KILL", check=True)
    wait_for(lambda: below() == [], 20, "nothing of it is left")
    assert other.run("true")[0] == 0
