# SPDX-License-Identifier: MIT
"""`clawrden run` inside of a container that nobody prepared for it: Docker's default profile, no capability added. User namespaces
are not to be had there, so the walls are Landlock's, and the banner says what that does not give."""
import json
import subprocess

import pytest

from conftest import BIN, DOCKER, IMAGE

POLICY = """\
default_action: deny
unknown_executable: deny
allowed_paths: ["/*"]
trusted_paths: [/usr/bin, /bin, /usr/local/bin, CLI]
rules:
  - {name: no-date, command: date, action: deny, reason: time is not told here}
  - {name: canary, command: dirname, action: deny}
  - {name: all, command: ["*"], action: allow}
"""
USERS = pytest.mark.parametrize("uid", [0, 1000], ids=["root", "user"])
ROOT = BIN.parent
CLAWRDEN = BIN / "clawrden"


@pytest.fixture
def inside(engine, tmp_path):
    """A function: `clawrden run` there, to its end. The host's /usr has the libraries that the warden needs."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("CLI", str(CLAWRDEN.resolve().parent)))
    project = tmp_path / "project"
    project.mkdir()
    project.chmod(0o777)
    for d in (tmp_path, *tmp_path.parents[:2]):
        d.chmod(0o755)

    def run(uid, *command, options=(), more=()):
        argv = [DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", "-u", f"{uid}:{uid}", "-v", "/usr:/usr:ro", "-v", f"{ROOT}:{ROOT}:ro",
                "-v", f"{policy}:/policy.yaml:ro", "--tmpfs", "/home/agent:mode=1777", "-v", f"{project}:/project", "--tmpfs", "/state:mode=1777", "-e", "HOME=/home/agent",
                "-e", "CLAWRDEN_STATE=/state", "-w", "/project", *more, "--entrypoint", str(CLAWRDEN), IMAGE, "run", "--policy", "/policy.yaml",
                "--workspace", "/project", "--ask", "none", *options, "--", *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120)
    return run


@USERS
def test_it_governs_and_says_what_is_weaker(inside, uid):
    done = inside(uid, "sh", "-c", "id -u; date; echo $?; /usr/bin/date; echo $?; echo w >/project/f && cat /project/f; exit 3")
    assert done.returncode == 3 and done.stdout == f"{uid}\n126\n126\nw\n", done
    assert "NO NAMESPACES HERE" in done.stderr and "weaker than it could be" in done.stderr
    assert done.stderr.count("refused by no-date") == 2


@USERS
def test_writes_stay_in_the_workspace(inside, uid):
    done = inside(uid, "bash", "-c", "echo x >/etc/no; echo $?; echo x >/project/yes; echo $?; echo x >/proc/self/comm; echo $?")
    assert done.stdout == "1\n0\n1\n" and done.stderr.count("Permission denied") == 2, done


@USERS
def test_what_it_must_not_be_weaker_than_is_not_started(inside, uid):
    done = inside(uid, "touch", "ran", options=["--require", "namespaces"])
    assert done.returncode == 125 and "no wall can be built" in done.stderr, done


@pytest.mark.slow
@USERS
def test_no_attempt_to_break_out_succeeds(inside, uid):
    done = inside(uid, CLAWRDEN, "doctor", "--attack", "--json")
    report = json.loads(done.stdout)
    odd = [a for a in report["attempts"] if a["result"] not in ("refused", "absent", "not promised")]
    assert not odd and report["mode"] == "landlock" and report["refused"] >= 50, odd


@USERS
def test_a_run_inside_of_a_run_refuses_with_words(inside, uid):
    done = inside(uid, CLAWRDEN, "run", "--policy", "/policy.yaml", "--ask", "none", "--", "true")
    assert done.returncode == 125 and "inside of one all is governed already" in done.stderr, done
