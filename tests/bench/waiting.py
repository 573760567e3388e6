#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""waiting.py SOCKET API_SOCKET WARDEN_PID COUNT APPROVALS: has COUNT commands wait for a person, then approves some.

Prints the warden's memory while they wait, and how long it takes from the request to approve one until the first byte that the
command writes has arrived: the answer, the second lookup, the record, the start, and the program's own start."""
import http.client
import os
import pathlib
import resource
import socket
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import wire  # noqa: E402


class Api(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def rss_kib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def wait_all(path, count):
    """[(connection, id)], each told that it waits."""
    request = wire.v2_request("echo", "started", cwd="/")
    conns = []
    while len(conns) < count:
        batch = [wire.Conn(path, timeout=60).send(request) for _ in range(min(100, count - len(conns)))]
        for c in batch:
            kind, payload = c.message()
            assert kind == wire.WAITING, (kind, payload)
            conns.append((c, str(uuid.UUID(bytes=payload[:16]))))
    return conns


def approve(api, conn, ident):
    """Milliseconds."""
    out, theirs = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    start = time.monotonic()
    api.request("POST", f"/api/queue/{ident}/approve")
    conn.go().hand_over([null, theirs, null])
    os.close(theirs)
    assert os.read(out, 100) == b"started\n"
    took = (time.monotonic() - start) * 1000
    answer = api.getresponse()
    assert answer.status == 200, (answer.status, answer.read())
    answer.read()
    assert conn.exit()[:2] == (0, 0)
    for fd in (out, null):
        os.close(fd)
    return took


def main():
    path, api_path, pid, count, approvals = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = rss_kib(pid)
    start = time.monotonic()
    conns = wait_all(path, count)
    filled = time.monotonic() - start
    print(f"waiting {count} fill_s {filled:.1f} rss_kib {rss_kib(pid)} before_kib {before}", flush=True)
    api = Api(api_path)
    took = sorted(approve(api, *conns[i * (count // approvals)]) for i in range(approvals))
    print(f"approve {approvals} p50_ms {took[len(took) // 2]:.2f} p99_ms {took[int((len(took) - 1) * 0.99)]:.2f} max_ms {took[-1]:.2f}")


if __name__ == "__main__":
    main()
