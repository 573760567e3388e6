# SPDX-License-Identifier: MIT
"""The story of one request: what happened to it, in order, while it lives and afterwards."""
import signal

import pytest

from conftest import POLICY, wait_for
from test_api import NO_SUCH_ID, finish, get, held, post
from test_history import rows
from test_openapi import check


def story(w, id, **kw):
    a = get(w, f"/api/history/{id}", **kw)
    assert a.status == 200, a.body
    return check(a, "GET", "/api/history/{id}")


def events(s):
    times = [e["time"] for e in s["timeline"]]
    assert times == sorted(times)
    return [e["event"] for e in s["timeline"]]


def one(s, event):
    (found,) = [e for e in s["timeline"] if e["event"] == event]
    return found


def ended(w, id):
    return wait_for(lambda: (s := story(w, id))["state"] == "ended" and s, what="its end is in the index")


def test_of_what_is_asked_looked_at_and_approved(warden):
    p, id = held(warden, "git", "--version")
    s = story(warden, id)
    assert (s["state"], events(s), s["request"]) == ("waiting", ["asked", "waiting"], None)
    assert s["live"]["command"] == "git"
    assert get(warden, f"/api/queue/{id}").status == get(warden, f"/api/queue/{id}").status == 200
    assert post(warden, "/api/policy/explain", {"id": id}).status == 200
    assert events(story(warden, id)) == ["asked", "waiting", "seen", "explained"]
    post(warden, f"/api/queue/{id}/approve", {"comment": "fine", "channel": "test"})
    finish(p)
    s = ended(warden, id)
    assert events(s) == ["asked", "waiting", "seen", "explained", "approved", "started", "ended"]
    assert s["live"] is None and s["request"]["id"] == id
    me = s["request"]["approver"]
    assert [(x["by"], x["explained"]) for x in s["request"]["looks"]] == [(me, False), (me, True)]
    assert warden.decisions()[-1]["looks"] == s["request"]["looks"]  # the log is the truth
    answer = one(s, "approved")
    assert (answer["by"], answer["words"], answer["channel"]) == (me, "fine", "test")
    assert one(s, "ended")["exit_code"] == 0
    assert one(s, "waiting")["rule"] == s["request"]["rule"]


def test_of_what_nobody_was_asked_about(warden):
    warden.run("rm", "x")
    warden.run("no-such-tool")
    warden.run("sh", "-c", "exit 7")
    wait_for(lambda: len(rows(warden)) == 3 and rows(warden)[0]["end_time"], what="all are in the index")
    failed, unknown, denied = (story(warden, r["id"]) for r in rows(warden))
    assert events(denied) == ["asked", "denied"] and denied["state"] == "ended"
    assert one(denied, "denied")["by"] is None and one(denied, "denied")["rule"] == "no-rm"
    assert events(failed) == ["asked", "allowed", "started", "ended"] and one(failed, "ended")["exit_code"] == 7
    assert "started" not in events(unknown)


def test_of_orders_while_it_waits_and_runs(warden):
    p = warden.popen("sleep", "60")
    id = wait_for(lambda: [r for r in get(warden, "/api/running").json if r["state"] == "running"], what="it runs")[0]["id"]
    assert events(story(warden, id)) == ["asked", "allowed", "started"]
    assert post(warden, "/api/pause", {"id": id, "reason": "lunch"}).status == 200
    s = story(warden, id)
    assert events(s)[-1] == "paused" and one(s, "paused")["words"] == "lunch" and one(s, "paused")["by"]
    post(warden, "/api/resume", {"all": True})
    post(warden, "/api/kill", {"id": id, "signal": 9, "reason": "enough"})
    finish(p)
    s = ended(warden, id)
    assert events(s) == ["asked", "allowed", "started", "paused", "resumed", "killed", "ended"]
    assert one(s, "killed")["signal"] == "KILL" and one(s, "ended")["signal"] == signal.SIGKILL
    assert one(s, "ended")["by"] == one(s, "killed")["by"]
    # What comes later was not under these orders, nor was it before.
    warden.run("true")
    wait_for(lambda: rows(warden)[0]["end_time"], what="its end is in the index")
    assert events(story(warden, rows(warden)[0]["id"])) == ["asked", "allowed", "started", "ended"]


def test_of_what_came_into_a_pause(warden):
    post(warden, "/api/pause", {"all": True, "reason": "night"})
    p, id = held(warden, "echo", "x")
    s = story(warden, id)
    assert events(s)[:2] == ["paused", "asked"] and one(s, "paused")["scope"] == "all"
    post(warden, "/api/resume", {"all": True})
    finish(p)
    assert events(ended(warden, id))[:2] == ["paused", "asked"]


def test_of_what_was_withdrawn_and_of_what_the_warden_left(warden):
    p, id = held(warden)
    p.kill()
    finish(p)
    s = ended(warden, id)
    assert events(s) == ["asked", "waiting", "withdrawn"] and one(s, "withdrawn")["words"]
    p = warden.popen("sleep", "60")
    id = wait_for(lambda: [r for r in get(warden, "/api/running").json if r["state"] == "running"], what="it runs")[0]["id"]
    wait_for(lambda: [r for r in rows(warden) if r["id"] == id], what="its decision is in the index")
    warden.kill()
    warden.start()
    finish(p)
    s = ended(warden, id)
    assert events(s)[:2] == ["asked", "allowed"] and events(s)[-1] == "interrupted"


def test_secrets_stay_masked_and_long_ones_are_cut(make_warden):
    w = make_warden(POLICY + "redact: ['token=[a-z0-9]+']\n")
    p, id = held(w, "git", "log", "token=abc", *["y" * 100] * 500)
    viewer = post(w, "/api/tokens", {"role": "viewer", "name": "v"}).json["token"]
    assert get(w, f"/api/queue/{id}", token=viewer).status == 200
    s = story(w, id, token=viewer)
    assert "token=abc" not in str(s) and "seen" not in events(s)  # what a viewer saw was brief
    post(w, f"/api/queue/{id}/deny")
    finish(p)
    s = ended(w, id)
    assert "token=abc" not in str(s) and s["shortened"] and len(str(s)) < 60000 and s["request"]["args"] is None


@pytest.mark.parametrize("id", [NO_SUCH_ID, "x", "0191", "%00", "..", "' OR 1=1 --".replace(" ", "%20")])
def test_of_nothing(warden, id):
    a = get(warden, f"/api/history/{id}")
    assert a.status in (400, 404) and a.code in ("not_found", "bad_request")
    assert get(warden, f"/api/history/{NO_SUCH_ID}", token="", tcp=True).status == 401


def test_rebuilding_the_index_loses_nothing_of_it(warden):
    p, id = held(warden)
    get(warden, f"/api/queue/{id}")
    post(warden, "/api/pause", {"all": True})
    post(warden, "/api/resume", {"all": True})
    post(warden, f"/api/queue/{id}/approve")
    finish(p)
    before = ended(warden, id)
    post(warden, "/api/history/rebuild")
    wait_for(lambda: get(warden, f"/api/history/{id}").status == 200 and story(warden, id) == before, what="it is as before")


def test_the_command_line_shows_it(warden):
    p, id = held(warden)
    out = warden.cli("history", id[-8:], check=True).stdout
    assert "waiting" in out and id in out
    warden.approve(id)
    finish(p)
    ended(warden, id)
    lines = warden.cli("history", id[-8:], check=True).stdout.splitlines()
    assert [x.split()[2] for x in lines[4:]][:3] == ["asked", "waiting", "seen"], lines
    assert warden.cli("history", NO_SUCH_ID).returncode == 1
    assert warden.cli("history", "zzzz").returncode == 1 and "newest 1000" in warden.cli("history", "zzzz").stderr
    assert warden.cli("history", id, "--limit", "3").returncode == 2
