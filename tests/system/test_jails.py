# SPDX-License-Identifier: MIT
"""Jails without containers: the policy, the API and the command line, what lies on the disk, and what a killed warden leaves."""
import json
import os
import pathlib
import stat

import pytest

from conftest import BIN, POLICY, wait_for
from test_api import ask, get, post

SHIM = BIN / "clawrden-shim"


def names(jail):
    """What a container would see there, in order."""
    return sorted(p.name for p in jail.iterdir())


def records(warden, what):
    return [r for r in warden.records_of("jail") if r["what"] == what]


@pytest.fixture
def jails(warden):
    return warden.state / "jails"


def test_a_jail_is_a_directory_of_relative_links(warden, jails):
    a = post(warden, "/api/jails", {"name": "tools", "commands": ["npm", "git", "["]})
    assert a.status == 200 and a.json["directory"] == str(jails / "tools") and a.json["origin"] == "api"
    assert names(jails / "tools") == ["[", "clawrden-shim", "git", "npm"]
    for n in ("npm", "git", "["):
        assert os.readlink(jails / "tools" / n) == "clawrden-shim"
    assert (jails / "tools" / "npm").read_bytes() == SHIM.read_bytes()
    for p in (jails, jails / "tools", jails / "tools" / "clawrden-shim"):
        st = p.stat()
        assert stat.S_IMODE(st.st_mode) == 0o755 and st.st_uid == os.geteuid()
    (r,) = records(warden, "created")
    assert (r["name"], r["origin"], r["mode"], r["commands"]) == ("tools", "api", "plain", ["npm", "git", "["])
    assert r["by"] and r["request_id"]


def test_a_change_keeps_the_directory_that_is_mounted_elsewhere(warden, jails):
    post(warden, "/api/jails", {"name": "tools", "commands": ["npm"]})
    before = (jails / "tools").stat().st_ino
    assert post(warden, "/api/jails/tools", {"commands": ["git", "docker"]}).json["commands"] == ["git", "docker"]
    assert (jails / "tools").stat().st_ino == before
    assert names(jails / "tools") == ["clawrden-shim", "docker", "git"]
    assert ask(warden, "DELETE", "/api/jails/tools").status == 200
    assert names(jails) == [] and get(warden, "/api/jails").json == []
    assert [r["name"] for w in ("created", "changed", "deleted") for r in records(warden, w)] == ["tools"] * 3


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/a", ".a", "-a", "a..b", "a b", "a\n", "a\x00b", "\u202ea", "é", "clawrden",
                                  "clawrden-shim", "x" * 65, "x" * 300, "a%2fb", "*", "$(id)"])
def test_names_that_lead_somewhere_are_none(warden, jails, name):
    a = post(warden, "/api/jails", {"name": name, "commands": ["npm"]})
    assert a.status == 400 and a.code == "bad_body", a.body
    assert names(jails) == [] and not (warden.state / "x").exists() and not records(warden, "created")


@pytest.mark.parametrize("name", ["", ".", "..", "../git", "a/b", "/bin/sh", ".git", "-rf", "a b", "a\n", "a\x00", "é", "clawrden-shim",
                                  "clawrden", "git.original", "x" * 129, "x" * 300])
def test_commands_that_lead_somewhere_are_none(warden, jails, name):
    a = post(warden, "/api/jails", {"name": "tools", "commands": ["npm", name]})
    assert a.status == 400 and names(jails) == []
    post(warden, "/api/jails", {"name": "tools", "commands": ["npm"]})
    assert post(warden, "/api/jails/tools", {"commands": [name]}).status == 400
    assert names(jails / "tools") == ["clawrden-shim", "npm"]


@pytest.mark.parametrize("body", [{"name": "a"}, {"name": "a", "commands": "npm"}, {"name": "a", "commands": [1]}, {"name": 1, "commands": []},
                                  {"name": "a", "commands": ["x"] * 257}, {"name": "a", "commands": [], "mode": "hard"},
                                  {"name": "a", "commands": [], "containers": ["[x"]}, {"name": "a", "commands": [], "containers": [""]},
                                  {"name": "a", "commands": [], "surprise": 1}])
def test_bodies_that_are_none_are_refused(warden, jails, body):
    assert post(warden, "/api/jails", body).status == 400
    assert names(jails) == []


def test_what_is_in_the_path_is_a_name_too(warden, jails):
    for path in ("..%2f..%2fetc", "%2e%2e", "a%00b", "nobody"):
        for method in ("GET", "DELETE"):
            assert ask(warden, method, f"/api/jails/{path}").status in (400, 404)
        assert post(warden, f"/api/jails/{path}", {"commands": []}).status in (400, 404)
    assert post(warden, "/api/jails", {"name": "a", "commands": []}).status == 200
    assert post(warden, "/api/jails", {"name": "a", "commands": []}).code == "exists"


def test_a_viewer_looks_and_an_operator_changes(warden):
    token = {r: post(warden, "/api/tokens", {"role": r, "name": r}).json["token"] for r in ("viewer", "approver", "operator")}
    for role in ("viewer", "approver"):
        assert get(warden, "/api/jails", token=token[role]).status == 200
        for a in (post(warden, "/api/jails", {"name": "a", "commands": []}, token=token[role]),
                  post(warden, "/api/jails/a", {"commands": []}, token=token[role]),
                  ask(warden, "DELETE", "/api/jails/a", token=token[role])):
            assert a.status == 403
    assert post(warden, "/api/jails", {"name": "a", "commands": []}, token=token["operator"]).json["by"] == "operator"


def test_the_command_line_does_the_same(warden, jails):
    assert "origin      api" in warden.cli("jails", "create", "--containers", "one,two-*", "tools", "npm", "git", check=True).stdout
    made = json.loads(warden.cli("--json", "jails", "get", "tools", check=True).stdout)
    assert made["containers"] == ["one", "two-*"] and made["commands"] == ["npm", "git"]
    warden.cli("jails", "set", "--mode", "hardened", "tools", "docker", check=True)
    (row,) = json.loads(warden.cli("jails", "list", "--json", check=True).stdout)
    assert row["mode"] == "hardened" and row["commands"] == ["docker"] and row["containers"] == []
    assert warden.cli("jails", "list", check=True).stdout.splitlines()[1].split() == ["tools", "api", "hardened", "-", "docker"]
    assert names(jails / "tools") == ["clawrden-shim", "docker"]
    bad = warden.cli("jails", "create", "../x", "npm")
    assert bad.returncode != 0 and "a name is made of letters" in bad.stderr
    assert warden.cli("jails", "delete", "tools", check=True).stdout == "deleted tools\n"
    assert warden.cli("jails", "get", "tools").returncode != 0


# ---- the policy's ----

def test_the_policy_names_jails_and_another_policy_others(warden, jails):
    assert names(jails) == []
    post(warden, "/api/jails", {"name": "mine", "commands": ["a"]})
    post(warden, "/api/jails", {"name": "build", "commands": ["z"]})
    warden.set_policy(POLICY + "jails: {build: [npm, git], web: {commands: [curl], containers: ['web-*']}}\n")
    post(warden, "/api/policy/reload")
    assert {j["name"]: (j["origin"], j["commands"]) for j in get(warden, "/api/jails").json} == {
        "mine": ("api", ["a"]), "build": ("policy", ["npm", "git"]), "web": ("policy", ["curl"])}
    assert names(jails / "build") == ["clawrden-shim", "git", "npm"]
    for a in (post(warden, "/api/jails/build", {"commands": []}), ask(warden, "DELETE", "/api/jails/build")):
        assert (a.status, a.code) == (409, "fixed")
    inode = (jails / "build").stat().st_ino
    warden.set_policy(POLICY + "jails: {build: [npm, docker]}\n")
    wait_for(lambda: names(jails) == ["build", "mine"] and "docker" in names(jails / "build"), what="the file is followed")
    assert (jails / "build").stat().st_ino == inode and names(jails / "build") == ["clawrden-shim", "docker", "npm"]
    warden.set_policy(POLICY + "jails: {../x: [npm]}\n")
    assert post(warden, "/api/policy/reload").status == 422
    assert names(jails) == ["build", "mine"]


# ---- restarts ----

def test_a_killed_warden_leaves_nothing_half(warden, jails):
    post(warden, "/api/jails", {"name": "tools", "commands": ["npm", "git"], "containers": ["x"], "mode": "hardened"})
    before = get(warden, "/api/jails").json
    inode = (jails / "tools").stat().st_ino
    warden.kill()
    # What it could have been in the middle of, and what does not belong here.
    (jails / ".new-other").mkdir()
    (jails / ".new-other" / "x").symlink_to("clawrden-shim")
    (jails / ".old-other").mkdir()
    (jails / "stale").mkdir()
    (jails / "stale" / "npm").symlink_to("/bin/sh")
    (jails / "file").write_text("x")
    (jails / "link").symlink_to("/etc")
    (jails / "tools" / "npm").unlink()
    (jails / "tools" / "npm").symlink_to("/bin/sh")
    (jails / "tools" / "git").unlink()
    (jails / "tools" / "evil").write_text("x")
    (jails / "tools" / ".new").write_text("half a shim")
    (jails / "tools" / "clawrden-shim").write_bytes(b"\x7fELF of before")
    (warden.state / "jails.json.new").write_text("{")
    warden.start()
    assert get(warden, "/api/jails").json == before
    assert names(jails) == ["tools"] and names(jails / "tools") == ["clawrden-shim", "git", "npm"]
    assert (jails / "tools").stat().st_ino == inode and os.readlink(jails / "tools" / "npm") == "clawrden-shim"
    assert (jails / "tools" / "clawrden-shim").read_bytes() == SHIM.read_bytes()
    assert pathlib.Path("/etc/passwd").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":2,"jails":[]}', '{"version":1,"jails":[{"name":"../x"}]}',
                                  '{"version":1,"jails":[{"name":"a","origin":"api","mode":"plain","commands":["../x"],"containers":[],"realtime":1}]}',
                                  '{"version":1,"jails":[{"name":"a","origin":"policy","mode":"plain","commands":[],"containers":[],"realtime":1}]}'])
def test_a_book_that_is_none_stops_the_start_with_words(make_warden, text):
    w = make_warden(start=False)
    w.state.mkdir(mode=0o700, exist_ok=True)
    (w.state / "jails.json").write_text(text)
    w.expect_exit = 1
    w.spawn().wait(20)
    assert w.process.returncode == 1 and "jails.json' (remove it to begin without its jails)" in w.log(), w.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to be another user's")
def test_a_directory_that_others_can_change_is_not_used(make_warden):
    w = make_warden(start=False)
    for change in (lambda p: p.chmod(0o777), lambda p: os.chown(p, 12345, 0)):
        d = w.dir / "elsewhere"
        d.mkdir(exist_ok=True)
        change(d)
        w.options["jails"] = d
        w.expect_exit = 1
        w.spawn().wait(20)
        assert w.process.returncode == 1 and "others can write to" in w.log(), w.log()
        d.rmdir()


def test_a_shim_that_is_none_stops_the_start(make_warden):
    w = make_warden(options={"shim_binary": "/dev/null"}, start=False)
    w.expect_exit = 78
    w.spawn().wait(20)
    assert w.process.returncode == 78 and "jails: '/dev/null'" in w.log(), w.log()
