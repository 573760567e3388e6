# SPDX-License-Identifier: MIT
"""Attacks behind the verdict: on the hand-over to the helper, on what it takes from the caller (directory,
descriptors, ids), and on the connection while the command runs."""
import os
import resource
import struct
import subprocess
import time

import pytest

import hostile
import wire
from conftest import AGENT_UID, needs_root, wait_for


@pytest.fixture
def door(make_warden):
    return hostile.open_door(make_warden)


def sleeps(mark):
    """Pids of `sleep MARK`."""
    done = subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True, text=True)
    return [int(pid) for pid in done.stdout.split()]


def still_serves(w):
    assert w.run("echo", "on").stdout == b"on\n"


# ---- who speaks ----

def test_descriptors_of_another_process_start_nothing(door):
    """The connection is inherited, and the heir hands over: after the verdict as before it, only the one
    who connected has a voice."""
    with wire.Conn(door.socket) as c:
        c.send(wire.v2_request("sleep", "77001")).go()
        if (child := os.fork()) == 0:
            c.hand_over([0, 1, 2])
            os._exit(0)
        os.waitpid(child, 0)
        kind, code, text = c.exit()
    assert (kind, code) == (0, 125) and "not handed over as they should" in text
    assert sleeps(77001) == []
    assert wait_for(door.ends)[-1]["started"] is False
    still_serves(door)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_a_signal_or_cancel_of_another_process_ends_the_connection(door, protocol):
    """It has no voice: what it says is nonsense, and nonsense ends the command."""
    with wire.Conn(door.socket) as c:
        if protocol == "v2":
            c.send(wire.v2_request("sleep", "77002")).go().hand_over([0, 1, 2])
            word = wire.message(wire.SIGNAL, struct.pack(">I", 10))
        else:
            c.send(wire.v1_request("sleep", ["77002"]))
            assert c.exactly(1) == b"\0"
            word = b"\4\0\0\0\0"
        wait_for(lambda: sleeps(77002))
        if (child := os.fork()) == 0:
            c.send(word)
            os._exit(0)
        os.waitpid(child, 0)
        end = door.wait_ends()[-1]
    assert end["caller_gone"] is True and end["signal"] == 9
    assert sleeps(77002) == []


@needs_root
@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_a_caller_that_goes_takes_its_command_along_though_others_hold_its_connection(door, protocol):
    begin = {"v1": "c = wire.Conn(path).send(wire.v1_request('sleep', ['77003'], cwd='/tmp'))\nc.exactly(1)\n",
             "v2": "c = ask('sleep', '77003').go().hand_over([null] * 3)\n"}[protocol]
    holder = hostile.attacker(begin + "if os.fork():\n sys.stdin.read()\n os._exit(0)\n"
                              "print('held', flush=True)\ntime.sleep(20)", door)
    try:
        assert holder.stdout.readline() == "held\n"
        wait_for(lambda: sleeps(77003))
        holder.stdin.close()  # the one who connected goes; its child keeps the connection
        wait_for(lambda: not sleeps(77003), 5, "the command is gone")
        assert door.wait_ends()[-1]["caller_gone"] is True
    finally:
        subprocess.run(["pkill", "-P", str(holder.pid)], capture_output=True)
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stderr.close()


# ---- where the caller stands ----

@needs_root
def test_a_directory_of_another_mount_namespace_is_refused(door):
    """Its path reads "/opt" and means something else there: a bind of /etc, made by an unprivileged user."""
    out = hostile.run_attacker("""
a, b = socket.socketpair()
if os.fork() == 0:
    ok(libc.unshare(0x10020000))  # CLONE_NEWUSER | CLONE_NEWNS
    ok(libc.mount(b'/etc', b'/opt', None, 0x5000, None))  # MS_BIND | MS_REC
    socket.send_fds(a, [b'x'], [os.open('/opt', os.O_RDONLY)])
    a.recv(1)
    os._exit(0)
_, (fd,), _, _ = socket.recv_fds(b, 1, 1)
os.fchdir(fd)
assert os.readlink('/proc/self/cwd') == '/opt' and os.path.exists('passwd')
print(wire.Conn(path).send(wire.v2_request('ls', cwd='/opt')).refusal())
print(wire.Conn(path).send(wire.v2_request('ls', cwd='')).refusal())
b.send(b'x')
""", door)
    assert out.count("(125, ") == 2 and out.count("another mount namespace") == 2, out
    assert {r["decision"] for r in door.decisions()} == {"error"}
    assert door.ends() == []


@needs_root
def test_a_directory_covered_by_a_mount_is_refused(door):
    """The path means the new mount, the caller stands below it."""
    there = door.work / "covered"
    there.mkdir()
    os.chown(there, AGENT_UID, AGENT_UID)
    p = hostile.attacker("print('in', flush=True)\nsys.stdin.readline()\nprint(ask('ls').refusal())", door, cwd=there)
    try:
        assert p.stdout.readline() == "in\n"
        subprocess.run(["mount", "-t", "tmpfs", "none", str(there)], check=True)
        out, _ = p.communicate("\n", timeout=20)
    finally:
        subprocess.run(["umount", "-l", str(there)], check=True)
    assert "(125, " in out and "mounted or moved over it" in out


@needs_root
def test_a_removed_directory_is_unknown_and_outside_of_everything(make_warden):
    w = hostile.open_door(make_warden, 'allowed_paths: ["/tmp/*"]\nrules:\n  - {command: "*", action: allow}\n')
    there = w.work / "gone"
    there.mkdir()
    out = hostile.run_attacker(f"os.chdir({str(there)!r})\nos.rmdir({str(there)!r})\n"
                               "print(wire.Conn(path).send(wire.v2_request('ls', cwd='/tmp')).refusal())", w)
    assert "(126, " in out and "allowed_paths" in out
    assert w.decisions()[-1]["cwd"] is None


@needs_root
@pytest.mark.parametrize("there", ["/proc/self", "/proc/self/task", "/dev/fd/"])
def test_a_directory_in_proc_is_judged_by_its_real_path(make_warden, there):
    w = hostile.open_door(make_warden, 'allowed_paths: ["/tmp/*"]\nrules:\n  - {command: "*", action: allow}\n')
    out = hostile.run_attacker(f"os.chdir({there!r})\nprint(wire.Conn(path).send("
                               "wire.v2_request('ls', cwd='/tmp')).refusal())", w)
    assert "(126, " in out and w.decisions()[-1]["cwd"].startswith("/proc/")


@needs_root
@pytest.mark.parametrize("kind", ["file", "fifo", "socket", "proc-fd", "link-loop", "long"])
def test_a_v1_directory_that_is_none_is_refused(door, kind):
    here = door.work
    os.mkfifo(here / "fifo")
    (here / "file").touch()
    (here / "loop").symlink_to("loop")
    there = {"file": here / "file", "fifo": here / "fifo", "socket": door.socket, "proc-fd": "/proc/self/fd/0/x",
             "link-loop": here / "loop", "long": "/tmp/" + "x" * 4200}[kind]
    out = hostile.run_attacker(f"print(wire.Conn(path).send(wire.v1_request('ls', cwd={str(there)!r})).v1_refusal())",
                               door)
    assert "(125, " in out
    assert door.ends() == []
    still_serves(door)


def test_links_and_dots_in_a_directory_are_seen_through(make_warden):
    w = make_warden('allowed_paths: ["/tmp/*"]\nrules:\n  - {command: "*", action: allow}\n')
    (w.work / "etc").symlink_to("/etc")
    for cwd in [w.work / "etc", f"{w.work}/../../../etc", "/tmp/../etc"]:
        done = w.run("ls", cwd=cwd)
        assert done.returncode == 126 and b"allowed_paths" in done.stderr, cwd
        with wire.Conn(w.socket) as c:
            c.send(wire.v1_request("ls", cwd=str(cwd)))
            assert c.v1_refusal()[0] == 126
        assert w.decisions()[-1]["cwd"] == "/etc"
    assert w.run("ls", cwd=w.work).returncode == 0


# ---- what the caller has ----

@needs_root
def test_a_root_without_capabilities_gets_none_by_a_command(door):
    """SECBIT_NOROOT: uid 0 that gains nothing by exec, with a full bounding set."""
    out = hostile.run_attacker("""
ok(libc.prctl(28, 0x2f, 0, 0, 0))  # PR_SET_SECUREBITS: NOROOT, NO_SETUID_FIXUP, KEEP_CAPS_LOCKED, locked
header, data = struct.pack('Ii', 0x20080522, 0), struct.pack('6I', 0, 0, 0, 0, 0, 0)
ok(libc.capset(header, data))
read, write = os.pipe()
c = ask('cat', '/proc/self/status').go().hand_over([null, write, null])
c.exit()
print(os.read(read, 9000).decode())
""", door, uid=None)
    caps = {line.split(":")[0]: int(line.split()[1], 16) for line in out.splitlines() if line.startswith("Cap")}
    assert caps["CapPrm"] == caps["CapEff"] == caps["CapBnd"] == 0


@needs_root
@pytest.mark.parametrize("count", [3000, 65536])
def test_a_caller_with_many_groups_is_served_with_all_of_them(door, count):
    out = hostile.run_attacker(f"""
os.setgroups(range(100000, 100000 + {count})); os.setgid({AGENT_UID}); os.setuid({AGENT_UID})
read, write = os.pipe()
c = ask('sh', '-c', 'id -G | wc -w').go().hand_over([null, write, null])
c.exit()
print(os.read(read, 100).decode())
""", door, uid=None)
    assert int(out) == count + 1
    still_serves(door)


LIMITS = {"no files": (resource.RLIMIT_NOFILE, 1), "no processor": (resource.RLIMIT_CPU, 0),
          "no file size": (resource.RLIMIT_FSIZE, 0), "no stack": (resource.RLIMIT_STACK, 0),
          "no processes": (resource.RLIMIT_NPROC, 0), "no locks": (resource.RLIMIT_MEMLOCK, 0)}


@needs_root
@pytest.mark.parametrize("name", LIMITS)
def test_limits_of_a_caller_harm_itself_only(door, name):
    what, value = LIMITS[name]
    p = hostile.attacker(f"""
c = ask('echo', 'x')
libc.prlimit(0, {what}, struct.pack('QQ', {value}, {value}), None)
kind, payload = c.message()
if kind == wire.GO:
    c.hand_over([null] * 3)
    print('ended', c.exit()[:2])
else:
    print('refused')
""", door)
    out, errors = p.communicate(timeout=30)
    # Without processor time the kernel kills the attacker at its next tick, before or after its answer.
    assert out.startswith(("ended", "refused")) or (name == "no processor" and p.returncode == -9), errors
    still_serves(door)


@needs_root
def test_an_environment_and_arguments_as_large_as_they_may_be(door):
    """6 MB: more than exec takes. It ends with words, and costs the next caller nothing."""
    out = hostile.run_attacker("""
env = ['A%d=%s' % (i, 'x' * 100000) for i in range(70)]
c = ask('true', env=env)
kind, payload = c.message()
print(kind, payload[:200] if kind != wire.GO else c.hand_over([null] * 3).exit())
c = ask('true', *['x' * 100000] * 70)
kind, payload = c.message()
print(kind, payload[:200] if kind != wire.GO else c.hand_over([null] * 3).exit())
""", door)
    assert "could not be executed" in out.splitlines()[1], out
    still_serves(door)
