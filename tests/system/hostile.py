# SPDX-License-Identifier: MIT
"""The attacker's tools: Python that runs as the agent, files that block, processes that hide."""
import subprocess
import sys

from conftest import AGENT_UID, ROOT

EVERYTHING = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {command: "*", action: allow, timeout: 20s}
"""

HEAD = f"""\
import array, ctypes, os, signal, socket, struct, sys, time
sys.path.insert(0, {str(ROOT / 'tests/system')!r})
import wire
libc = ctypes.CDLL(None, use_errno=True)
path = %r
null = os.open('/dev/null', os.O_RDWR)

def ok(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def ask(*argv, **kw):
    return wire.Conn(path).send(wire.v2_request(*argv, **{{'cwd': os.getcwd(), **kw}}))
"""


def attacker(code, warden, uid=AGENT_UID, before=(), **kw):
    """Starts Python `code` as another user (None: as we are), with HEAD above before it."""
    ids = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    kw = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": "/tmp", **ids, **kw}
    return subprocess.Popen([*before, sys.executable, "-B", "-c", HEAD % str(warden.socket) + code], text=True, **kw)


def run_attacker(code, warden, uid=AGENT_UID, timeout=30, before=(), **kw):
    """The same to its end: its stdout."""
    p = attacker(code, warden, uid, before, **kw)
    try:
        out, errors = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        raise
    assert p.returncode == 0, errors
    return out


def open_door(make_warden, policy=EVERYTHING, **options):
    """A warden whose socket everybody may connect to, as in a container's directory."""
    return make_warden(policy, options={"socket_mode": "0666", **options})


# A file system whose files can be opened, read and written, but not closed: FLUSH gets no answer, and the
# kernel waits for it, deaf to SIGKILL, until the server goes. argv: mount point, and "silent": then no name can even
# be looked up.
BAD_FUSE = r'''
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fd
if libc.mount(b"bad", sys.argv[1].encode(), b"fuse", 6, options) != 0:  # nosuid, nodev
    sys.exit("mount: " + os.strerror(ctypes.get_errno()))
print("mounted", flush=True)

def attr(node):
    mode = 0o40777 if node == 1 else 0o100777
    return struct.pack("<6Q10I", node, 1 << 20, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

while True:
    try:
        request = os.read(fd, 1 << 20)
    except OSError:
        break
    size, op, unique, node = struct.unpack_from("<IIQQ", request)
    if op in (25, 18, 29, 2, 42):  # FLUSH, RELEASE, RELEASEDIR, FORGET, BATCH_FORGET
        continue
    if op in (1, 17) and sys.argv[2:] == ["silent"]:  # LOOKUP, STATFS
        continue
    if op == 26:  # INIT
        body = struct.pack("<IIIIHHIIHHI", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, 0) + bytes(28)
    elif op == 1:  # LOOKUP: every name is the one file
        body = struct.pack("<4Q2I", 2, 0, 60, 60, 0, 0) + attr(2)
    elif op == 3:  # GETATTR
        body = struct.pack("<QII", 60, 0, 0) + attr(node)
    elif op in (14, 27):  # OPEN, OPENDIR
        body = struct.pack("<QII", 0, 1, 0)  # direct I/O
    elif op == 15:  # READ
        body = b"x" * 10
    elif op == 16:  # WRITE: all of it
        body = struct.pack("<II", struct.unpack_from("<I", request, 56)[0], 0)
    else:
        os.write(fd, struct.pack("<IiQ", 16, -38, unique))  # ENOSYS
        continue
    os.write(fd, struct.pack("<IiQ", 16 + len(body), 0, unique) + body)
'''


class BadFuse:
    """BAD_FUSE on `there`. Its end lets go whoever hangs in it."""

    def __init__(self, there, *how):
        self.there, self.how = there, how
        there.mkdir(exist_ok=True)

    def __enter__(self):
        self.server = subprocess.Popen([sys.executable, "-B", "-c", BAD_FUSE, str(self.there), *self.how], stdout=subprocess.PIPE,
                                       text=True)
        assert self.server.stdout.readline() == "mounted\n"
        return self

    def let_go(self):
        self.server.kill()
        self.server.wait()

    def __exit__(self, *_):
        self.let_go()
        self.server.stdout.close()
        subprocess.run(["umount", "-l", str(self.there)], check=True)
