# SPDX-License-Identifier: MIT
"""What ran before is looked at anew: a program that is another one under the same name, or in other hands, is judged as that."""
import os
import shlex
import shutil
import subprocess
import tempfile

import pytest

from conftest import AGENT_UID, needs_root
from gate_case import POLICY, environment, popen, sh

pytestmark = needs_root


@pytest.fixture
def w(make_warden):
    return make_warden(POLICY)


@pytest.fixture
def tools():
    """A directory of root's, as the system's are."""
    d = tempfile.mkdtemp(prefix="clawrden-test-", dir="/usr/local/lib")
    os.chmod(d, 0o755)
    shutil.copy("/bin/true", f"{d}/tool")
    yield d
    shutil.rmtree(d)


class Shell:
    """Of the agent; runs a command a line and says its status."""

    def __init__(self, w, **kw):
        self.p = popen(w, "/bin/sh", "-c", "while read -r line; do $line >/dev/null; echo $?; done", uid=AGENT_UID, stdin=subprocess.PIPE, **kw)

    def __call__(self, command):
        self.p.stdin.write(command + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def close(self):
        self.p.communicate("")


def last(w, command="tool"):
    return [d for d in w.decisions() if d["command"] == command][-1]["executable"]


def by_rename(d):
    shutil.copy("/bin/echo", f"{d}/new")
    os.rename(f"{d}/new", f"{d}/tool")


def given_away(d):
    os.chown(f"{d}/tool", AGENT_UID, AGENT_UID)


def for_everybody(d):
    os.chmod(f"{d}/tool", 0o777)


def directory_for_everybody(d):
    os.chmod(d, 0o777)


def directory_for_its_group(d):
    os.chown(d, 0, AGENT_UID)
    os.chmod(d, 0o775)


HANDS = {given_away: "owns", for_everybody: "writable by everybody", directory_for_everybody: "writable by everybody",
         directory_for_its_group: "writable by a group"}


def test_another_file_under_the_name_is_another_program(w, tools):
    shell = Shell(w)
    assert shell(f"{tools}/tool") == "0"
    first = last(w)
    by_rename(tools)
    assert shell(f"{tools}/tool") == "0"
    again = last(w)
    assert first["trust"] == again["trust"] == "trusted"
    assert (first["ino"], again["ino"]) == (first["ino"], os.stat(f"{tools}/tool").st_ino) and first["ino"] != again["ino"]
    shell.close()


@pytest.mark.parametrize("change", HANDS, ids=lambda f: f.__name__)
def test_what_came_into_other_hands_is_not_trusted_any_more(w, tools, change):
    shell = Shell(w)
    for _ in range(3):
        assert shell(f"{tools}/tool") == "0"
    assert last(w)["trust"] == "trusted"
    change(tools)
    assert shell(f"{tools}/tool") == "126"
    now = last(w)
    assert now["trust"] == "unknown" and HANDS[change] in now["why_unknown"], now
    shell.close()


def test_a_group_of_the_agent_counts_whichever_it_is(w, tools):
    """Of those that it has beside its own; another's does not."""
    os.chown(tools, 0, 4711)
    os.chmod(tools, 0o775)
    assert sh(w, f"{tools}/tool", uid=AGENT_UID).returncode == 0
    os.chmod(w.socket, 0o666)
    kw = {"user": AGENT_UID, "group": AGENT_UID, "extra_groups": [4710, 4711]}
    p = popen(w, "/bin/sh", "-c", f"{tools}/tool; echo $?", env=environment(w), **kw)
    assert p.communicate()[0] == "126\n"
    assert "writable by a group" in last(w)["why_unknown"]


def test_other_arguments_are_judged_for_themselves(w):
    shell = Shell(w)
    for _ in range(3):
        assert shell("git --version") == "0"
        assert shell("true") == "0" and shell("true") == "0"
        assert shell("git push") == "126"
        assert shell("true") == "0"
    shell.close()
    assert [d["decision"] for d in w.decisions() if d["command"] == "git"] == ["allow", "deny"] * 3


# Bind its own file over a name, in a name space where it may; and stand on the old root there.
MOUNTS = """
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
old = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
if c.unshare(0x10000000 | 0x00020000):
    sys.exit(77)
c.mount(b"none", b"/", None, 0x4000 | 0x40000, None)
if c.mount(sys.argv[1].encode(), b"/usr/bin/true", None, 0x1000, None):
    sys.exit(78)
if sys.argv[2] == "old":
    os.fchdir(old)
    os.chroot(".")
os.execv(sys.argv[3], [sys.argv[3], "mine"])
"""


@pytest.mark.parametrize("root, tool, ends, trust", [("own", "/usr/bin/true", 126, "unknown"), ("own", "/usr/bin/date", 126, "unknown"),
                                                     ("old", "/usr/bin/true", 0, "trusted"), ("old", "/usr/bin/date", 126, "trusted")])
def test_a_name_space_of_its_own_makes_no_trusted_name(w, root, tool, ends, trust):
    """What it bound over a name does not run as that; from the old root the names are the system's again, and so are the rules."""
    mine = w.work / "mine"
    shutil.copy("/bin/echo", mine)
    os.chmod(mine, 0o755)
    done = sh(w, f"/bin/true; /usr/bin/python3 -c {shlex.quote(MOUNTS)} {mine} {root} {tool}; echo $?", uid=AGENT_UID, gate=("--wall", "none"))
    if done.stdout.strip() in ("77", "78"):
        pytest.skip("no user name spaces here")
    assert done.stdout == f"{ends}\n", done
    seen = last(w, os.path.basename(tool))
    assert seen["trust"] == trust, seen


RENAMED = "import ctypes, subprocess; ctypes.CDLL(None).prctl(15, b'innocent', 0, 0, 0); subprocess.call(['/bin/true', 'a'])"
FORKED = "(/bin/true b; :)"


@pytest.mark.parametrize("script, parent", [(f"/usr/bin/python3 -c {shlex.quote(RENAMED)}", "python3"), (FORKED, "sh")],
                         ids=["renamed", "forked"])
def test_the_parent_is_the_program_that_runs_there(w, script, parent):
    """Whatever it calls itself; what only forked is looked up."""
    assert sh(w, script, uid=AGENT_UID).returncode == 0
    assert [d["parent"] for d in w.decisions() if d["command"] == "true"] == [parent]
