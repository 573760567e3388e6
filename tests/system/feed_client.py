# SPDX-License-Identifier: MIT
"""Readers of the live feed that can also do wrong: SSE and WebSocket byte by byte."""
import base64
import hashlib
import json
import os
import socket
import struct
import time

from test_api import dial

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Feed:
    """SSE: messages as (id, event, data)."""

    def __init__(self, w, query="", token=None, headers=(), tcp=False):
        self.s = dial(w, tcp)
        lines = [f"GET /api/events{query} HTTP/1.1", "Host: localhost", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self.data = b""
        self.head = self._until(b"\r\n\r\n").decode("latin-1")
        self.status = int(self.head.split()[1])

    def _until(self, mark, timeout=10):
        end = time.monotonic() + timeout
        while mark not in self.data:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            piece = self.s.recv(65536)
            if not piece:
                raise EOFError(self.data)
            self.data += piece
        found, _, self.data = self.data.partition(mark)
        return found

    def block(self, timeout=10):
        return self._until(b"\n\n", timeout).decode()

    def next(self, timeout=10):
        """The next message, heartbeats passed over."""
        while True:
            block = self.block(timeout)
            if block.startswith(":"):
                continue
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = json.loads(fields["data"])
            assert data["id"] == fields["id"] and data["event"] == fields["event"]
            return data

    def until(self, event, timeout=10):
        while True:
            data = self.next(timeout)
            if data["event"] == event:
                return data

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


class Socket:
    """WebSocket: messages as parsed JSON; frames as (opcode, payload)."""

    def __init__(self, w, query="", token=None, headers=None, tcp=False, version="13", key=None):
        self.s = dial(w, tcp)
        self.key = base64.b64encode(os.urandom(16)).decode() if key is None else key
        lines = [f"GET /api/ws{query} HTTP/1.1", "Host: localhost"]
        lines += ["Connection: keep-alive, Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Version: {version}",
                  f"Sec-WebSocket-Key: {self.key}"] if headers is None else headers
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            piece = self.s.recv(65536)
            assert piece, self.data
            self.data += piece
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split()[1])

    def accepted(self):
        right = base64.b64encode(hashlib.sha1((self.key + GUID).encode()).digest()).decode()
        return self.status == 101 and f"Sec-WebSocket-Accept: {right}" in self.head

    def _take(self, n):
        while len(self.data) < n:
            piece = self.s.recv(65536)
            if not piece:
                raise EOFError
            self.data += piece
        got, self.data = self.data[:n], self.data[n:]
        return got

    def frame(self):
        a, b = self._take(2)
        assert a & 0x80 and not b & 0x80  # whole, and not masked by a server
        n = b & 0x7f
        if n == 126:
            (n,) = struct.unpack(">H", self._take(2))
        elif n == 127:
            (n,) = struct.unpack(">Q", self._take(8))
        return a & 0xf, self._take(n)

    def next(self):
        while True:
            opcode, payload = self.frame()
            if opcode == 1:
                return json.loads(payload)
            if opcode == 9:
                self.send(10, payload)
            if opcode == 8:
                raise EOFError(payload)

    def until(self, event):
        while (data := self.next())["event"] != event:
            pass
        return data

    def send(self, opcode, payload=b"", masked=True, fin=True):
        head = bytes([(0x80 if fin else 0) | opcode])
        bit = 0x80 if masked else 0
        head += bytes([bit | len(payload)]) if len(payload) < 126 else struct.pack(">BH", bit | 126, len(payload))
        mask = os.urandom(4) if masked else b""
        if masked:
            payload = bytes(c ^ mask[i % 4] for i, c in enumerate(payload))
        self.s.sendall(head + mask + payload)

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()
