# SPDX-License-Identifier: MIT
"""README.md as a newcomer follows it: the commands of "Try it by hand" as they are printed, as root and
as an ordinary user, and what the page says about files and sizes."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import AGENT_GID, AGENT_UID, BIN, ROOT, needs_root

PAGE = (ROOT / "README.md").read_text()
BY_HAND, AS_A_PERSON = re.findall(r"```sh\n(.*?)```", PAGE.split("## Try it by hand")[1], re.S)[:2]

# What the newcomer types into the governed shell; the person's commands run beside it.
IN_THE_SHELL = """\
for i in $(seq 200); do [ -S "$CLAWRDEN_SOCKET" ] && break; sleep 0.05; done
git status --short; echo "git status $?"
rm -rf /nowhere/at/all /; echo "rm $?"
person() {
    for i in $(seq 200); do clawrden queue | grep -q 'git push' && break; sleep 0.05; done
    id=$(clawrden queue --json | sed -n 's/.*"id": *"\\([^"]*\\)".*/\\1/p')
    clawrden approve "$id"
}
person & git push; echo "git push $?"
wait
exit
"""

# /etc, /var and the network of a machine of its own: root's files are not the host's.
APART = """\
set -e
mount -t tmpfs tmpfs /mnt && cp -a /etc /mnt/etc && mount --bind /mnt/etc /etc
for d in /var/lib /var/log /run; do mount -t tmpfs -o mode=755 tmpfs $d; done
ip link set lo up
exec "$@"
"""
# Another warden of this host may have the port that the API has by default.
NETWORK_APART = f"""\
ip link set lo up
exec setpriv --reuid {AGENT_UID} --regid {AGENT_GID} --clear-groups "$@"
"""


@pytest.fixture
def clone(tmp_path):
    """Something that looks like a built clone, to anybody."""
    for d in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        d.chmod(0o755)
    top = tmp_path / "clawrden"
    (top / "bin").mkdir(parents=True)
    (top / "build").mkdir()
    for p in ("clawrden", "clawrden-warden", "clawrden-shim", "clawrden-mirror"):
        shutil.copy(BIN / p, top / "bin" / p)
    (top / "Makefile").write_text("all: ; @test -x bin/clawrden\n")  # it is built
    subprocess.run(["git", "init", "-q", "--initial-branch=main", str(top)], check=True)
    (top / ".gitignore").write_text((ROOT / ".gitignore").read_text() + "*\n")
    return top


def follow(clone, unshare, setup, owner=0):
    home = clone.parent / "home"
    home.mkdir()
    for at, _, files in os.walk(clone.parent):
        for name in (at, *(os.path.join(at, x) for x in files)):
            os.chown(name, owner, owner)
    person = AS_A_PERSON.replace("clawrden queue ", "clawrden queue >/dev/null ")
    text = BY_HAND + IN_THE_SHELL + person + "kill %1; wait\n"
    return subprocess.run(["unshare", unshare, "sh", "-c", setup, "apart", "bash", "-s"], input=text, cwd=clone, capture_output=True, text=True, timeout=120,
                          env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "LANG": "C.UTF-8"})


def assert_as_promised(done):
    said = done.stdout + done.stderr
    assert "wrote " in said and "rules for the workspace" in said, said
    assert "ask: git push origin main" in said, said
    assert "git status 0\n" in said, said
    assert "refused by remove-system" in said and "rm 126\n" in said, said
    assert re.search(r"^approved \S+: git push$", said, re.M), said
    assert "git push 128\n" in said and "No configured push destination" in said, said  # git's own words
    assert re.search(r"ask-approved +exit 128 .* git push$", said, re.M), said
    assert re.search(r": sound: \d+ records", said), said
    assert re.search(r"^runs other users +(yes|no)$", said, re.M), said


@needs_root
def test_an_ordinary_user_can_follow_it(clone):
    done = follow(clone, "-n", NETWORK_APART, AGENT_UID)
    assert_as_promised(done)


@needs_root
def test_root_can_follow_it(clone):
    done = follow(clone, "-mn", APART)
    assert_as_promised(done)
    assert "/etc/clawrden/policy.yaml" in done.stdout


def test_the_files_and_pages_that_it_names_are_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / link).exists(), link


def test_it_tells_the_size_of_the_shim():
    said = int(re.search(r"\*\*clawrden-shim\*\* is a (\d+) KB static program", PAGE)[1])
    assert abs((BIN / "clawrden-shim").stat().st_size / 1000 - said) < 2
