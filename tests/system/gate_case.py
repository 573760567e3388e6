# SPDX-License-Identifier: MIT
"""Commands under clawrden-gate, for the tests of the gate."""
import os
import subprocess

import pytest

from conftest import AGENT_UID, BIN

GATE = str(BIN / "clawrden-gate")

# Ordinary users and root: what may be read and traced differs.
both_users = pytest.mark.parametrize("uid", [AGENT_UID, 0], ids=["user", "root"])

POLICY = """\
default_action: allow
allowed_paths: ["/*"]
unknown_executable: deny
rules:
  - {name: no-date, command: date, action: deny, reason: time is not told here, instead: look outside}
  - {name: no-push, command: git, args: push, action: deny}
  - {name: ask-uname, command: uname, action: ask, approval_timeout: 60s}
"""
REFUSED = "clawrden: refused by no-date"


def environment(w, **more):
    return {"PATH": "/usr/bin:/bin", "HOME": str(w.work), "LANG": "C.UTF-8",
            "CLAWRDEN_SOCKET": str(w.socket), **more}


def popen(w, *argv, uid=0, env=None, cwd=None, gate=(), **kw):
    """A governed tree, started. `gate`: options of the gate."""
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    if uid:
        os.chmod(w.socket, 0o666)
        kw.update(user=uid, group=uid, extra_groups=[])
    return w.keep(subprocess.Popen([GATE, *gate, "--", *argv], env=environment(w) if env is None else env,
                                   cwd=cwd or w.work, text=kw.pop("text", True), **kw))


def run(w, *argv, input=None, timeout=60, **kw):
    if input is not None:
        kw["stdin"] = subprocess.PIPE
    p = popen(w, *argv, **kw)
    try:
        out, err = p.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        raise
    return subprocess.CompletedProcess(argv, p.returncode, out, err)


def sh(w, script, **kw):
    """A shell under the gate."""
    return run(w, "/bin/sh", "-c", script, **kw)
