# SPDX-License-Identifier: MIT
"""An allowed command behaves as if nothing stood between (design tenet "faithful"): each case of faithful_cases.py runs
plain and governed and must give the same bytes, status and files."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from conftest import Warden
from faithful_cases import CASES, TOOLS

POLICY = 'default_action: deny\nallowed_paths: ["/*"]\nenv: {pass: [MAKEFLAGS]}\nrules:\n' + "".join(
    f'  - {{command: "{t}", action: allow, timeout: 120s}}\n' for t in TOOLS)


@pytest.fixture(scope="module")
def faithful():
    with contextlib.ExitStack() as stack:
        w = Warden(POLICY)
        stack.callback(w.close)
        for t in TOOLS:
            w.shim(t)
        yield w


def tree(top):
    """Names, kinds, modes, link targets and contents below `top`."""
    seen = {}
    for path in sorted(pathlib.Path(top).rglob("*")):
        name = os.fsencode(path.relative_to(top))
        if b".git/" in name + b"/":
            continue  # dates and hashes of commits
        st = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        seen[name] = (oct(st.st_mode), os.readlink(path) if path.is_symlink() else None, content)
    return seen


def run(script, env, directory):
    """The script in `directory`; with os.fork()-free defaults, as an agent's shell would be started."""
    done = subprocess.run(["/bin/bash", "--norc", "--noprofile", "-c", script], cwd=directory, env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    with contextlib.suppress(FileNotFoundError):
        (pathlib.Path(directory) / "t.tgz").unlink()  # carries times
    return done, tree(directory)


@pytest.mark.parametrize("script", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_same(faithful, script):
    base = {"HOME": "/nonexistent", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "USER": "agent"}
    results = []
    # The same path for both, so that messages that quote it are the same.
    place = pathlib.Path(tempfile.gettempdir()) / f"faithful-{os.getpid()}"
    for env in ({**base, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}, {**base, **{
            "PATH": f"{faithful.shims}:/usr/bin:/bin:/usr/sbin:/sbin", "CLAWRDEN_SOCKET": str(faithful.socket)}}):
        place.mkdir()
        place.chmod(0o755)
        try:
            results.append(run(script, env, place))
        finally:
            subprocess.run(["rm", "-rf", str(place)], check=True)
    for done, _ in results:
        # What bash says of a killed job carries its pid.
        done.stderr = re.sub(rb"(?m)^(/bin/bash: line \d+: +)\d+ ", rb"\1PID ", done.stderr)
    (plain, plain_tree), (governed, governed_tree) = results
    assert governed.stdout == plain.stdout
    assert governed.stderr == plain.stderr
    assert governed.returncode == plain.returncode
    assert governed_tree == plain_tree


def test_the_cases_were_governed(faithful):
    """Guards this file itself: nearly all that ran above must be in the audit log."""
    commands = {d["command"] for d in faithful.decisions() if d["decision"] == "allow"}
    assert len(commands) >= 45, sorted(commands)
