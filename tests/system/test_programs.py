# SPDX-License-Identifier: MIT
"""The same with and without the gate: what program_cases.py has, as an ordinary user under `clawrden run`, and on a terminal."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from conftest import AGENT_UID
from program_cases import CASES, REFUSED, SLOW
from runs import Run, Terminal

PRESENT = {name: script for name, (needs, script) in CASES.items() if all(map(shutil.which, needs.split()))}


@pytest.fixture(scope="module")
def stage():
    r = Run(user=AGENT_UID if os.geteuid() == 0 else None, policy=None)
    # What a case builds is its own; here everything may start but what is denied or asked for by name.
    r.policy.write_text(f'default_action: allow\nallowed_paths: ["/*"]\nunknown_executable: ask\nunknown_script: as_interpreter\n'
                        'env: {pass: [PAGER, GIT_PAGER, GIT_EDITOR, GIT_SEQUENCE_EDITOR]}\n'
                        f'trusted_paths: [{r.work}, /usr/local/bin, /usr/bin, /bin, /usr/sbin, /sbin]\n')
    r.own()
    yield r
    r.close()


def env_of(r):
    """Commits have the same names in both."""
    return r.env(GIT_AUTHOR_DATE="2026-01-01T00:00:00Z", GIT_COMMITTER_DATE="2026-01-01T00:00:00Z")


def fresh(r):
    for x in r.work.iterdir():
        shutil.rmtree(x) if x.is_dir() and not x.is_symlink() else x.unlink()


def files(r):
    """What it left: paths and contents, but for what holds times or numbers of processes."""
    skipped = re.compile(r"\.git/|/b/|node_modules/\.package-lock|__pycache__|\.pyc$|^b/|^log$|\.(o|so|a|tgz|gz|tar|zip|z|deb)$|^(m|s|l|d|t|u|z|q|c)$|\.patch$|/b$|^out$|/v/|^v/")
    found = {}
    for top, _, names in os.walk(r.work):
        for name in names:
            path = os.path.join(top, name)
            short = os.path.relpath(path, r.work)
            if not skipped.search(short) and not os.path.islink(path) and os.path.isfile(path):
                found[short] = open(path, "rb").read()
    return found


def approve_all(r, p, patience):
    """What a case built is unknown, and a person says yes to it."""
    end = time.monotonic() + patience
    while p.poll() is None:
        assert time.monotonic() < end, p.args
        for q in r.queue():
            r.cli("approve", q["id"], "--remember")
        time.sleep(0.1)


def outcome(r, p, out, errors):
    own = re.compile(rb"^clawrden: (judged|not judged|session|weaker|\d+ commands?,).*\n", re.M)
    return {"status": p.returncode, "stdout": out.decode(errors="replace"), "stderr": own.sub(b"", errors).decode(errors="replace"), "files": files(r)}


def both(r, script):
    fresh(r)
    p = subprocess.Popen(["sh", "-c", script], cwd=r.work, env=env_of(r), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         start_new_session=True, **r.ids)
    out, errors = p.communicate(timeout=120)
    plain = outcome(r, p, out, errors)
    fresh(r)
    with open(r.dir / "out", "w+b") as o, open(r.dir / "err", "w+b") as e:
        p = r.popen("sh", "-c", script, stdout=o, stderr=e, env=env_of(r))
        approve_all(r, p, 180)
        o.seek(0)
        e.seek(0)
        return plain, outcome(r, p, o.read(), e.read())


def test_there_is_enough_to_compare():
    assert len(PRESENT) >= 40, sorted(set(CASES) - set(PRESENT))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in PRESENT])
def test_the_same_with_and_without(stage, name):
    plain, governed = both(stage, PRESENT[name])
    assert governed == plain
    assert plain["stdout"], "it shows something"


@pytest.mark.parametrize("name", [n for n, (needs, _, _) in REFUSED.items() if shutil.which(needs)])
def test_what_does_not_work_says_so(stage, name):
    fresh(stage)
    done = stage.sh(REFUSED[name][1])
    text = done.stdout.decode() + done.stderr
    assert REFUSED[name][2] in text, text
    assert done.returncode != 0 or "not permitted" in text


# ---- on a terminal ----

class Plain:
    """The same as runs.Terminal, without clawrden."""

    def __init__(self, r, *argv, env=None):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(r.work)
            if r.user is not None:
                os.setgroups([])
                os.setgid(r.user)
                os.setuid(r.user)
            os.execvpe(argv[0], argv, r.env(TERM="xterm", **(env or {})))
        self.out, self.seen, self.code = b"", 0, None

    read = Terminal.read
    expect = Terminal.expect
    type = Terminal.type

    def wait(self, timeout=20):
        end = time.monotonic() + timeout
        while self.code is None:
            assert time.monotonic() < end, self.out
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def close(self):
        os.close(self.master)


# What is typed when what is seen; then the end. "$" is the prompt of a shell that has no other.
DIALOGS = {
    "job control": (["bash", "--norc", "--noprofile", "-i"],
                    [("$ ", "sleep 30\r"), (None, "\x1a"), ("Stopped", "jobs\r"), ("sleep 30", "bg; kill %1; wait %1; echo gone=$?\r"), ("gone=143", "fg\r"),
                     ("no such job", "sleep 30\r"), (None, "\x03"), ("$ ", "echo st=$?\r"), ("st=130", "exit 4\r")]),
    "less": (["less", "f"], [("line 1\r\n", "G"), ("line 200", "?line 77\r"), ("line 77", "!echo from less\r"), ("from less", "\r"), (None, "q")]),
    "vi": (["vi", "-i", "NONE", "f"], [("line 1", "ddoinserted\x1b"), (None, ":w\r"), ("written", ":!echo from vi\r"), ("from vi", "\r"), (None, ":wq\r")]),
    "python": (["python3", "-q"], [(">>> ", "import os; os.system('test -t 0 && echo is a tty')\r"), ("is a tty", "exit(6)\r")]),
    "node": (["node"], [("> ", "require('child_process').execSync('echo child').toString()\r"), ("child", ".exit\r")]),
    "dash": (["dash", "-i"], [("$ ", "cat\r"), (None, "hello\r"), ("hello\r\nhello", "\x04"), ("$ ", "exit 3\r")]),
    "git pager": (["git", "-c", "core.pager=less -+F -+X", "log"], [("second", "q")]),
    "stty": (["sh", "-c", "stty -echo; printf 'ask: '; read x; stty echo; echo; echo got $x; stty size"], [("ask: ", "secret\r"), ("got secret", None)]),
}


def dialogue(t, steps):
    for see, keys in steps:
        if see is None:
            time.sleep(0.5)  # for a program that shows nothing when it is ready
        else:
            t.expect(see.encode())
        if keys:
            t.type(keys.encode())
    return t.wait()


def prepare(r):
    fresh(r)
    (r.work / "f").write_text("".join(f"line {i}\n" for i in range(1, 201)))
    r.own()
    subprocess.run("git init -q . && git add f && for m in first second; do git -c user.name=n -c user.email=e commit -q --allow-empty -m $m; done",
                   shell=True, cwd=r.work, env=r.env(), check=True, **r.ids)


@pytest.mark.parametrize("name", DIALOGS)
def test_the_same_on_a_terminal(stage, name):
    argv, steps = DIALOGS[name]
    ends = []
    for kind in (Plain, Terminal):
        prepare(stage)
        t = kind(stage, *argv, env={"PS1": "$ ", "LESS": "", "GIT_PAGER": ""} if name != "git pager" else {"LESS": ""})
        try:
            ends.append((dialogue(t, steps), (stage.work / "f").read_text()))
        finally:
            t.close()
    assert ends[0] == ends[1]
