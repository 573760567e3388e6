# SPDX-License-Identifier: MIT
"""clawrden doctor: what it says of this host, of shims in shells, and of attempts to break out."""
import json
import os
import subprocess
import threading

import pytest

from conftest import AGENT_UID, BIN, needs_root
from runs import POLICY, any_run, make_run  # noqa: F401: fixtures


def doctor(run, *args, env=None, **kw):
    return subprocess.run([str(BIN / "clawrden"), "doctor", *map(str, args)], capture_output=True, text=True, timeout=300,
                          env=run.env(**(env or {})), cwd=run.work, **{**run.ids, **kw})


# ---- the host ----

def test_it_says_what_this_host_offers_and_what_each_mode_enforces(any_run):
    done = doctor(any_run)
    for words in ("seccomp listener", "ptrace", "namespaces", "Landlock", "cgroups", "pidfd", "container engine",
                  "what each mode enforces here", "clawrden run: ", "gate as a container's entry point: ", "ghost containers: "):
        assert words in done.stdout, done.stdout
    assert done.returncode in (0, 1) and done.stderr == ""


def test_json_agrees_with_what_run_does(any_run):
    done = doctor(any_run, "--json")
    host = (report := json.loads(done.stdout))["host"]
    assert done.returncode == (0 if report["strongest"] else 1)
    assert host["root"] == (any_run.user is None and os.geteuid() == 0)
    ran = any_run.run("true", options={"require": "namespaces"})
    assert (ran.returncode == 0) == (host["walls"] == "namespaces"), ran.stderr
    ran = any_run.run("true", options={"net": "none"})
    assert (ran.returncode == 0) == host["network_namespace"], ran.stderr
    modes = {m["name"]: m for m in report["modes"]}
    assert modes["clawrden run"]["works"] and modes["shims, native mirror"]["works"] == host["root"]
    assert modes["shims, commands by the engine"]["works"] == (host["root"] and host["engine"])
    assert modes["shims, commands by the engine"]["enforces"].startswith(("--mirror=auto takes", "needs", "no engine"))


@needs_root
def test_a_weaker_host_is_said_and_fails(make_run):
    r = make_run()
    weak = ["unshare", "--user", "--map-root-user", "sh", "-c",
            'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"', "sh"]
    done = subprocess.run([*weak, BIN / "clawrden", "doctor", "--json"], capture_output=True, text=True, timeout=60, env=r.env(), cwd=r.work)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["strongest"]
    assert report["host"]["walls"] == "landlock" and "user, mount and pid namespaces" in report["host"]["why_not_stronger"]
    assert any("user.max_user_namespaces" in a for a in report["advice"])
    assert "nothing hidden" in report["modes"][0]["enforces"]


def test_inside_of_a_tree_it_says_so(any_run):
    done = any_run.run(BIN / "clawrden", "doctor", "--json")
    host = json.loads(done.stdout)["host"]
    assert not host["seccomp_listener"] and not host["ptrace"] and done.returncode == 1


# ---- shims ----

def make_shims(run, *names):
    shims = run.dir / "shims"
    shims.mkdir()
    for name in names:
        (shims / name).symlink_to(BIN.resolve() / "clawrden-shim")
    return shims


def test_shims_are_looked_for_in_every_kind_of_shell(any_run):
    shims = make_shims(any_run, "git", "ls")
    (any_run.home / ".bash_profile").write_text("PATH=/usr/bin:/bin\n")  # as /etc/profile does on many hosts
    any_run.own()
    done = doctor(any_run, "--json", env={"PATH": f"{shims}:/usr/bin:/bin"})
    report = json.loads(done.stdout)["shims"]
    shells = {s["kind"]: s for s in report["shells"]}
    assert report["folder"] == str(shims) and report["names"] == 2 and report["broken_links"] == 0
    assert shells["bash -c"]["missed"] == 0 and shells["sh -c"]["missed"] == 0
    login = shells["bash -lc (login)"]
    assert login["missed"] == 2 and "/bin/" in login["example"]
    assert done.returncode == 1
    text = doctor(any_run, env={"PATH": f"{shims}:/usr/bin:/bin"}).stdout
    assert "some shells find the real tools first" in text


def test_links_that_lead_to_no_shim_are_found(any_run):
    shims = make_shims(any_run, "git")
    (shims / "npm").symlink_to("/no/such/shim")
    (shims / "curl").symlink_to("/usr/bin/env")
    done = doctor(any_run, "--json", "--shims", shims, env={"PATH": f"{shims}:/usr/bin:/bin"})
    assert json.loads(done.stdout)["shims"]["broken_links"] == 2 and done.returncode == 1


def test_a_folder_without_shims_is_refused(any_run):
    done = doctor(any_run, "--shims", "/usr/share")
    assert done.returncode == 2 and "there is no shim in '/usr/share'" in done.stderr


# ---- breaking out ----

@pytest.mark.parametrize("walls", ["auto", "landlock"])
def test_no_attempt_to_break_out_succeeds(any_run, walls):
    done = doctor(any_run, "--attack", "--json", "--walls", walls)
    report = json.loads(done.stdout)
    assert report["holes"] == 0, "a hole: " + done.stdout
    by = {a["name"]: a for a in report["attempts"]}
    odd = [a for a in report["attempts"] if a["result"] not in ("refused", "absent", "not promised")]
    assert done.returncode == 0 and not odd, odd
    assert report["mode"] == ("landlock" if walls == "landlock" else "namespaces")
    assert report["refused"] >= 60 and report["unproved"] == 0
    # Each of them came to its point; what is only said to be refused is no proof.
    assert all(a["reached"] for a in report["attempts"] if a["result"] == "refused")
    assert by["flip-page"]["said"].startswith("150 tries") and by["swap-link"]["said"].startswith("150 tries")
    if walls == "auto":
        assert not report["not_promised"], by
    else:
        assert {n for n, a in by.items() if a["result"] == "not promised"} <= \
            {"secrets", "sockets-known", "sockets-paths", "terminals"}


def test_a_hole_is_found_and_fails(any_run):
    """A person who approves everything: copies and scripts of the agent's get through, and it says so."""
    policy = POLICY.replace("rules:", "unknown_executable: ask\nrules:\n  - {name: canary, command: dirname, action: deny}", 1)
    any_run.policy.write_text(policy)
    any_run.own()
    p = any_run.popen(BIN / "clawrden", "doctor", "--attack", "--json", options={"policy": any_run.policy})
    stop = threading.Event()

    def approve():
        while not stop.wait(0.05):
            ids = [q["id"] for q in any_run.queue()]
            if ids:
                any_run.cli("approve", *ids)

    person = threading.Thread(target=approve)
    person.start()
    try:
        out, errors = p.communicate(timeout=200)
    finally:
        stop.set()
        person.join()
    report = json.loads(out)
    by = {a["name"]: a for a in report["attempts"]}
    assert p.returncode == 1 and report["holes"] >= 1, errors
    assert by["loader-copy"]["result"] == "HOLE" and by["path"]["result"] == "refused"


def test_walls_go_with_attack(any_run):
    done = doctor(any_run, "--walls", "landlock")
    assert done.returncode == 2 and "--walls goes with --attack" in done.stderr
