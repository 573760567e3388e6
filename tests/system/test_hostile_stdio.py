# SPDX-License-Identifier: MIT
"""Standard streams that hurt whoever holds, reads or closes them. The command gets them, as it would without
Clawrden; nobody else is held up by them."""
import time

import pytest

import hostile
from conftest import needs_root

pytestmark = needs_root


@pytest.fixture
def door(make_warden):
    return hostile.open_door(make_warden, kill_grace="1s", drain_timeout="1s")


def serves_promptly(w, times=10):
    """The slowest of some commands of another caller, in seconds."""
    slowest = 0
    for _ in range(times):
        start = time.monotonic()
        assert w.run("true").returncode == 0
        slowest = max(slowest, time.monotonic() - start)
    return slowest


# Each makes `f`, a descriptor.
ODD = {
    "a directory": "f = os.open('/', os.O_RDONLY)",
    "a path only": "f = os.open('/etc/passwd', os.O_PATH)",
    "epoll": "import select; e = select.epoll(); f = e.fileno()",
    "a memory file": "f = os.memfd_create('x')",
    "its own memory": "f = os.open('/proc/self/mem', os.O_RDWR)",
    "a full device": "f = os.open('/dev/full', os.O_RDWR)",
    "an endless device": "f = os.open('/dev/zero', os.O_RDWR)",
    "a pidfd": "f = os.pidfd_open(os.getpid())",
    "an eventfd": "f = os.eventfd(0)",
    "a namespace": "f = os.open('/proc/self/ns/net', os.O_RDONLY)",
    "the connection itself": "f = c.sock.fileno()",
    "a listening socket": "s = socket.socket(socket.AF_UNIX); s.bind(b'\\0x%d' % os.getpid()); s.listen(); f = s.fileno()",
    "a fifo without a reader": "os.mkfifo('/tmp/x%d' % os.getpid()); f = os.open('/tmp/x%d' % os.getpid(), os.O_RDWR); "
                               "os.unlink('/tmp/x%d' % os.getpid())",
    "a packet socket with descriptors in it": "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [a.fileno(), "
                                              "b.fileno()]); f = b.fileno()",
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_descriptors_reach_the_command_and_nobody_else(door, kind):
    out = hostile.run_attacker(f"""
c = ask('true').go()
{ODD[kind]}
c.hand_over([f, f, f])
print(c.exit())
c = ask('sh', '-c', 'echo x; echo y >&2; timeout 0.1 head -c 1 >/dev/null; exit 0').go()
if {kind == "the connection itself"}:  # what the command writes there is nobody's word: it ends by it
    c.hand_over([c.sock.fileno()] * 3)
    print(c.closed())
else:
    print(c.hand_over([f, f, f]).exit())
""", door)
    assert out.startswith("(0, 0, '')"), out
    assert serves_promptly(door) < 1
    end = door.wait_ends(2)
    assert end[0]["started"] is True and end[1]["started"] is True


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 64, 253])
def test_a_wrong_number_of_descriptors_starts_nothing(door, count):
    out = hostile.run_attacker(f"c = ask('true').go()\nc.send_fds(wire.message(wire.FDS, bytes(4)), [null] * {count})"
                               if count else "c = ask('true').go()\nc.send(wire.message(wire.FDS, bytes(4)))", door)
    end = door.wait_ends()[-1]
    assert end["started"] is False and end["exit_code"] == 125, out
    assert serves_promptly(door) < 1


def test_descriptors_in_a_later_message_end_the_command(door):
    """The kernel refuses them where it can (Linux 6.16), else the helper does."""
    out = hostile.run_attacker("""
c = ask('sleep', '77010').go().hand_over([null] * 3)
time.sleep(0.3)
try:
    c.send_fds(wire.message(wire.SIGNAL, struct.pack('>I', 10)), [null])
    print(c.closed())
except PermissionError:
    print('refused by the kernel')
""", door)
    assert out in ("True\n", "refused by the kernel\n")
    assert door.wait_ends()[-1]["signal"] == 9


LINGER = """
listener = socket.create_server(('127.0.0.1', 0))
def lingering():
    s = socket.create_connection(listener.getsockname())
    keep = listener.accept()[0]
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 6))
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        pass
    return s, keep
"""


def test_sockets_that_linger_hold_up_nobody(door):
    """Closing each for the last time takes six seconds: by the command's end, by a refusal, by a hang-up."""
    p = hostile.attacker(LINGER + """
for i in range(8):
    s, keep = lingering()
    c = ask('true').go()
    c.hand_over([null] * 2 + [s.fileno()] if i % 2 else [s.fileno()] * 3)
    s.close()
for i in range(8):  # one too many: what was sent is never taken
    s, keep = lingering()
    c = ask('true').go()
    c.send_fds(wire.message(wire.FDS, bytes(4)), [s.fileno()] * 5)
    s.close()
    if i % 2:
        c.close()
print('sent', flush=True)
time.sleep(3)
""", door)
    assert p.stdout.readline() == "sent\n"
    assert serves_promptly(door, 20) < 1
    out, errors = p.communicate(timeout=20)
    assert p.returncode == 0, errors
    assert serves_promptly(door) < 1


def test_files_that_cannot_be_closed_hold_up_nobody(door):
    """What has such a file does not die, not by SIGKILL either; the end of its time is on record all the same,
    its caller is told, and the next commands run."""
    with hostile.BadFuse(door.dir / "fuse") as fuse:
        p = hostile.attacker(f"""
conns = []
for i in range(16):
    f = os.open({str(fuse.there / 'file')!r}, os.O_RDWR)
    c = ask('true' if i % 2 else 'cat', '/etc/hostname').go().hand_over([f] * 3)
    conns.append(c)
print('sent', flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
""", door)
        assert p.stdout.readline() == "sent\n"
        assert serves_promptly(door, 20) < 1
        p.stdin.write("\n")
        p.stdin.flush()
        assert serves_promptly(door, 20) < 1
        # While nothing of it can die, the warden stops all the same.
        start = time.monotonic()
        assert door.stop() == 0
        assert time.monotonic() - start < 15
        fuse.let_go()
        p.wait(20)
    p.communicate()
