# SPDX-License-Identifier: MIT
"""A pid is a number that comes back. The attacker here has help from root, who makes a process of a chosen pid: an
agent would fork until it has it."""
import contextlib
import os
import pathlib
import socket
import time

import pytest

import hostile
import wire
from conftest import AGENT_UID, needs_root, wait_for

pytestmark = needs_root
LAST = pathlib.Path("/proc/sys/kernel/ns_last_pid")


def become_agent():
    os.setgroups([])
    os.setresgid(AGENT_UID, AGENT_UID, AGENT_UID)
    os.setresuid(AGENT_UID, AGENT_UID, AGENT_UID)


def child(code, *fds):
    """Forks `code` (a function) as the agent; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        become_agent()
        code(*fds)
        os._exit(0)
    finally:
        os._exit(99)


def child_of_pid(wanted, code, *fds):
    """The same, with that pid, which was another process's until now."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        LAST.write_text(str(wanted - 1))
        pid = child(lambda: os.getpid() == wanted and code(*fds))
        if pid == wanted:
            return pid
        os.waitpid(pid, 0)
    raise AssertionError(f"pid {wanted} was not to be had")


def connected_by_another(warden, before=b""):
    """A connection that a process made which is gone: the socket, and the pid that it had."""
    ours, theirs = socket.socketpair()

    def connect():
        c = wire.Conn(warden.socket)
        c.send(before)
        socket.send_fds(theirs, [b"x"], [c.sock.fileno()])
        ours.close()
        theirs.recv(1)  # until we let it go

    pid = child(connect)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    ours.send(b"x")
    assert os.waitpid(pid, 0)[1] == 0
    for s in (ours, theirs):
        s.close()
    return socket.socket(fileno=fds[0]), pid


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sent", ["nothing", "half of it"])
def test_a_process_that_got_the_pid_of_the_caller_is_not_the_caller(make_warden, version, sent):
    """Pid and uid of connect and message are the same; the process is not."""
    w = hostile.open_door(make_warden)
    request = wire.v2_request("true", cwd="/") if version == 2 else wire.v1_request("true", cwd="/")
    half = request[:20] if sent == "half of it" else b""
    sock, pid = connected_by_another(w, half)

    def go_on():
        with contextlib.suppress(OSError):
            sock.sendall(request[len(half):])
            sock.settimeout(10)
            first = sock.recv(1)
            assert first in ((b"", b"\x82") if version == 2 else (b"", b"\x00", b"\x01")), first
            if version == 1 and first == b"\x00":
                assert sock.recv(1) in (b"", b"\x02"), "a frame of stderr, with the reason"

    child_of_pid(pid, go_on)
    assert os.waitpid(pid, 0)[1] == 0
    sock.close()
    with wire.Conn(w.socket) as c:  # the next caller is served
        c.send(wire.v2_request("true", cwd="/")).go()
    assert [d for d in w.decisions() if d["uid"] == AGENT_UID] == []


def test_who_waits_is_withdrawn_when_its_process_ends_whoever_has_its_pid(make_warden):
    """The connection is still open in another process, and the pid is in use again: nobody can be answered for it."""
    w = hostile.open_door(make_warden, hostile.EVERYTHING.replace("rules:", "rules:\n  - {command: git, action: ask}"))
    ours, theirs = socket.socketpair()

    def wait():
        c = wire.Conn(w.socket).send(wire.v2_request("git", "push", cwd="/"))
        socket.send_fds(theirs, [b"x"], [c.sock.fileno()])
        theirs.recv(1)

    pid = child(wait)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    id = w.wait_queue()[0]["id"]
    ours.send(b"x")
    os.waitpid(pid, 0)
    child_of_pid(pid, lambda: time.sleep(3))
    wait_for(lambda: w.queue() == [], 3, "it is withdrawn")
    assert w.approve(id).returncode == 1
    os.waitpid(pid, 0)
    os.close(fds[0])
    assert [d["decision"] for d in w.decisions()] == ["withdrawn"]
