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
