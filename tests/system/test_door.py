# SPDX-License-Identifier: MIT
"""The door under attack: whoever is not the one who connected, is too slow, too many, or speaks
nonsense, gets nowhere and holds up nobody."""
import contextlib
import json
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

import pytest

import hostile
import wire
from conftest import AGENT_UID, BIN, POLICY, ROOT, needs_root, rss_bytes, sanitized, wait_for


def identity_errors(warden):
    return warden.log().count("connected but process") + warden.log().count("but sends as")


# ---- who is calling ----

def test_a_plain_denial_names_rule_reason_and_request(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v2_request("rm", "-rf", "/tmp/x"))
        code, text = c.refusal()
    assert code == 126
    assert text.startswith("clawrden:") and text.endswith("\n")
    assert "no-rm" in text and "nothing is deleted here" in text and "leave it" in text
    record = wait_for(warden.decisions)[-1]
    assert record["decision"] == "deny" and record["uid"] == os.getuid() and record["pid"] == os.getpid()
    assert record["id"] in text


def test_the_request_of_a_child_on_an_inherited_connection_is_refused(warden):
    with wire.Conn(warden.socket) as c:
        child = os.fork()
        if child == 0:
            c.send(wire.v2_request("echo", "hello"))
            os._exit(0)
        os.waitpid(child, 0)
        code, text = c.refusal()
    assert code == 125 and f"process {os.getpid()} connected but process {child} sends" in text
    assert warden.decisions() == []


def test_connect_then_fork_leaves_the_child_without_a_voice(warden):
    """The one who connected is gone; its child speaks in its name."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            parent = os.getpid()
            c = wire.Conn(warden.socket)
            if os.fork() == 0:
                wait_for(lambda: os.getppid() != parent)
                try:
                    c.send(wire.v2_request("echo", "hello"))
                    os.write(write, c.rest() or b"nothing")
                except OSError:
                    os.write(write, b"nothing")
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(middle, 0)
    said = os.read(read, 9000)
    os.close(read)
    assert said == b"nothing" or b"connected but process" in said, said
    assert warden.decisions() == []


@pytest.mark.parametrize("cut", [4, 8, 16, 40, -1])
def test_two_senders_of_one_request_are_refused(warden, cut):
    request = wire.v2_request("echo", "hello")
    with wire.Conn(warden.socket) as c:
        c.send(request[:cut])
        child = os.fork()
        if child == 0:
            c.send(request[cut:])
            os._exit(0)
        os.waitpid(child, 0)
        assert c.closed()
    assert warden.decisions() == []
    assert identity_errors(warden) == 1


@pytest.mark.parametrize("cut", [2, 4, 20])
def test_two_senders_of_one_v1_request_are_refused(warden, cut):
    request = wire.v1_request("echo", ["hello"])
    with wire.Conn(warden.socket) as c:
        c.send(request[:cut])
        child = os.fork()
        if child == 0:
            c.send(request[cut:])
            os._exit(0)
        os.waitpid(child, 0)
        assert c.closed()
    assert warden.decisions() == []


# Before the connect, and between it and the request; the first is what gosu and su-exec do.
CHANGED_IDENTITY = {
    "drops root": ("", "os.setgid(61234); os.setuid(61234)", "connected as 0:0 but sends as 61234:61234"),
    "drops groups": ("os.setgroups([4])", "os.setgroups([])", "other groups"),
    "stands between two users": ("os.setresuid(0, 61234, 0)", "", "125"),
}


@needs_root
@pytest.mark.parametrize("how", CHANGED_IDENTITY)
def test_a_process_that_is_not_one_user_throughout_is_refused(make_warden, how):
    w = hostile.open_door(make_warden, POLICY)
    before, after, words = CHANGED_IDENTITY[how]
    out = hostile.run_attacker(f"{before}\nc = wire.Conn(path)\n{after}\n"
                       "c.send(wire.v2_request('echo', 'hello', cwd='/tmp'))\nprint(c.refusal())", w, uid=None)
    assert words in out
    assert w.decisions() == []


@needs_root
def test_the_identity_in_a_v1_request_is_ignored(make_warden):
    w = hostile.open_door(make_warden, POLICY)
    hostile.run_attacker("c = wire.Conn(path)\nc.send(wire.v1_request('rm', ['x'], cwd='/tmp', "
                 "identity={'uid': 0, 'gid': 0}))\nprint(c.v1_refusal())", w)
    record = wait_for(w.decisions)[-1]
    assert record["uid"] == AGENT_UID and record["gid"] == AGENT_UID


@needs_root
def test_a_peer_of_a_foreign_pid_namespace_is_refused(make_warden):
    """The warden in a namespace of its own cannot name who calls from outside."""
    w = make_warden(options={"socket_mode": "0666"}, start=False)
    real = w.command
    w.command = lambda: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *real()]
    w.expect_exit = 0
    w.start()
    with wire.Conn(w.socket) as c:
        assert c.closed()
    assert "pid namespace" in w.log()
    # unshare passes no signal on: the warden is its child
    child = int(subprocess.run(["pgrep", "-P", str(w.pid)], capture_output=True, text=True).stdout.split()[0])
    os.kill(child, signal.SIGTERM)
    w.process.wait(20)


def test_a_descriptor_before_its_time_is_refused(warden):
    read, write = os.pipe()
    with wire.Conn(warden.socket) as c:
        try:
            c.send_fds(b"C", [write])
        except PermissionError:
            pass  # Linux 6.16: the kernel refuses it for the warden
        else:
            assert c.closed()
            os.close(write)
            assert os.read(read, 1) == b""  # the warden keeps no copy
            write = -1
    if write >= 0:
        os.close(write)
    os.close(read)
    assert len(os.listdir(f"/proc/{warden.pid}/fd")) < 64 if os.getuid() == 0 else True
    assert warden.decisions() == []


# ---- slow, silent, many ----

def test_half_requests_end_in_time_and_say_so(make_warden):
    w = make_warden(options={"request_deadline": "1s"})
    start = time.monotonic()
    conns = []
    for part in [b"", b"C", b"CLAWRDN2", wire.v2_request("echo")[:-1], b"\0", b"\0\0\0\x20{"]:
        c = wire.Conn(w.socket)
        c.send(part) if part else None
        conns.append(c)
    for c in conns:
        assert c.closed(8)
        c.close()
    assert 0.9 < time.monotonic() - start < 8
    assert "did not arrive in time" in w.log()


def test_a_slow_sender_does_not_win_time_byte_by_byte(make_warden):
    w = make_warden(options={"request_deadline": "1s"})
    request = wire.v2_request("echo", "hello" * 100)
    start = time.monotonic()
    with wire.Conn(w.socket) as c:
        with pytest.raises(OSError):
            for byte in request:
                c.send(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() - start < 10
    assert time.monotonic() - start < 8


def test_ten_thousand_silent_connections_stall_nobody(make_warden):
    w = make_warden(options={"request_deadline": "60s"})
    before = rss_bytes(w.pid)
    conns = []

    def dial():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(10)
        s.connect(str(w.socket))
        return s

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        most = min(10000, hard - 200)
        for i in range(most):
            conns.append(dial())
            if i % 2500 == 2499:
                start = time.monotonic()
                with wire.Conn(w.socket) as c:
                    c.send(wire.v2_request("rm", "x"))
                    assert c.refusal()[0] == 126
                assert time.monotonic() - start < 2
        assert most > 700, "too few descriptors to say anything"
        assert rss_bytes(w.pid) - before < 32 << 20
        if os.getuid() == 0:
            assert len(os.listdir(f"/proc/{w.pid}/fd")) < 2 * 1024 + 100
        # A flood fills neither the log ...
        assert w.log().count("make room") <= 20 + len(w.log()) // 10**6
    finally:
        for s in conns:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # ... nor anything else: all is as before.
    with wire.Conn(w.socket) as c:
        c.send(wire.v2_request("rm", "x"))
        assert c.refusal()[0] == 126


@needs_root
def test_a_flood_of_one_user_leaves_room_for_another(make_warden):
    w = hostile.open_door(make_warden, POLICY, request_deadline="60s", connections_max="64", connections_max_per_uid="64")
    flood = subprocess.Popen(
        [sys.executable, "-c", "import socket, sys\nc = []\nfor i in range(300):\n s = socket.socket(socket.AF_UNIX)\n"
         f" s.connect({str(w.socket)!r})\n c.append(s)\nprint('full', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=AGENT_UID, group=AGENT_UID, extra_groups=[])
    try:
        assert flood.stdout.readline() == b"full\n"
        for _ in range(70):
            with wire.Conn(w.socket) as c:
                c.send(wire.v2_request("rm", "x"))
                assert c.refusal()[0] == 126
    finally:
        flood.stdin.close()
        flood.wait(10)


def test_running_out_of_descriptors_turns_callers_away_and_ends(make_warden):
    w = make_warden(start=False)
    real = w.command
    w.command = lambda: ["prlimit", "--nofile=600:600", *real()]
    w.options["request_deadline"] = "60s"
    w.start()
    conns = []
    for _ in range(700):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(10)
        s.connect(str(w.socket))
        conns.append(s)
    def judged():
        """Who is turned away comes again; each time somebody who says nothing makes room."""
        with contextlib.suppress(ConnectionError, EOFError), wire.Conn(w.socket) as c:
            c.send(wire.v2_request("rm", "x"))
            return c.refusal()[0] == 126

    assert any([judged() for _ in range(4)])
    for s in conns:
        s.close()


def test_bytes_of_slow_senders_are_bounded(make_warden):
    w = make_warden(options={"request_deadline": "60s", "request_bytes_max_per_uid": "16M"})
    before = rss_bytes(w.pid)
    conns = []
    for _ in range(12):
        c = wire.Conn(w.socket, timeout=5)
        try:
            c.send(struct.pack(">I", 10 << 20) + b" " * (5 << 20))
        except OSError:
            pass
        conns.append(c)
    assert rss_bytes(w.pid) - before < 48 << 20
    with wire.Conn(w.socket) as c:
        c.send(wire.v2_request("rm", "x"))
        assert c.refusal()[0] == 126
    for c in conns:
        c.close()


# ---- nonsense ----

NONSENSE = {
    "neither": b"GET / HTTP/1.1\r\n\r\n",
    "magic": b"CLAWRDN3" + bytes(8),
    "reserved": b"CLAWRDN2\x01\x01\0\0" + struct.pack(">I", 40) + bytes(40),
    "type": b"CLAWRDN2" + wire.message(wire.FDS, bytes(40)),
    "long": b"CLAWRDN2" + struct.pack(">B3xI", 1, (8 << 20) + 1),
    "short": b"CLAWRDN2" + wire.message(wire.REQUEST, bytes(8)),
    "no argv": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], argc=0)),
    "more argv": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], argc=2)),
    "less argv": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x", "y"], argc=1)),
    "many argv": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], argc=0xffffffff)),
    "many env": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], envc=0xffffffff)),
    "no name": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], name="")),
    "name with slash": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], name="a/b")),
    "long name": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], name="n" * 300)),
    "relative cwd": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], cwd="tmp")),
    "umask": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"], umask=0o10000)),
    "no NUL at the end": b"CLAWRDN2" + wire.message(1, wire.v2_payload(["x"])[:-1]),
    "rest": wire.v2_request("echo", "x") + b"more",
    "v1 zero": bytes(4),
    "v1 long": struct.pack(">I", 10485761),
    "v1 no json": struct.pack(">I", 4) + b"abcd",
    "v1 array": struct.pack(">I", 2) + b"[]",
    "v1 nul": wire.v1_request("echo", ["a\0b"]),
    "v1 types": wire.v1_request("echo", [1]),
    "v1 relative cwd": wire.v1_request("echo", cwd="tmp"),
    "v1 deep": struct.pack(">I", 100000) + b"[" * 100000,
    "v1 duplicate": (lambda t: struct.pack(">I", len(t)) + t)(b'{"command":"rm","command":"echo","cwd":"/tmp"}'),
}


def test_nonsense_is_refused_and_the_next_caller_served(warden):
    conns = {kind: wire.Conn(warden.socket).send(data) for kind, data in NONSENSE.items()}
    open_still = [kind for kind, c in conns.items() if not c.closed(6)]
    for c in conns.values():
        c.close()
    assert open_still == []
    assert warden.decisions() == []
    with wire.Conn(warden.socket) as c:
        c.send(wire.v2_request("rm", "x"))
        assert c.refusal()[0] == 126


def test_json_bombs_cost_little_and_stall_nobody(warden):
    before = rss_bytes(warden.pid)
    body = b'{"command":"echo","cwd":"/tmp","args":[' + b'"",' * 3400000 + b'""]}'
    assert len(body) < 10485760
    conns = []

    def bomb():
        c = wire.Conn(warden.socket, timeout=20)
        conns.append(c)
        c.send(struct.pack(">I", len(body)) + body)

    threads = [threading.Thread(target=bomb) for _ in range(4)]
    for t in threads:
        t.start()
    slowest = 0
    while any(t.is_alive() for t in threads):
        start = time.monotonic()
        with wire.Conn(warden.socket) as c:
            c.send(wire.v2_request("rm", "x"))
            assert c.refusal()[0] == 126
        slowest = max(slowest, time.monotonic() - start)
    for t in threads:
        t.join(30)
    for c in conns:
        code, text = c.v1_refusal()
        assert code == 125 and "values" in text
        c.close()
    assert slowest < 1.5, slowest
    assert rss_bytes(warden.pid) - before < 128 << 20


# ---- version 1, byte by byte ----

def test_v1_denied_with_a_reason(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v1_request("rm", ["-rf", "x"]))
        code, text = c.v1_refusal()
    assert code == 126 and text.startswith("clawrden:") and "no-rm" in text


def test_v1_in_several_pieces(warden):
    with wire.Conn(warden.socket) as c:
        for byte in wire.v1_request("rm", ["x"]):
            c.send(bytes([byte]))
        assert c.v1_refusal()[0] == 126


def test_v1_pending_is_one_byte_then_one_more(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v1_request("git", ["push"]))
        assert c.exactly(1) == b"\2"
        entry = warden.wait_queue()[0]
        c.sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            c.sock.recv(1)  # never a keep-alive byte
        c.sock.settimeout(10)
        assert warden.deny(entry["id"], "--comment", "not today").returncode == 0
        code, text = c.v1_refusal()
    assert code == 126 and "not today" in text


def test_v1_allowed_streams_and_exits(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v1_request("sh", ["-c", "echo out; echo err >&2; exit 7"], cwd="/tmp"))
        assert c.exactly(1) == b"\0"
        out = {1: b"", 2: b""}
        while True:
            kind, payload = c.frame()
            if kind == 3:
                break
            out[kind] += payload
        assert payload == b"\7" and out == {1: b"out\n", 2: b"err\n"}
        assert c.rest() == b""


def test_v1_cancel_withdraws(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v1_request("git", ["push"]))
        assert c.exactly(1) == b"\2"
        warden.wait_queue()
        c.send(b"\4\0\0\0\0")
        wait_for(lambda: warden.queue() == [])
    assert wait_for(warden.decisions)[-1]["decision"] == "withdrawn"


# ---- withdrawal ----

@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_who_hangs_up_while_waiting_is_withdrawn(warden, how):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v2_request("git", "push"))
        assert c.message()[0] == wire.WAITING
        entry = warden.wait_queue()[0]
        c.close() if how == "close" else c.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: warden.queue() == [])
    late = warden.approve(entry["id"])
    assert late.returncode == 1
    assert warden.decisions()[-1]["decision"] == "withdrawn"


def waiting_child(w, before=""):
    """A process that asks and waits, started by a parent: (parent, its pipe)."""
    code = ("import os, sys, time\nsys.path.insert(0, %r)\nimport wire\n%s\n"
            "if os.fork() == 0:\n"
            " c = wire.Conn(%r)\n c.send(wire.v2_request('git', 'push', cwd='/tmp'))\n"
            " print('said', c.message()[0], flush=True)\n print(c.refusal(), flush=True)\n os._exit(0)\n"
            "time.sleep(60)\n" % (str(ROOT / "tests/system"), before, str(w.socket)))
    return subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_request_whose_parent_went_is_withdrawn(warden):
    p = waiting_child(warden)
    assert p.stdout.readline().split()[1] == str(wire.WAITING)
    warden.wait_queue()
    p.kill()
    p.wait()
    wait_for(lambda: warden.queue() == [], 5)
    assert "parent" in p.stdout.readline()
    record = warden.decisions()[-1]
    assert record["decision"] == "withdrawn" and "parent" in json.dumps(record)
    p.stdout.close()


def test_a_request_whose_session_ended_is_withdrawn(warden):
    """The session leader goes while the parent, in between, lives on."""
    p = waiting_child(warden, before="os.setsid()\nif os.fork() != 0:\n time.sleep(60)\n os._exit(0)")
    assert p.stdout.readline().split()[1] == str(wire.WAITING)
    warden.wait_queue()
    p.kill()
    p.wait()
    wait_for(lambda: warden.queue() == [], 5)
    assert "session" in p.stdout.readline()
    p.stdout.close()


def test_data_behind_a_request_is_refused(warden):
    with wire.Conn(warden.socket) as c:
        c.send(wire.v2_request("git", "push"))
        assert c.message()[0] == wire.WAITING
        warden.wait_queue()
        c.send(wire.message(wire.SIGNAL, struct.pack(">I", 15)))
        assert c.refusal()[0] == 125
    wait_for(lambda: warden.queue() == [])


# ---- the socket ----

def test_socket_mode_and_group_are_options(make_warden):
    w = make_warden(options={"socket_mode": "0600", "socket_group": str(os.getgid())})
    st = w.socket.stat()
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_gid == os.getgid()


@needs_root
def test_the_default_mode_keeps_others_out(make_warden):
    w = make_warden(options={"socket_group": "61235"})
    st = w.socket.stat()
    assert stat.S_IMODE(st.st_mode) == 0o660 and st.st_gid == 61235
    out = hostile.run_attacker("try:\n wire.Conn(path)\nexcept PermissionError:\n print('refused')", w)
    assert out == "refused\n"


def test_a_stale_socket_is_replaced(make_warden):
    w = make_warden(start=False)
    w.socket.parent.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(w.socket))
    dead.close()
    w.start()
    with wire.Conn(w.socket) as c:
        c.send(wire.v2_request("rm", "x"))
        assert c.refusal()[0] == 126


def test_a_warden_killed_hard_starts_again(make_warden):
    w = make_warden()
    w.kill()
    assert w.socket.exists()
    w.start()
    assert w.run("true").returncode == 0


def test_something_that_is_no_socket_is_left_alone(make_warden):
    w = make_warden(start=False)
    w.socket.parent.mkdir()
    w.socket.write_text("precious")
    w.expect_exit = None
    assert w.spawn().wait(20) == 1
    w.process = None
    assert w.socket.read_text() == "precious" and "no socket" in w.log()


def test_a_second_warden_on_a_live_socket_refuses_to_start(make_warden):
    w = make_warden()
    second = make_warden(start=False)
    second.socket = w.socket
    assert second.spawn().wait(20) == 1
    second.process = None
    assert "another warden listens there" in second.log()
    assert w.run("true").returncode == 0


def test_a_second_warden_on_the_same_state_refuses_to_start(make_warden):
    w = make_warden()
    second = make_warden(start=False)
    second.state = w.state
    assert second.spawn().wait(20) == 1
    second.process = None
    assert "another warden works in" in second.log()


def test_the_socket_goes_with_its_warden(make_warden):
    w = make_warden()
    assert w.stop() == 0
    assert not w.socket.exists()


def test_a_socket_that_is_not_ours_any_more_stays(make_warden):
    w = make_warden()
    w.socket.unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(w.socket))
    assert w.stop() == 0
    assert w.socket.exists()
    other.close()


def test_paths_longer_than_an_address_work(make_warden):
    w = make_warden(start=False)
    w.socket = w.dir / ("d" * 120) / "warden.sock"
    w.start()
    assert w.socket.exists()
    assert w.stop() == 0
    assert not w.socket.exists()


def test_an_idle_warden_is_small(warden):
    assert warden.run("true").returncode == 0
    if not sanitized():
        assert rss_bytes(warden.pid) < 15 << 20


# ---- the agent can never answer ----

ANSWER = "{cli} --api unix:{api} approve {id}"


def refused_login(w, run):
    """`run` tries to approve what waits: it must fail, and the request must go on waiting."""
    p = w.popen("git", "--version")
    try:
        id = w.wait_queue()[0]["id"]
        run(ANSWER.format(cli=BIN / "clawrden", api=w.api_socket, id=id))
        time.sleep(0.2)
        assert [e["id"] for e in w.queue()] == [id]
        assert "no login by peer credentials" in w.log()
    finally:
        p.kill()
        p.communicate()


def test_a_governed_command_cannot_answer(warden):
    """It runs as the user of the warden itself, and can reach the API's socket."""
    def run(line):
        done = warden.run("sh", "-c", line)
        assert done.returncode != 0, (done.stdout, done.stderr)
    refused_login(warden, run)


def test_what_a_governed_command_left_behind_cannot_answer(warden):
    """A daemon of its own: another session, a parent that is gone."""
    def run(line):
        out = warden.work / "out"
        warden.run("sh", "-c", f"setsid sh -c 'sleep 0.3; {line}; echo $? >{out}' </dev/null >/dev/null 2>&1 &")
        assert wait_for(lambda: out.exists() and out.read_text().strip()) != "0"
    refused_login(warden, run)


@needs_root
@pytest.mark.parametrize("kind", ["--mount", "--pid --fork", "--user"])
def test_who_lives_in_other_namespaces_cannot_answer(warden, kind):
    def run(line):
        done = subprocess.run(f"unshare {kind} {line}", shell=True, capture_output=True, text=True, timeout=20)
        assert done.returncode != 0, done.stdout
    refused_login(warden, run)


# ---- a warden that is not root ----

@needs_root
def test_an_ordinary_user_s_warden_serves_that_user_only(make_warden):
    w = make_warden(user=AGENT_UID, options={"socket_mode": "0666"})
    done = w.run("sh", "-c", "id -u", uid=AGENT_UID)
    assert (done.returncode, done.stdout) == (0, b"%d\n" % AGENT_UID), done.stderr
    other = w.run("sh", "-c", "id -u", uid=AGENT_UID + 1)
    assert other.returncode == 125 and b"clawrden:" in other.stderr and other.stdout == b""


# ---- many that wait ----

@pytest.mark.slow
def test_ten_thousand_that_wait_cost_little(make_warden):
    """... and each is looked after: all of them go when their parent does."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    n = min(10000, (hard - 700) // 2)  # two descriptors each
    w = make_warden(options={"waiting_max_per_caller": n, "waiting_max": n, "asks_per_minute": 0, "log_level": "info",
                             "connections_max": n + 500, "connections_max_per_uid": n + 500, "flight_max_per_caller": n})
    code = f"""
import os, sys, time, resource
sys.path.insert(0, {str(ROOT / 'tests/system')!r})
import wire
resource.setrlimit(resource.RLIMIT_NOFILE, ({hard}, {hard}))
if os.fork():
    time.sleep(600)
request = wire.v2_request('git', 'push', cwd='/tmp')
conns = []
for i in range({n}):
    c = wire.Conn({str(w.socket)!r}, timeout=60)
    c.send(request)
    conns.append(c)
    if i % 100 == 99:
        for c in conns[-100:]:
            assert c.message()[0] == wire.WAITING
print('all', flush=True)
time.sleep(600)
"""
    p = subprocess.Popen([sys.executable, "-B", "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert p.stdout.readline() == "all\n"
        print(n, 'wait:', rss_bytes(w.pid) >> 10, 'KiB')
        assert rss_bytes(w.pid) < 100 << 20 or sanitized()
        start = time.monotonic()
        with wire.Conn(w.socket) as c:
            c.send(wire.v2_request("rm", "x"))
            assert c.refusal()[0] == 126
        assert time.monotonic() - start < 2
        p.kill()  # the parent: the asking process itself lives on
        p.wait()
        wait_for(lambda: "clawrden_queue_size 0" in w.metrics(), 60)
    finally:
        subprocess.run(["kill", "-KILL", "--", f"-{p.pid}"], capture_output=True)
        p.stdout.close()
    assert w.run("true").returncode == 0
