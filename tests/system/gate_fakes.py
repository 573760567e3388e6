# SPDX-License-Identifier: MIT
"""A warden of the tests for the gate: speaks docs/protocol-gate.md, decides by a function."""
import array
import os
import selectors
import socket
import struct
import threading

MAGIC = b"CLAWRDG1"
HELLO, REQUEST, FACTS, WITHDRAW, STARTED, END = range(1, 7)
WELCOME, REFUSED, LOOK, WAITING, ALLOW, DENY, REDIRECT, KILL = range(0x81, 0x89)
SEARCH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u32(self):
        self.at += 4
        return struct.unpack_from(">I", self.data, self.at - 4)[0]

    def u64(self):
        self.at += 8
        return struct.unpack_from(">Q", self.data, self.at - 8)[0]

    def string(self):
        end = self.data.index(b"\0", self.at)
        s, self.at = self.data[self.at:end], end + 1
        return os.fsdecode(s)

    def strings(self):
        count, size = self.u32(), self.u32()
        block, self.at = self.data[self.at:self.at + size], self.at + size
        found = [os.fsdecode(s) for s in block.split(b"\0")[:-1]]
        assert len(found) == count
        return found


def string(s):
    return os.fsencode(s) + b"\0"


def strings(*items):
    block = b"".join(string(s) for s in items)
    return struct.pack(">II", len(items), len(block)) + block


def message(kind, body):
    return struct.pack(">B3xI", kind, len(body)) + body


def read_facts(r):
    f = {"error": r.u32(), "words": r.string(), "cwd": r.string()}
    f["cwd_dev"], f["cwd_ino"] = r.u64(), r.u64()
    f["trust"], f["script_trust"], f["script_arg"], f["path"] = r.u32(), r.u32(), r.u32(), r.string()
    f["dev"], f["ino"], f["why"] = r.u64(), r.u64(), r.string()
    f["names"], f["script"], f["interpreter"], f["digest"] = r.strings(), r.string(), r.string(), r.string()
    f["operands"] = r.strings()
    return f


class Request:
    def __init__(self, body):
        r = Reader(body)
        self.job, self.umask, self.execfn = r.u64(), r.u32(), r.string()
        self.argv, self.env, self.parents = r.strings(), r.strings(), r.strings()
        self.facts = read_facts(r)
        self.pid = None
        assert r.at == len(body)

    def __repr__(self):
        return f"<{self.job} {self.execfn} {self.argv} {self.facts}>"


class FakeWarden:
    """judge(warden, request) answers with allow(), deny(), wait() and the like, now or later."""

    def __init__(self, path, judge=None, welcome=True):
        self.judge = judge or (lambda w, q: w.allow(q.job))
        self.requests, self.ends, self.withdrawn, self.started, self.found = [], {}, {}, [], []
        self.hello = None
        self.welcome = welcome
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        os.chmod(path, 0o777)
        self.server.listen()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.sock, _ = self.server.accept()
        data, fds = b"", []
        magic = False
        while True:
            try:
                more, ancillary, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4))
            except OSError:
                return
            for _, _, raw in ancillary:
                a = array.array("i")
                a.frombytes(raw)
                fds += a.tolist()
            if not more:
                return
            data += more
            if not magic and len(data) >= 8:
                assert data[:8] == MAGIC
                data, magic = data[8:], True
            while magic and len(data) >= 8:
                kind, size = struct.unpack_from(">B3xI", data)
                if len(data) < 8 + size:
                    break
                body, data = data[8:8 + size], data[8 + size:]
                self.take(kind, body, fds)

    def take(self, kind, body, fds):
        r = Reader(body)
        if kind == HELLO:
            self.hello = {"version": r.u32(), "flags": r.u32(), "words": r.string()}
            if self.welcome:
                self.send(WELCOME, struct.pack(">I", 1) + strings(*SEARCH))
        elif kind == REQUEST:
            q = Request(body)
            fd = fds.pop(0)
            for line in open(f"/proc/self/fdinfo/{fd}"):
                if line.startswith("Pid:"):
                    q.pid = int(line.split()[1])
            os.close(fd)
            self.requests.append(q)
            self.judge(self, q)
        elif kind == FACTS:
            job = r.u64()
            self.found.append((job, read_facts(r)))
        elif kind == WITHDRAW:
            self.withdrawn[r.u64()] = r.string()
        elif kind == STARTED:
            self.started.append(r.u64())
        elif kind == END:
            job = r.u64()
            self.ends[job] = (r.u32(), r.u32(), r.string())
        else:
            raise AssertionError(kind)

    def send(self, kind, body):
        with self.lock:
            self.sock.sendall(message(kind, body))

    def allow(self, job, *scrub, flags=0):
        self.send(ALLOW, struct.pack(">QI", job, flags) + strings(*scrub) + string("") + string("") + struct.pack(">I", 0))

    def redirect(self, job, shim, command="tool", skip=0):
        self.send(REDIRECT, struct.pack(">QI", job, 0) + strings() + string(shim) + string(command) + struct.pack(">I", skip))

    def deny(self, job, text="clawrden: no\n", code=126):
        self.send(DENY, struct.pack(">QI", job, code) + string(text))

    def wait(self, job):
        self.send(WAITING, struct.pack(">Q", job) + bytes(16))

    def look(self, job, *operands):
        self.send(LOOK, struct.pack(">Q", job) + strings(*operands))

    def kill(self, job, signo):
        self.send(KILL, struct.pack(">QI", job, signo))

    def close(self):
        self.server.close()
        if hasattr(self, "sock"):
            self.sock.shutdown(socket.SHUT_RDWR)
