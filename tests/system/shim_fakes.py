# SPDX-License-Identifier: MIT
"""The other side of clawrden-shim, scripted: a warden that says what a test tells it to, and a helper
that starts the command as docs/protocol.md asks for. Run as a program this file is that helper."""
import array
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIM = pathlib.Path(os.environ.get("CLAWRDEN_TEST_BIN", ROOT / "bin")) / "clawrden-shim"

MAGIC = b"CLAWRDN2"
REQUEST, FDS, SIGNAL, FOREGROUND = 1, 2, 3, 4
WAITING, REFUSED, GO, STOPPED, EXIT = 0x81, 0x82, 0x83, 0x84, 0x85
TTY0, TTY1, TTY2, CLAIM = 1, 2, 4, 8
PTY0, PTY1, PTY2, PTY, FG, CLOSED0 = 1, 2, 4, 8, 16, 32
ID = bytes(range(0xA0, 0xB0))
CODE, BY_SIGNAL = 0, 1


def message(kind, payload=b""):
    return struct.pack(">B3xI", kind, len(payload)) + payload


def waiting(seconds=900, text=b"", ident=ID):
    return message(WAITING, ident + struct.pack(">I", seconds) + text)


def refused(code, text=b""):
    return message(REFUSED, struct.pack(">I", code) + text)


def go():
    return message(GO, ID)


def ended(kind, value, text=b""):
    return message(EXIT, struct.pack(">II", kind, value) + text)


def wait_until(fn, timeout=10.0, what="it"):
    end = time.monotonic() + timeout
    while not (value := fn()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.005)
    return value


class Request:
    def __init__(self, payload):
        self.payload = payload
        self.flags, self.umask, argc, envc = struct.unpack(">IIII", payload[:16])
        self.claim = payload[16:32]
        strings = payload[32:].split(b"\0")
        assert strings.pop() == b"", "the last string has no NUL"
        assert len(strings) == 2 + argc + envc
        self.name, self.cwd = strings[:2]
        self.argv, self.env = strings[2:2 + argc], strings[2 + argc:]


class Peer:
    """One accepted connection."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(15)
        self.fds = []
        self.buf = b""

    def _more(self):
        data, anc, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4 * 253))
        for level, kind, raw in anc:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                got = array.array("i")
                got.frombytes(raw[:len(raw) - len(raw) % 4])
                self.fds += got
        if not data:
            raise EOFError
        self.buf += data

    def exactly(self, n):
        while len(self.buf) < n:
            self._more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def message(self):
        kind, n = struct.unpack(">B3xI", self.exactly(8))
        return kind, self.exactly(n)

    def number(self, expected):
        kind, payload = self.message()
        assert kind == expected, kind
        return struct.unpack(">I", payload)[0]

    def request(self):
        assert self.exactly(8) == MAGIC
        kind, payload = self.message()
        assert kind == REQUEST
        return Request(payload)

    def send(self, data):
        self.sock.sendall(data)
        return self

    def streams(self, keep=False):
        """Lets it go; V2_FDS's flags. The descriptors are closed, or with `keep` in self.fds; the numbers of
        those behind the first are in self.numbers."""
        assert self.fds == [], "descriptors before V2_GO"
        self.send(go())
        kind, payload = self.message()
        assert kind == FDS, kind
        flags, *self.numbers = struct.unpack(f">{len(payload) // 4}I", payload)
        assert len(self.fds) == (4 if flags & PTY else 3) + len(self.numbers)
        if not keep:
            self.drop_fds()
        return flags

    def drop_fds(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def hung_up(self, timeout=10):
        end = time.monotonic() + timeout
        with contextlib.suppress(EOFError, ConnectionResetError):
            while time.monotonic() < end:
                if select.select([self.sock], [], [], 0.05)[0]:
                    self._more()
            return False
        return True

    def quiet(self, seconds):
        """Nothing arrives and nobody hangs up for so long."""
        return not self.buf and not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        self.drop_fds()
        self.sock.close()


class FakeWarden:
    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="clawrden-shim-")
        self.path = os.path.join(self.dir.name, "w.sock")
        self.bin = os.path.join(self.dir.name, "bin")
        os.mkdir(self.bin)
        self.listener = None
        self.peers, self.children = [], []
        self.helpers = []
        self.serving = None
        self.listen()

    # ---- the socket ----

    def listen(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.settimeout(15)

    def stop_listening(self, unlink=True):
        self.listener.close()
        if unlink:
            os.unlink(self.path)

    def accept(self):
        peer = Peer(self.listener.accept()[0])
        self.peers.append(peer)
        return peer

    # ---- shims ----

    def link(self, name):
        path = os.path.join(os.fsencode(self.bin), os.fsencode(name))
        if not os.path.lexists(path):
            os.symlink(SHIM, path)
        return path

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if k != "CLAWRDEN_SOCKET"}
        return {**env, "CLAWRDEN_SOCKET": self.path, **more}

    def shim(self, name, *args, env=None, **kw):
        """Popen of a shim; stdin is empty, stdout and stderr are pipes unless said otherwise."""
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw}
        p = subprocess.Popen([self.link(name), *args], env=env or self.env(), **kw)
        self.children.append(p)
        return p

    def allow_all(self):
        """Serves every connection from a thread: a helper each."""
        def run():
            while True:
                try:
                    sock = self.listener.accept()[0]
                except OSError:
                    return
                with sock:
                    self.helpers.append(start_helper(sock))

        self.listener.settimeout(None)
        self.serving = threading.Thread(target=run, daemon=True)
        self.serving.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.close()
        for p in self.children + self.helpers:
            if p.poll() is None:
                p.kill()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                if f:
                    with contextlib.suppress(BrokenPipeError):
                        f.close()
        self.dir.cleanup()


def start_helper(sock):
    return subprocess.Popen([sys.executable, __file__, str(sock.fileno())], pass_fds=[sock.fileno()],
                            stdin=subprocess.DEVNULL, start_new_session=True)


class Terminal:
    """A person at a terminal: a session with a pty of its own."""

    def __init__(self, argv, env, rows=33, cols=101, cwd=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                if cwd:
                    os.chdir(cwd)
                os.closerange(3, 1024)  # what the test runner left open would be lent
                self.fd = 0
                self.resize(rows, cols)  # later, it would be news to the program, and the prompt printed twice
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(99)
        self.text = b""
        self.all = b""
        self.status = None

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def modes(self):
        return termios.tcgetattr(self.fd)

    def raw(self):
        return not self.modes()[3] & termios.ICANON

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def _read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data
        self.all += data
        return bool(data)

    def expect(self, pattern, timeout=15):
        """Reads until the pattern is there; drops all up to its end; returns the match."""
        pattern = pattern if isinstance(pattern, bytes) else pattern.encode()
        end = time.monotonic() + timeout
        while not (m := re.search(pattern, self.text)):
            if not self._read(max(0, end - time.monotonic())):
                raise AssertionError(f"{pattern} not in {self.text!r}")
        self.text = self.text[m.end():]
        return m

    def until_end(self, timeout=15):
        """All that comes until the session is over; the exit status is in self.status."""
        end = time.monotonic() + timeout
        while self._read(max(0, end - time.monotonic())):
            pass
        self.wait(max(0.1, end - time.monotonic()))
        return self.text

    def wait(self, timeout=10):
        def gone():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid
        if self.status is None:
            wait_until(gone, timeout, "the end of the terminal's session")
        return self.status

    def close(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


# ---- the helper ----

def spawn_command(request, fds, flags, numbers):
    """The command in a process group of its own, in front when the shim said so."""
    path = os.environ.get("FAKE_HELPER_PATH", "/usr/bin:/bin").split(":")
    tool = next((os.path.join(os.fsencode(d), request.name) for d in path
                 if os.path.exists(os.path.join(os.fsencode(d), request.name))), None)
    if not tool:
        return None
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        if flags & FG:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(fds[3], os.getpgrp())
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 1024) for fd in fds]
        for n in range(3):
            if flags & (CLOSED0 << n):
                with contextlib.suppress(OSError):
                    os.close(n)
            else:
                os.dup2(high[n], n)
        os.umask(request.umask)
        os.chdir(request.cwd)
        for s in range(1, 32):
            if s not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(s, signal.SIG_DFL)
        os.closerange(3, 1024)
        for n, fd in zip(numbers, high[len(high) - len(numbers):]):
            os.dup2(fd, n)
        env = dict(e.split(b"=", 1) for e in request.env if b"=" in e)
        os.execve(tool, request.argv, env)
    finally:
        os._exit(99)


class Helper:
    def __init__(self, fd):
        self.peer = Peer(socket.socket(fileno=fd))
        request = self.peer.request()
        self.flags = self.peer.streams(keep=True)
        fds = self.peer.fds
        self.tty = fds[3] if self.flags & PTY else -1
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        if self.flags & PTY:
            fcntl.ioctl(self.tty, termios.TIOCSCTTY, 0)
        self.pid = spawn_command(request, fds, self.flags, self.peer.numbers)
        # What is typed before the command is in front meets the session leader.
        for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(s, lambda signo, _: os.killpg(self.pid, signo))
        for fd in fds:
            if fd != self.tty:
                os.close(fd)
        self.peer.fds = []

    def on_message(self):
        kind, payload = self.peer.message()
        value = struct.unpack(">I", payload)[0]
        if kind == SIGNAL:
            os.killpg(self.pid, value)
        elif kind == FOREGROUND:
            os.tcsetpgrp(self.tty, self.pid if value else os.getpgrp())
            os.killpg(self.pid, signal.SIGCONT)

    def run(self):
        if self.pid is None:
            self.peer.send(ended(CODE, 127, b"clawrden: no such command\n"))
            return
        while True:
            if select.select([self.peer.sock], [], [], 0.005)[0]:
                try:
                    self.on_message()
                except (EOFError, ConnectionResetError):
                    os.killpg(self.pid, signal.SIGKILL)
                    return
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if not pid:
                continue
            if os.WIFSTOPPED(status):
                self.peer.send(message(STOPPED, struct.pack(">I", os.WSTOPSIG(status))))
                continue
            if self.tty >= 0:
                os.close(self.tty)
            if os.WIFSIGNALED(status):
                self.peer.send(ended(BY_SIGNAL, os.WTERMSIG(status)))
            else:
                self.peer.send(ended(CODE, os.WEXITSTATUS(status)))
            return


if __name__ == "__main__":
    Helper(int(sys.argv[1])).run()
