# SPDX-License-Identifier: MIT
"""The gate against a warden of the tests: what only such a one says (redirects), and one that lies or talks nonsense."""
import os
import shutil
import signal
import struct
import subprocess

import pytest

import gate_fakes as fakes
from conftest import AGENT_UID, needs_root, wait_for
from gate_case import GATE

pytestmark = needs_root

# Stands for the shim of an executor that is elsewhere: it tells what it got and leaves with 7.
SHIM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char cwd[4096];
    printf("shim");
    for (int i = 0; i < argc; i++)
        printf(" [%s]", argv[i]);
    printf(" %s %s\n", getenv("KEPT") ? getenv("KEPT") : "-", getcwd(cwd, sizeof(cwd)));
    return 7;
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Where a trusted program would lie."""
    path = f"/usr/local/bin/clawrden-test-shim-{os.getpid()}"
    source = tmp_path_factory.mktemp("shim") / "shim.c"
    source.write_text(SHIM)
    subprocess.run(["musl-gcc", "-static", "-o", path, source], check=True)
    yield path
    os.unlink(path)


@pytest.fixture
def place(tmp_path):
    for p in (tmp_path, *tmp_path.parents):
        if p.stat().st_mode & 0o111 != 0o111 and p.owner() == "root":
            p.chmod(p.stat().st_mode | 0o111)
    tmp_path.chmod(0o777)
    return tmp_path


def run(place, judge, *argv, uid=AGENT_UID, timeout=30, env=None):
    w = fakes.FakeWarden(place / "sock", judge)
    ids = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
    try:
        done = subprocess.run([GATE, "--socket", place / "sock", "--wait", "5", "--", *argv], capture_output=True, text=True, cwd=place,
                              env={"PATH": "/usr/bin:/bin", **(env or {})}, timeout=timeout, stdin=subprocess.DEVNULL, **ids)
    finally:
        w.close()
    return w, done


def name(q):
    return os.path.basename(q.execfn)


# ---- redirect ----

REDIRECTED = {
    "by name": "date -u one two",
    "absolute path": "/usr/bin/date -u one two",
    "env -i": "env -i KEPT=kept /usr/bin/date -u one two",
    "symlink": "ln -s /usr/bin/date ./clock; ./clock -u one two",
    "login shell": "bash -lc 'date -u one two'",
    "exec": "exec date -u one two",
}


@pytest.mark.parametrize("uid", [AGENT_UID, 0], ids=["user", "root"])
@pytest.mark.parametrize("way", REDIRECTED)
def test_a_redirected_program_becomes_the_shim(place, shim, way, uid):
    def judge(w, q):
        w.redirect(q.job, shim) if q.facts["path"] == "/usr/bin/date" else w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", REDIRECTED[way], uid=uid, env={"KEPT": "kept"})
    zero = {"symlink": "./clock", "absolute path": "/usr/bin/date", "env -i": "/usr/bin/date"}.get(way, "date")
    assert done.stdout == f"shim [{shim}] [--as] [tool] [{zero}] [-u] [one] [two] kept {place}\n" and done.returncode == 7, done
    # The shim is not asked about again: it stands for what was asked about, and its end is that one's.
    assert [q for q in w.requests if q.facts["path"] == shim] == []
    job = [q.job for q in w.requests if q.facts["path"] == "/usr/bin/date"][0]
    wait_for(lambda: job in w.ends)  # what the gate says of it may come behind the program's own end
    assert job in w.started and w.ends[job][:2] == (0, 7)


def test_many_arguments_are_redirected(place, shim):
    def judge(w, q):
        w.redirect(q.job, shim) if name(q) == "date" else w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", "date $(seq 4000)")
    assert done.returncode == 7 and done.stdout.count("[") == 4004 and "[4000] - " in done.stdout


def test_too_many_arguments_for_a_redirect_kill_the_program(place, shim):
    def judge(w, q):
        w.redirect(q.job, shim) if name(q) == "date" else w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", "/usr/bin/date $(seq 30000); echo $?")
    assert done.stdout == "137\n"
    assert [e for e in w.ends.values() if e[0] == 4 and "the shim could not be put in its place" in e[2]]


@pytest.mark.parametrize("what", ["nothing is there", "the agent's own file"])
def test_what_is_no_trusted_shim_gains_nothing(place, shim, what):
    target = place / "notshim"
    if what == "the agent's own file":
        shutil.copy(shim, target)
        os.chown(target, AGENT_UID, AGENT_UID)

    def judge(w, q):
        if name(q) == "date":
            w.redirect(q.job, str(target))
        elif q.facts["path"] == str(target):
            w.deny(q.job)
        else:
            w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", "date; echo $?")
    assert "shim" not in done.stdout
    if what == "the agent's own file":
        assert done.stdout == "126\n" and [q for q in w.requests if q.facts["path"] == str(target)], "it is judged like all"
    else:
        assert done.stdout == "137\n" and [e for e in w.ends.values() if e[0] == 4]


# ---- a time limit, a kill ----

def test_what_is_killed_takes_its_tree_along(place):
    def judge(w, q):
        w.allow(q.job)
        if q.argv[-1] == "95":
            w.kill([r.job for r in w.requests if name(r) == "sh"][0], signal.SIGKILL)

    script = "sh -c 'setsid sleep 9494 & until pgrep -fx \"sleep 9494\"; do :; done; sleep 95'; echo $?; pgrep -fx 'sleep 9494'; echo $?"
    w, done = run(place, judge, "bash", "-c", script)
    first, *rest = done.stdout.split()
    assert first.isdigit() and rest == ["137", "1"], done


# ---- nonsense ----

def body(job, rest=b""):
    return struct.pack(">Q", job) + rest


NONSENSE = {
    "an unknown type": lambda w, q: w.send(0x99, body(q.job)),
    "a gate's own message": lambda w, q: w.send(fakes.STARTED, body(q.job)),
    "an empty body": lambda w, q: w.send(fakes.ALLOW, b""),
    "job zero": lambda w, q: w.send(fakes.DENY, struct.pack(">QI", 0, 126) + b"\0"),
    "a cut allow": lambda w, q: w.send(fakes.ALLOW, body(q.job, b"\0\0")),
    "unknown flags": lambda w, q: w.allow(q.job, flags=0x80000000),
    "a byte too many": lambda w, q: w.send(fakes.ALLOW, struct.pack(">QI", q.job, 0) + fakes.strings() + b"\0\0"),
    "counts that lie": lambda w, q: w.send(fakes.ALLOW, struct.pack(">QIII", q.job, 0, 2, 2) + b"a\0\0"),
    "a relative shim": lambda w, q: w.redirect(q.job, "bin/shim"),
    "signal 0": lambda w, q: w.kill(q.job, 0),
    "signal 65": lambda w, q: w.kill(q.job, 65),
    "a length past the limit": lambda w, q: w.sock.sendall(struct.pack(">B3xI", fakes.ALLOW, 1 << 30)),
    "reserved bytes": lambda w, q: w.sock.sendall(b"\x85\1\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_warden_that_talks_nonsense_ends_the_tree(place, what):
    def judge(w, q):
        NONSENSE[what](w, q) if name(q) == "touch" else w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", "touch ran; touch ran; echo still here")
    assert done.returncode == 125 and "the governed tree was ended" in done.stderr, done
    assert done.stdout == "" and not (place / "ran").exists()


STRAY = {
    "an answer to nobody": lambda w, q: w.allow(q.job + 1000),
    "a second allow": lambda w, q: w.allow(q.job),
    "a deny behind an allow": lambda w, q: w.deny(q.job),
    "a look behind an allow": lambda w, q: w.look(q.job),
    "waiting behind an allow": lambda w, q: w.wait(q.job),
}


@pytest.mark.parametrize("what", STRAY)
def test_an_answer_that_comes_too_late_changes_nothing(place, what):
    def judge(w, q):
        w.allow(q.job)
        STRAY[what](w, q)

    w, done = run(place, judge, "bash", "-c", "true; /bin/echo done; exit 3")
    assert done.stdout == "done\n" and done.returncode == 3, done


def test_a_deny_of_any_length_is_printed_whole(place):
    text = "clawrden: " + "x" * 8000 + "\n"

    def judge(w, q):
        w.deny(q.job, text, code=127) if name(q) == "date" else w.allow(q.job)

    w, done = run(place, judge, "bash", "-c", "date; echo $?")
    assert done.stderr == text and done.stdout == "127\n"
