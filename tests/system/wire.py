# SPDX-License-Identifier: MIT
"""Both versions of the shim's protocol, spoken by hand: what an attacker would send."""
import array
import json
import os
import select
import socket
import struct

MAGIC = b"CLAWRDN2"
REQUEST, FDS, SIGNAL = 1, 2, 3
WAITING, REFUSED, GO, STOPPED, EXIT = 0x81, 0x82, 0x83, 0x84, 0x85


def message(kind, payload):
    return struct.pack(">B3xI", kind, len(payload)) + payload


def v2_payload(argv, env=(), cwd=None, name=None, flags=0, umask=0o22, claim=bytes(16), argc=None,
               envc=None):
    def raw(s):
        return os.fsencode(s) + b"\0"
    name = name if name is not None else os.path.basename(argv[0])
    head = struct.pack(">IIII", flags, umask, len(argv) if argc is None else argc,
                       len(env) if envc is None else envc) + claim
    return head + raw(name) + raw(cwd or os.getcwd()) + b"".join(map(raw, argv)) + b"".join(map(raw, env))


def v2_request(*argv, **kw):
    """The whole first message, magic included."""
    return MAGIC + message(REQUEST, v2_payload(argv, **kw))


def v1_request(command, args=(), cwd=None, env=(), **more):
    text = json.dumps({"command": command, "args": list(args), "cwd": cwd or os.getcwd(),
                       "env": list(env), **more}).encode()
    return struct.pack(">I", len(text)) + text


class Conn:
    """A connection to the door; every read is bounded by `timeout`."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))

    @classmethod
    def of(cls, sock, timeout=10):
        """Of a socket that is connected already."""
        c = cls.__new__(cls)
        c.sock = sock
        sock.settimeout(timeout)
        return c

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_fds(self, data, fds):
        self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    def rest(self):
        """All that still comes until the end."""
        data = b""
        try:
            while True:
                more = self.sock.recv(65536)
                if not more:
                    return data
                data += more
        except ConnectionResetError:
            return data

    # v2
    def message(self):
        kind, n = struct.unpack(">B3xI", self.exactly(8))
        return kind, self.exactly(n)

    def refusal(self):
        """(code, text) of the V2_REFUSED that must come, behind V2_WAITING if it must."""
        kind, payload = self.message()
        while kind == WAITING:
            kind, payload = self.message()
        assert kind == REFUSED, (kind, payload)
        return struct.unpack(">I", payload[:4])[0], payload[4:].decode()

    def go(self):
        """Up to V2_GO; AssertionError with the words of a refusal."""
        kind, payload = self.message()
        while kind == WAITING:
            kind, payload = self.message()
        assert kind == GO, (kind, payload)
        return self

    def hand_over(self, fds, flags=0):
        self.send_fds(message(FDS, struct.pack(">I", flags)), fds)
        return self

    def exit(self):
        """(kind, value, text) of the V2_EXIT that must come."""
        kind, payload = self.message()
        while kind == STOPPED:
            kind, payload = self.message()
        assert kind == EXIT, (kind, payload)
        return *struct.unpack(">II", payload[:8]), payload[8:].decode()

    # v1
    def frame(self):
        kind, n = struct.unpack(">BI", self.exactly(5))
        return kind, self.exactly(n)

    def v1_refusal(self):
        """(code, text) of ack 00, a stderr frame, an exit frame, the end."""
        ack = self.exactly(1)
        assert ack == b"\0", ack
        kind, text = self.frame()
        assert kind == 2, kind
        kind, code = self.frame()
        assert kind == 3 and len(code) == 1
        assert self.rest() == b""
        return code[0], text.decode()

    def closed(self, timeout=10):
        """True when the other side ends the connection within `timeout` seconds."""
        end = select.poll()
        end.register(self.sock, select.POLLIN | select.POLLRDHUP)
        if not end.poll(timeout * 1000):
            return False
        self.sock.settimeout(timeout)
        try:
            self.rest()
        except OSError:
            return False
        return True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
