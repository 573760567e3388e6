# SPDX-License-Identifier: MIT
"""What a flood costs another caller. There are two wardens; an attacker floods the one that the other caller asks, or,
as the control, its twin: so the processor that attacker and warden eat counts on both sides, and what is left is how
long the other caller stands behind the attacker's requests. Flood and control take turns many times.

    python3 tests/system/floods.py [NAME ...] [--rounds N]     # a table; tests use measure()
"""
import argparse
import contextlib
import os
import pathlib
import signal
import socket
import time

import hostile
import wire
from conftest import AGENT_UID, Warden, wait_for

POLICY = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {command: "true", action: allow}
  - {command: git, action: ask, approval_timeout: 60s}
"""

# Python for hostile.attacker(): each loops for ever. flood(count, parts) keeps `count` connections busy with `parts`.
LOOP = """
import selectors, itertools
print('ready', flush=True)

def flood(count, request, answers=True):
    # Sends `request` whole on each of `count` connections, reads to the end, and begins again.
    s = selectors.DefaultSelector()
    def begin():
        c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        c.setblocking(False)
        try:
            c.connect(path)
        except OSError:
            c.close()
            return
        s.register(c, selectors.EVENT_WRITE, [0])
    view = memoryview(request)
    while True:
        while len(s.get_map()) < count:
            before = len(s.get_map())
            begin()
            if len(s.get_map()) == before:
                break
        for key, events in s.select(0.01):
            c, sent = key.fileobj, key.data
            try:
                if events & selectors.EVENT_WRITE:
                    sent[0] += c.send(view[sent[0]:sent[0] + 262144])
                    if sent[0] < len(request):
                        continue
                    if answers:
                        s.modify(c, selectors.EVENT_READ, sent)
                        continue
                elif c.recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            s.unregister(c)
            c.close()
"""

FLOODS = {
    "connections that say nothing": "flood(900, b'C')",
    "connections that come and go": "flood(16, b'C', answers=False)",
    "small denials": "flood(256, wire.v2_request('no', 'x'))",
    "small denials, version 1": "flood(256, wire.v1_request('no', ['x']))",
    "large denials": "flood(64, wire.v2_request('no', *['x' * 100000] * 2))",
    "many arguments": "flood(16, wire.v2_request('no', *['x'] * 100000))",
    "huge arguments": "flood(16, wire.v2_request('no', *['x' * 100000] * 15))",
    "odd bytes": "flood(16, wire.v2_request('no', *['\\udcff\\x01' * 50000] * 8))",
    "large environments": "flood(16, wire.v2_request('no', env=['A%d=%s' % (i, 'x' * 1000) for i in range(1500)]))",
    "many paths": "flood(64, wire.v2_request('rm', '-rf', *['/tmp/../usr/./lib/x%d' % i for i in range(1000)]))",
    "JSON bombs": "flood(16, struct.pack('>I', 10 << 20) + b'[' + b'\"\",' * ((10 << 20) // 3))",
    "deep JSON": "flood(16, struct.pack('>I', 1 << 20) + b'[' * (1 << 20))",
    "large JSON": "flood(16, wire.v1_request('no', ['x' * 100000] * 15))",
    "not a request": "flood(256, b'C' * 70000)",
    "headers without a body": "flood(256, wire.v2_request('no', 'x')[:-1])",
    "asks that hang up": "flood(64, wire.v2_request('git', 'push'), answers=False)",
    "asks that wait": "flood(256, wire.v2_request('git', 'push'))",
    "commands": "flood(64, wire.v2_request('true'))",
    "descriptors": '''
request = wire.v2_request('no', 'x')
while True:
    try:
        with wire.Conn(path) as c:
            c.send_fds(request, [null] * 253)
            c.rest()
    except OSError:
        pass
''',
    "one byte at a time": '''
request = wire.v2_request('no', 'x' * 4000)
conns = {}
for i in itertools.cycle(range(128)):
    try:
        if i not in conns:
            conns[i] = [wire.Conn(path), 0]
        c, at = conns[i]
        c.sock.setblocking(False)
        if at < len(request):
            conns[i][1] += c.sock.send(request[at:at + 1])
        elif not c.sock.recv(4096):
            c.close()
            del conns[i]
    except BlockingIOError:
        pass
    except OSError:
        conns.pop(i)[0].close()
''',
}
API = '''
import http.client
def hit(text, n=32):
    global path
    target = ('127.0.0.1', port)
    while True:
        socks = []
        for i in range(n):
            try:
                c = socket.create_connection(target, 5)
                c.sendall(text)
                socks.append(c)
            except OSError:
                pass
        for c in socks:
            try:
                c.recv(65536)
            except OSError:
                pass
            c.close()
'''
FLOODS.update({
    "API: wrong tokens": API + "hit(b'GET /api/queue HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer x\\r\\n\\r\\n')",
    "API: wrong passwords": API + "hit(b'GET /api/queue HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Basic YTpi\\r\\n\\r\\n')",
    "API: half a header": API + "hit(b'GET /api/queue HTTP/1.1\\r\\nX: ' + b'x' * 8000)",
    "API: not HTTP": API + "hit(b'\\0' * 60000)",
    # As a load generator does it: connections that stay, each with its next request as soon as it has its answer.
    "API: logged in": '''
request = f'GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer {token}\\r\\n\\r\\n'.encode()
s = selectors.DefaultSelector()
for i in range(32):
    c = socket.create_connection(('127.0.0.1', port), 5)
    c.setblocking(False)
    c.sendall(request)
    s.register(c, selectors.EVENT_READ)
while True:
    for key, _ in s.select():
        assert key.fileobj.recv(65536), 'the warden closed it'
        key.fileobj.sendall(request)
''',
    "API: healthz": API + "hit(b'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')",
})
REQUEST = wire.v2_request("no", "x")


def ask(w):
    """Seconds from connect to verdict."""
    begin = time.perf_counter()
    c = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    c.connect(str(w.socket))  # waits where the backlog is full, as a shim does
    with wire.Conn.of(c) as c:
        code, words = c.send(REQUEST).refusal()
    assert code == 126, words
    return time.perf_counter() - begin


def ask_for(w, seconds):
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        times.append(ask(w))
    return times


def quantile(times, q):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * q))]


def cpu_of(w):
    fields = pathlib.Path(f"/proc/{w.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


class Settled:
    def __init__(self, wardens):
        self.wardens, self.last, self.since = wardens, None, 0

    def __call__(self):
        now = [cpu_of(w) for w in self.wardens]
        if now != self.last:
            self.last, self.since = now, time.monotonic()
        return time.monotonic() - self.since > 0.05


@contextlib.contextmanager
def flooding(w, name):
    """An attacker that floods `w` whenever it is not stopped. Yields its pid, stopped."""
    port = w.api_url.rsplit(":", 1)[1] if "API" in name else 0
    p = hostile.attacker(f"port, token = {port}, {w.token!r}\n" + LOOP + FLOODS[name], w, start_new_session=True)
    try:
        assert p.stdout.readline() == "ready\n", p.communicate()
        os.kill(p.pid, signal.SIGSTOP)
        yield p
    finally:
        p.kill()
        p.communicate()


def wardens(make=None):
    options = {"socket_mode": "0666", "log_level": "info"}
    return [make(POLICY, options=options) if make else Warden(POLICY, options) for _ in range(2)]


def measure(pair, name, rounds=5, seconds=0.6):
    """{"quiet"|"control"|"flood": [seconds of each request]} of another caller of pair[0]."""
    times = {"quiet": [], "control": [], "flood": []}
    with flooding(pair[0], name) as flood, flooding(pair[1], name) as control:
        for _ in range(rounds):
            times["quiet"] += ask_for(pair[0], seconds / 4)
            for what, p in (("control", control), ("flood", flood)):
                os.kill(p.pid, signal.SIGCONT)
                ask_for(pair[0], 0.05)
                times[what] += ask_for(pair[0], seconds)
                assert p.poll() is None, p.communicate()
                os.kill(p.pid, signal.SIGSTOP)
                with contextlib.suppress(AssertionError):
                    wait_for(Settled(pair), 2)
    return times


def ratios(times):
    return {q: quantile(times["flood"], q) / quantile(times["control"], q) for q in (0.5, 0.9, 0.99)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{'flood':32} {'quiet p50/p99':>15} {'control p50/p99':>17} {'flood p50/p99':>17}   ratio p50 p90 p99  (us; n)")
    for name in FLOODS:
        if args.names and not any(n in name for n in args.names):
            continue
        pair = wardens()
        try:
            times = measure(pair, name, args.rounds)
        finally:
            for w in pair:
                w.close()
        us = {k: [f"{quantile(v, q) * 1e6:.0f}" for q in (0.5, 0.99)] for k, v in times.items()}
        r = ratios(times)
        print(f"{name:32} {'/'.join(us['quiet']):>15} {'/'.join(us['control']):>17} {'/'.join(us['flood']):>17}   "
              f"{r[0.5]:.1f} {r[0.9]:.1f} {r[0.99]:.1f}  ({len(times['flood'])})", flush=True)


if __name__ == "__main__":
    main()
