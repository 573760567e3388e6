# SPDX-License-Identifier: MIT
"""The history of a whole warden: what finds what, exports, the index made anew, and that a very long history
costs neither memory nor the others' time."""
import csv
import io
import json
import os
import sqlite3
import time

import pytest

from conftest import POLICY, rss_bytes, wait_for
from test_api import Answer, ask, dial, finish, get, held, post, raw, read_to_end


def rows(w, query=""):
    a = get(w, "/api/history" + query)
    assert a.status == 200, a.body
    return a.json["history"]


@pytest.fixture
def used(make_warden):
    """Some commands of every kind."""
    w = make_warden(POLICY + "redact: ['token=[a-z0-9]+']\n")
    w.run("echo", "hello", "--path=/srv/data")
    w.run("sh", "-c", "exit 7")
    w.run("sh", "-c", "kill -9 $$")
    w.run("rm", "-rf", "build")
    p, id = held(w, "git", "push", "origin")
    post(w, f"/api/queue/{id}/approve", {"approver": "zoe"})
    finish(p)
    p, id = held(w, "git", "log", "token=abc")
    post(w, f"/api/queue/{id}/deny")
    finish(p)
    wait_for(lambda: len([r for r in rows(w) if r["exit_code"] is not None or r["signal"] or r["decision"] in
                          ("deny", "ask-denied")]) == 6, what="all are in the index with their ends")
    return w


ALL = ["git", "git", "rm", "sh", "sh", "echo"]
FILTERS = {
    "command=git": ["git", "git"], "decision=deny": ["rm"], "exit_code=7": ["sh"], "signal=9": ["sh"],
    "rule=no-rm": ["rm"], "rule=pass&command=echo": ["echo"], "approver=ME": ["git", "git"],
    "approver=ME+for+zoe": ["git"], "approver=zoe": [], "arg=push": ["git"], "arg=--path%3D/srv/data": ["echo"],
    "arg=pus": [], "text=hello": ["echo"], "text=SRV+echo": ["echo"], "text=hel": [], "text=hel*": ["echo"],
    "text=push+origin&decision=ask-approved&uid=UID&exit_code=128": ["git"], "text=abc": [], "text=nothing": [],
    "container=": ALL, "container=x": [], "uid=4294967295": [],
    "since=2020-01-01T00:00:00Z": ALL, "until=2020-01-01T00:00:00Z": [],
    "text=git%27%20OR%201%3D1": [], "command=git%27%20OR%20%271%27%3D%271": []}


def test_filters(used):
    me = rows(used, "?decision=ask-denied")[0]["approver"]
    for query, commands in FILTERS.items():
        query = query.replace("ME", me).replace("UID", str(os.getuid()))
        assert [r["command"] for r in rows(used, "?" + query)] == commands, query
        assert [r["command"] for r in get(used, "/api/history/export?" + query).unchunked] == commands, query


WRONG = ["text=---", "text=", "text=" + "+".join(f"w{i}" for i in range(40)), "exit_code=300", "limit=5", "cursor=1",
         "format=xml", "x=1"]


def test_an_export_of_a_wrong_question_is_refused(warden):
    for query in WRONG:
        a = get(warden, "/api/history/export?" + query)
        assert a.status == 400 and a.code == "bad_query", query


def test_exports(used):
    array = get(used, "/api/history/export")
    assert array.headers["content-type"] == "application/json" and "history.json" in array.headers["content-disposition"]
    assert array.unchunked == rows(used)
    lines = get(used, "/api/history/export?format=jsonl").whole.decode().splitlines()
    assert [json.loads(x) for x in lines] == rows(used)
    table = list(csv.DictReader(io.StringIO(get(used, "/api/history/export?format=csv").whole.decode())))
    assert [r["command_line"] for r in table] == [r["command_line"] for r in rows(used)]
    assert [r["exit_code"] for r in table] == ["" if r["exit_code"] is None else str(r["exit_code"]) for r in rows(used)]
    empty = get(used, "/api/history/export?command=none")
    assert empty.unchunked == []
    old = raw(used, b"GET /api/history/export HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b"chunked" not in old and json.loads(old.partition(b"\r\n\r\n")[2]) == rows(used)


def test_a_spreadsheet_computes_nothing(warden):
    for evil in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", '"=1', "a\n=1"):
        warden.run("echo", evil)
        (warden.work / "d").mkdir(exist_ok=True)
    wait_for(lambda: len(rows(warden)) == 8)
    text = get(warden, "/api/history/export?format=csv").whole
    assert not [b for b in text.replace(b"\r\n", b"") if b < 0x20 or b >= 0x7f]
    for r in list(csv.reader(io.StringIO(text.decode())))[1:]:
        for cell in r:
            assert not cell or cell[0] not in "=+@\t\r" and (cell[0] != "-" or cell.lstrip("-").isdigit())


def test_login_comes_first_and_a_viewer_rebuilds_nothing(warden):
    assert get(warden, "/api/history/export", token="", tcp=True).status == 401
    viewer = post(warden, "/api/tokens", {"role": "viewer", "name": "v"}).json["token"]
    assert get(warden, "/api/history/export", token=viewer).status == 200
    assert post(warden, "/api/history/rebuild", token=viewer).status == 403
    assert Answer(raw(warden, b"HEAD /api/history/export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).status == 200


def test_the_index_is_made_anew_from_the_log(used):
    before = rows(used)
    used.stop()
    db = sqlite3.connect(used.state / "index.db")
    db.execute("UPDATE requests SET command_line = 'forged'")
    db.commit()
    db.close()
    used.start()
    assert rows(used)[0]["command_line"] == "forged"
    assert post(used, "/api/history/rebuild").json == {"rebuilding": True}
    wait_for(lambda: rows(used) == before, what="the index is as the log says")
    assert [r["command"] for r in rows(used, "?text=push")] == ["git"]


def test_old_requests_leave_when_told_so(make_warden):
    w = make_warden(options={"history_keep": "1s"})
    w.run("true")
    time.sleep(1.1)
    w.stop()
    w.start()
    wait_for(lambda: rows(w) == [], what="it left the index")
    assert w.decisions()  # and not the log


MANY = 120000


@pytest.fixture
def long_history(make_warden):
    """A warden whose index has very many rows more than its log: the index trusts its mark."""
    w = make_warden()
    w.run("true")
    wait_for(lambda: rows(w))
    w.stop()
    db = sqlite3.connect(w.state / "index.db")
    db.execute("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
        INSERT INTO requests (seq, id, time, door, command, args, command_line, cwd, uid, decision, reason)
        SELECT 1000000 + i, printf('01940000-0000-7000-8000-%012d', i), 1767225600000000000 + i, 'shim', 'make', '["x"]',
               'make ' || hex(randomblob(200)), '/home/agent/project', 1000, 'allow', hex(randomblob(100)) FROM n""", (MANY,))
    db.commit()
    db.close()
    return w.start()


def test_a_long_export_costs_neither_memory_nor_others_their_time(long_history):
    w = long_history
    before, slow = rss_bytes(w.pid), []
    with dial(w) as s:
        s.sendall(b"GET /api/history/export?format=jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got, seen, began, most = 0, b"", time.monotonic(), before
        while not seen.endswith(b"\r\n0\r\n\r\n"):
            piece = s.recv(1 << 20)
            assert piece, "the last chunk is missing"
            got += len(piece)
            seen = (seen + piece)[-16:]
            if got // (20 << 20) != (got - len(piece)) // (20 << 20):  # a look now and then
                most = max(most, rss_bytes(w.pid))
                asked = time.monotonic()
                assert rows(w, "?limit=5")
                slow.append(time.monotonic() - asked)
    speed = got / (time.monotonic() - began) / 1e6
    print(f"{got / 1e6:.0f} MB at {speed:.0f} MB/s, RSS {before / 1e6:.1f} -> {most / 1e6:.1f} MB; pages meanwhile "
          f"{max(slow) * 1e3:.0f} ms at most")
    assert got > MANY * 900 and most < before + 30e6 and speed > 10


def test_a_reader_that_stops_is_cut_off_and_a_revoked_token_ends_it(long_history):
    w = long_history
    token = post(w, "/api/tokens", {"role": "viewer", "name": "v"}).json
    with dial(w, tcp=True) as s, dial(w, tcp=True) as idle:
        for x in (s, idle):
            x.sendall(b"GET /api/history/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                      + token["token"].encode() + b"\r\n\r\n")
        assert s.recv(1000)
        assert ask(w, "DELETE", f"/api/tokens/{token['id']}").status == 200
        data = read_to_end(s)
        assert len(data) < MANY * 900 and not data.endswith(b"0\r\n\r\n")
    assert get(w, "/healthz").status == 200


def test_exports_at_once_are_bounded(long_history):
    w = long_history
    held_open = [dial(w) for _ in range(4)]
    for s in held_open:
        s.sendall(b"GET /api/history/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert s.recv(1000)
    a = get(w, "/api/history/export")
    assert a.status == 503 and a.code == "unavailable" and a.headers["retry-after"]
    for s in held_open:
        s.close()
    wait_for(lambda: get(w, "/api/history/export?limit=1").status == 400
             and get(w, "/api/history/export?command=none").status == 200)
