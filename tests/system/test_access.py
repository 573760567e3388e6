# SPDX-License-Identifier: MIT
"""Who may do what: tokens, roles, and the records about them."""
import json
import stat

import pytest

from conftest import wait_for
from test_api import NO_SUCH_ID, ask, get, post

ROLES = ("viewer", "approver", "operator", "admin")
# What each role begins to be allowed; without a matching object the answer is 404 or 400, never 403.
ALLOWED = {
    "viewer": [("GET", "/api/status"), ("GET", "/api/queue"), ("GET", "/metrics"), ("GET", "/api/history")],
    "approver": [("POST", f"/api/queue/{NO_SUCH_ID}/approve"), ("POST", f"/api/queue/{NO_SUCH_ID}/deny")],
    "operator": [("POST", "/api/kill")],
    "admin": [("POST", "/api/policy/reload"), ("GET", "/api/tokens"), ("POST", "/api/tokens"),
              ("DELETE", "/api/tokens/0000000000000000")],
}


def make(w, role="viewer", **more):
    a = post(w, "/api/tokens", {"role": role, **more})
    assert a.status == 200, a.body
    return a.json


def access_records(w, event):
    return [r for r in w.records() if r.get("event") == event]


# ---- tokens ----

def test_each_role_may_do_what_it_may_and_no_more(warden):
    tokens = {r: make(warden, r)["token"] for r in ROLES}
    for have, role in enumerate(ROLES):
        for need, wanted in enumerate(ROLES):
            for method, path in ALLOWED[wanted]:
                a = ask(warden, method, path, token=tokens[role])
                assert (a.status == 403) == (have < need), (role, method, path, a.status)
                assert a.status not in (401, 405, 500), (role, path)
    refused = [r for r in access_records(warden, "login-refused") if r["why"] == "role"]
    assert refused and refused[0]["who"].startswith("token-") and refused[0]["path"]


def test_a_token_is_shown_once_and_kept_as_a_hash(warden):
    made = make(warden, "approver", name="ana")
    assert made["token"].startswith("clw_") and made["name"] == "ana" and made["expires_at"] is None
    text = (warden.state / "accounts.json").read_text()
    assert made["token"] not in text and made["id"] in text
    assert stat.S_IMODE((warden.state / "accounts.json").stat().st_mode) == 0o600
    assert made["token"] not in get(warden, "/api/tokens").body.decode()
    assert made["token"] not in warden.log() and made["token"] not in warden.audit.read_text()
    listed = {t["name"]: t for t in get(warden, "/api/tokens").json}
    assert listed["ana"]["used_at"] is None and listed["token"]["fixed"] is True
    get(warden, "/api/status", token=made["token"])
    assert [t for t in get(warden, "/api/tokens").json if t["name"] == "ana"][0]["used_at"]


def test_tokens_survive_a_restart_and_their_end_does_too(warden):
    kept, gone = make(warden), make(warden)
    assert ask(warden, "DELETE", f"/api/tokens/{gone['id']}").status == 200
    assert get(warden, "/api/status", token=gone["token"]).status == 401
    warden.restart()
    assert get(warden, "/api/status", token=kept["token"]).status == 200
    assert get(warden, "/api/status", token=gone["token"]).status == 401
    assert ask(warden, "DELETE", f"/api/tokens/{gone['id']}").status == 404
    warden.kill()
    warden.start()
    assert get(warden, "/api/status", token=kept["token"]).status == 200


def test_an_expired_token_is_none(warden):
    short = make(warden, expires="1s")
    assert short["expires_at"]
    assert get(warden, "/api/status", token=short["token"]).status == 200
    wait_for(lambda: get(warden, "/api/status", token=short["token"]).status == 401, what="it expires")


def test_the_token_of_the_state_directory_is_not_revoked_here(warden):
    (fixed,) = [t for t in get(warden, "/api/tokens").json if t["fixed"]]
    a = ask(warden, "DELETE", f"/api/tokens/{fixed['id']}")
    assert (a.status, a.code) == (409, "fixed")


@pytest.mark.parametrize("body", [
    {}, {"role": "root"}, {"role": "none"}, {"role": ""}, {"role": 1}, {"role": "viewer", "name": ""},
    {"role": "viewer", "name": "a b"}, {"role": "viewer", "name": "a\x1b[2J"}, {"role": "viewer", "name": "a\u202eb"},
    {"role": "viewer", "name": "x" * 65}, {"role": "viewer", "expires": "0s"}, {"role": "viewer", "expires": "soon"},
    {"role": "viewer", "expires": "99999999999d"}, {"role": "viewer", "admin": True}, {"role": ["admin"]},
])
def test_a_wish_that_is_not_understood_makes_nothing(warden, body):
    before = get(warden, "/api/tokens").json
    assert post(warden, "/api/tokens", body).code == "bad_body"
    assert len(get(warden, "/api/tokens").json) == len(before)


@pytest.mark.parametrize("text", [
    "", "{}", "[]", '{"version":2,"tokens":[],"users":[]}', '{"version":1,"tokens":[{}],"users":[]}',
    '{"version":1,"tokens":[],"users":[],"more":1}', '{"version":1,"tokens":[],"tokens":[],"users":[]}',
    '{"version":1,"tokens":[],"users":[{"name":"a","role":"admin","password":"plain","created_at":'
    '"2026-01-01T00:00:00Z","changed_at":"2026-01-01T00:00:00Z"}]}'])
def test_a_file_that_is_not_understood_ends_the_start(make_warden, text):
    w = make_warden(start=False)
    w.state.mkdir(mode=0o700)
    (w.state / "accounts.json").write_text(text)
    (w.state / "accounts.json").chmod(0o600)
    assert w.spawn().wait(20) != 0
    w.process = None
    assert "accounts.json" in w.log()


def test_a_file_that_others_may_read_ends_the_start(make_warden):
    w = make_warden()
    make(w)
    w.stop()
    (w.state / "accounts.json").chmod(0o640)
    assert w.spawn().wait(20) != 0
    w.process = None
    assert "chmod 600" in w.log()


# ---- records ----

def test_logins_refusals_and_changes_are_recorded(warden):
    made = make(warden, "viewer", name="ana", expires="1h")
    for _ in range(3):
        get(warden, "/api/status", token=made["token"])
    get(warden, "/api/status", token="clw_wrong")
    get(warden, "/api/status", token="")
    ask(warden, "DELETE", f"/api/tokens/{made['id']}")
    logins = [r for r in access_records(warden, "login") if r["who"] == "ana"]
    assert [(r["role"], r["method"], r["address"]) for r in logins] == [("viewer", "token", "127.0.0.1")]
    assert {r["why"] for r in access_records(warden, "login-refused")} == {"credentials", "none"}
    created, revoked = access_records(warden, "access")
    assert (created["what"], created["subject"], created["role"], created["subject_id"]) == (
        "token-created", "ana", "viewer", made["id"])
    assert created["expires"] and created["by"] and revoked["what"] == "token-revoked"
    assert warden.cli("audit", "verify", str(warden.audit)).returncode == 0


def test_a_flood_of_refusals_does_not_fill_the_log(warden):
    before = len(warden.records())
    for _ in range(300):
        get(warden, "/api/status", token="clw_wrong")
    assert len(warden.records()) - before <= 12
    warden.stop()
    counted = [r for r in warden.records() if r.get("event") == "limited"]
    assert [(r["peer"], r["refusals"]) for r in counted] == [("api:127.0.0.1", 290)]


# ---- the command ----

def test_the_command_makes_lists_and_revokes(warden):
    made = json.loads(warden.cli("token", "create", "--role", "approver", "--name", "ana", "--expires", "30d",
                                 "--json", check=True).stdout)
    assert made["token"].startswith("clw_")
    assert get(warden, "/api/queue", token=made["token"]).status == 200
    plain = warden.cli("token", "create", "-r", "viewer", check=True)
    assert get(warden, "/api/queue", token=plain.stdout.strip()).status == 200
    assert "not shown again" in plain.stderr
    listed = warden.cli("token", "list", check=True).stdout
    assert "ana" in listed and "approver" in listed and made["token"] not in listed
    assert warden.cli("token", "revoke", "ana", check=True).stdout.startswith("revoked ")
    assert get(warden, "/api/queue", token=made["token"]).status == 401
    assert warden.cli("token", "revoke", "ana").returncode == 1
    assert warden.cli("token", "create").returncode == 2
    assert warden.cli("token", "create", "--role", "king").returncode == 1
