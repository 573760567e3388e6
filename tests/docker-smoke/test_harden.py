# SPDX-License-Identifier: MIT
"""scripts/harden-container.sh: an image goes in, one that is locked or has the gate in front comes out, and commands in it are
governed. Its base images are stand-ins: Debian's files, and Debian's busybox in the place of Alpine."""
import re
import os
import subprocess

import pytest

from conftest import DOCKER, IMAGE, image, system

SCRIPT = system.ROOT / "scripts/harden-container.sh"
BUSYBOX = "clawrden-stand-in:busybox"
POLICY = """\
default_action: deny
allowed_paths: ["/*"]
env: {pass: ["*"]}
rules:
  - {name: no-date, command: date, action: deny, reason: time is not told here}
  - {name: ask-uname, command: uname, action: ask, approval_timeout: 60s}
  - {name: some, command: [cat, wc, "sh"], action: allow}
"""
LOCKED = "cat,wc,date,uname,npm"


def harden(engine, *options, code=0):
    done = subprocess.run([SCRIPT, *options], capture_output=True, text=True, timeout=300,
                          env={"PATH": os.environ["PATH"], "DOCKER": DOCKER, "DOCKER_HOST": f"unix://{engine.socket}"})
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def bases(engine):
    with open(engine.dir / "busybox.tar", "wb") as out:
        image.write_busybox(out)
    engine.docker("import", "-c", "CMD [\"sh\", \"-c\", \"echo its own command; uname\"]", str(engine.dir / "busybox.tar"), BUSYBOX)
    return {"debian": IMAGE, "busybox": BUSYBOX}


@pytest.fixture(scope="module")
def locked(engine, bases):
    said = {}
    for kind, base in bases.items():
        done = harden(engine, "--base-image", base, "--output-image", f"locked:{kind}", "--lock-binaries", LOCKED, "--user", "agent")
        said[kind] = done.stdout
    return said


both = pytest.mark.parametrize("kind", ["debian", "busybox"])


class Prisoner:
    def __init__(self, engine, w, name, *options):
        self.engine, self.w = engine, w
        self.id = engine.text("run", "-d", "--network=none", "-v", f"{w.socket.parent}:/var/run/clawrden:ro", "-w", "/tmp", *options,
                              "--entrypoint", "/bin/sh", name, "-c", "exec sleep 100000")

    def run(self, *argv, env=()):
        return subprocess.run([DOCKER, "-H", f"unix://{self.engine.socket}", "exec", *[x for e in env for x in ("-e", e)], self.id, *argv],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def start(self, *argv):
        return subprocess.Popen([DOCKER, "-H", f"unix://{self.engine.socket}", "exec", self.id, *argv], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def prisoner(engine, make_warden):
    made = []

    def make(name, *options):
        made.append(Prisoner(engine, make_warden(POLICY), name, *options))
        return made[-1]

    yield make
    for p in made:
        engine.docker("rm", "-f", p.id, check=False)


@both
def test_what_it_checked_is_said(locked, kind):
    said = locked[kind]
    for words in ("ok: agent can change nothing of it", "ok: every original is locked", "ok: no tool runs without a warden",
                  "ok: sh -lc finds the shims", f"locked:{kind} is ready"):
        assert words in said, said
    assert ("bash -lc" in said) == (kind == "debian")


@both
def test_a_locked_tool_is_governed_whatever_it_is_called_by(locked, prisoner, kind):
    p = prisoner(f"locked:{kind}")
    ways = ["{}", "/bin/{}", "sh -lc {}", "sh -c {}", "/bin/sh -lc /bin/{}"]
    if kind == "debian":
        ways += ["bash -lc {}", "bash -ic {}", "env -i bash -lc {}", "/usr/bin/{}"]
    for way in ways:
        # One decision each: the tool was found beside the shim, and the shim was not run again. argv[0] was kept, or busybox
        # would not know what it is.
        done = p.run(*way.format("wc").split())
        assert (done.returncode, done.stdout.split()) == (0, ["0", "0", "0"]), (way, done)
        done = p.run(*way.format("date").split())
        assert done.returncode == 126 and "refused by no-date" in done.stderr, (way, done)
    decided = p.w.decisions()
    assert [d["command"] for d in decided] == ["wc", "date"] * len(ways)
    assert all(d["uid"] == 1000 and d["container"] for d in decided)


@both
def test_a_person_is_asked_for_a_locked_tool(locked, prisoner, kind):
    p = prisoner(f"locked:{kind}")
    asked = p.start("uname")
    q = p.w.wait_queue()[0]
    assert p.w.approve(q["id"]).returncode == 0
    out, err = asked.communicate(timeout=60)
    assert (asked.returncode, out) == (0, "Linux\n"), err


def test_a_tool_that_is_not_there_is_judged_and_not_found(locked, prisoner):
    p = prisoner("locked:busybox")
    done = p.run("npm", "install")
    assert done.returncode in (126, 127) and done.stderr.startswith("clawrden:"), done


def test_the_other_name_by_a_shim_means_the_tool(locked, prisoner):
    """Calling the kept one itself is not seen, which the documentation says; by a shim it gains nothing."""
    p = prisoner("locked:debian")
    assert p.run("/usr/bin/date.original", "+%s").stdout.strip().isdigit()
    assert p.run("ln", "-s", "/clawrden/bin/clawrden-shim", "/tmp/date.original").returncode == 0
    done = p.run("/tmp/date.original")
    assert done.returncode == 126 and "no-date" in done.stderr, done


@both
def test_the_gate_in_front(engine, bases, make_warden, kind):
    harden(engine, "--base-image", bases[kind], "--output-image", f"gated:{kind}", "--entrypoint", "gate", "--user", "coder", "--lock-binaries", "date")
    w = make_warden(POLICY + "  - {name: rest, command: [sleep, echo, ls], action: allow}\n")

    def run(*command):
        return subprocess.run([DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", "--network=none", "-v", f"{w.socket.parent}:/var/run/clawrden:ro",
                               f"gated:{kind}", *command], capture_output=True, text=True, timeout=60)

    done = run("sh", "-c", "/bin/date; echo $?")
    assert done.stdout == "126\n" and "refused by no-date" in done.stderr, done
    if kind == "busybox":  # the base image's own command is the gate's
        done = subprocess.Popen([DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", "--network=none", "-v",
                                 f"{w.socket.parent}:/var/run/clawrden:ro", "gated:busybox"], stdout=subprocess.PIPE, text=True)
        assert w.approve(w.wait_queue()[0]["id"]).returncode == 0
        assert done.communicate(timeout=60)[0] == "its own command\nLinux\n"
    assert {d["uid"] for d in w.decisions()} == {1001}, "made for it: agent has 1000"


# ---- refused ----

@pytest.mark.parametrize("options,words", [
    ([], "are needed"), (["--base-image", "a", "--output-image", "a", "--entrypoint", "gate"], "another name"),
    (["--base-image", "a\nRUN x", "--output-image", "b", "--entrypoint", "gate"], "no name of an image"),
    (["--base-image", "-v", "--output-image", "b", "--entrypoint", "gate"], "no name of an image"),
    (["--base-image", "a", "--output-image", "b", "--lock-binaries", "x'; id; '"], "names of tools"),
    (["--base-image", "a", "--output-image", "b", "--lock-binaries", "x", "--user", "r;id"], "no name of a user"),
    (["--base-image", "a", "--output-image", "b", "--lock-binaries", "x", "--entrypoint", "sh"], "gate or none"),
    (["--base-image", "a", "--output-image", "b"], "--lock-binaries is needed"), (["--base-image"], "needs a value"), (["x"], "unknown option")])
def test_options_that_make_no_sense(engine, options, words):
    assert words in harden(engine, *options, code=2).stderr


def test_a_base_that_is_not_there(engine):
    assert "there is no image 'nothing:here'" in harden(engine, "--base-image", "nothing:here", "--output-image", "x", "--entrypoint", "gate", code=1).stderr


def test_an_image_that_does_not_hold_is_not_made(engine, bases):
    """A base whose own start files win over ours: the user's shells never see the shim."""
    (engine.dir / "bad").mkdir()
    (engine.dir / "bad/Dockerfile").write_text(f"FROM {bases['busybox']}\nRUN rm /home/agent -r; mkdir -p /home/agent; "
                                               "echo 'PATH=/bin; readonly PATH' > /etc/profile\n")
    engine.docker("build", "--network=none", "-q", "-t", "bad", str(engine.dir / "bad"))
    done = harden(engine, "--base-image", "bad", "--output-image", "never", "--lock-binaries", "cat", code=1)
    # What the shell says of its own may stand in between.
    assert re.search(r"FAILED: sh -lc finds the shims: .*cat", done.stdout, re.S) and "was not made" in done.stderr
    assert engine.docker("image", "inspect", "never", check=False).returncode != 0
    assert "-trial-" not in engine.text("images")
