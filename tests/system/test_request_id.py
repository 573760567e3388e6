# SPDX-License-Identifier: MIT
"""Each refusal, of whatever class, has an id of its own, in body and header, that log and records have too; and whose
X-Forwarded-For is believed."""
import re

import pytest

from conftest import POLICY, wait_for
from test_access import access_records, make
from test_api import HOST, NO_SUCH_ID, Answer, ask, dial, finish, get, held, post, raw

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def id_of(a):
    """The id of a refusal, which its header and its body agree on."""
    id = a.json["error"]["request_id"]
    assert ID.fullmatch(id) and a.headers["x-request-id"] == id, a.body
    return id


def test_every_class_of_refusal_has_an_id(warden):
    p, waits = held(warden)
    viewer = make(warden)["token"]
    asked = {
        "bad framing": (400, lambda: Answer(raw(warden, b"GET /api/status HTTP/1.1\r\n" + HOST + HOST + b"\r\n"))),
        "bad body": (400, lambda: post(warden, "/api/kill", b"{")),
        "bad query": (400, lambda: get(warden, "/api/history?surprise=1")),
        "bad list query": (400, lambda: get(warden, "/api/queue?surprise=1")),
        "no login": (401, lambda: get(warden, "/api/status", token="")),
        "wrong login": (401, lambda: get(warden, "/api/status", token="clw_wrong")),
        "role": (403, lambda: post(warden, "/api/kill", {"all": True}, token=viewer)),
        "origin": (403, lambda: post(warden, "/api/kill", {"all": True}, headers=["Origin: https://evil.example"])),
        "no path": (404, lambda: get(warden, "/api/nothing")),
        "no such": (404, lambda: get(warden, f"/api/queue/{NO_SUCH_ID}")),
        "method": (405, lambda: ask(warden, "PUT", "/api/status")),
        "stale": (409, lambda: post(warden, f"/api/queue/{waits}/approve", {"digest": "0" * 64})),
        "chunked": (411, lambda: Answer(raw(warden, b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))),
        "too large": (413, lambda: post(warden, "/api/kill", b"x" * 70000)),
        "long target": (400, lambda: get(warden, "/" + "x" * 17000)),
        "type": (415, lambda: post(warden, "/api/kill", b"{}", headers=["Content-Type: text/plain"])),
        "expect": (417, lambda: Answer(raw(warden, b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n"))),
        "large headers": (400, lambda: get(warden, "/api/status", headers=[f"X-{i}: {'x' * 1000}" for i in range(40)])),
        "host": (421, lambda: get(warden, "/api/status", token=warden.token, headers=["Host: evil.example"])),
        "policy": (422, lambda: (warden.set_policy("nonsense: 1\n"), post(warden, "/api/policy/reload"))[1]),
        "no WebSocket": (426, lambda: get(warden, "/api/ws")),
    }
    seen = []
    for what, (status, call) in asked.items():
        a = call()
        assert a.status == status, (what, a.status, a.body)
        seen.append(id_of(a))
        if what == "stale":
            assert a.json["error"]["id"] == waits
    for _ in range(20):
        last = ask(warden, "POST", "/api/login", {"user": "nobody", "password": "wrong wrong wrong"}, token="")
        if last.status == 429:
            break
    assert last.status == 429
    seen.append(id_of(last))
    assert len(set(seen)) == len(seen)
    warden.set_policy(POLICY)
    post(warden, f"/api/queue/{waits}/deny")
    finish(p)


def test_what_does_not_arrive_in_time_and_what_is_open_at_the_end_has_an_id(warden):
    with dial(warden) as s:
        s.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n")
        late = Answer(s.recv(65536))  # behind the 10 s of a head
        assert late.status == 408
        id_of(late)


def test_what_fails_on_our_side_has_an_id(warden):
    (warden.state / "accounts.json").unlink(missing_ok=True)
    (warden.state / "accounts.json").mkdir()
    a = post(warden, "/api/tokens", {"role": "viewer", "name": "never-saved"})
    (warden.state / "accounts.json").rmdir()
    assert a.status == 500 and a.json["error"]["code"] == "not_saved", a.body
    id_of(a)
    assert "only until the warden ends" in a.json["error"]["message"]


def test_an_id_is_ours_not_the_callers(warden):
    a = get(warden, "/api/nothing", headers=["X-Request-Id: mine", f"X-Request-Id: {NO_SUCH_ID}"])
    assert a.status == 404 and id_of(a) not in ("mine", NO_SUCH_ID)
    good = get(warden, "/api/status")
    assert ID.fullmatch(good.headers["x-request-id"]) and good.headers["x-request-id"] != get(warden, "/api/status").headers["x-request-id"]


def test_records_have_the_id_of_their_call(warden):
    a = get(warden, "/api/status", token="clw_wrong")
    id = id_of(a)
    (r,) = [r for r in access_records(warden, "login-refused") if r["request_id"] == id]
    assert (r["why"], r["path"], r["address"]) == ("credentials", "/api/status", "127.0.0.1")
    made = post(warden, "/api/tokens", {"role": "viewer"})
    assert [r["what"] for r in access_records(warden, "access") if r["request_id"] == made.headers["x-request-id"]] == ["token-created"]
    seen = get(warden, "/api/status", token=made.json["token"])
    assert [r["role"] for r in access_records(warden, "login") if r["request_id"] == seen.headers["x-request-id"]] == ["viewer"]


def test_unavailable_is_in_the_log_with_its_id(make_warden):
    w = make_warden(options={"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": "x", "oidc_role": "g=viewer"})
    a = get(w, "/login/oidc", token="", headers=["Host: 127.0.0.1"])
    assert a.status == 503
    id = id_of(a)
    wait_for(lambda: id in w.log(), what="the log names it")


# ---- who is behind a proxy ----

def refused_from(w, *headers, token="clw_wrong"):
    """The address that a wrong login is recorded with."""
    a = get(w, "/api/status", token=token, headers=headers)
    (r,) = [r for r in access_records(w, "login-refused") if r["request_id"] == id_of(a)]
    return r["address"]


def test_nobody_is_a_proxy_by_itself(warden):
    for header in ("X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9"):
        assert refused_from(warden, header) == "127.0.0.1"


def test_who_is_no_trusted_proxy_is_not_believed(make_warden):
    w = make_warden(options={"trusted_proxy": "192.0.2.0/24"})
    assert refused_from(w, "X-Forwarded-For: 203.0.113.9") == "127.0.0.1"


def test_the_rightmost_hop_that_is_no_proxy_counts(make_warden):
    w = make_warden(options={"trusted_proxy": "127.0.0.1"})
    rows = [(["X-Forwarded-For: 203.0.113.1"], "203.0.113.1"),
            (["X-Forwarded-For: 198.51.100.1, 203.0.113.2"], "203.0.113.2"),
            (["X-Forwarded-For: 203.0.113.3", "X-Forwarded-For: 203.0.113.4"], "203.0.113.4"),
            (["x-forwarded-for: 203.0.113.5, 127.0.0.1"], "203.0.113.5"),
            (["X-Forwarded-For: 2001:db8::7"], "2001:db8::7"),
            (["X-Forwarded-For: [2001:db8:1::8]:4711"], "2001:db8:1::8"),
            (["X-Forwarded-For: nonsense"], "127.0.0.1"),
            (["X-Forwarded-For: 203.0.113.6, \"x"], "127.0.0.1"),
            (["X-Forwarded-For: " + "203.0.113.7," * 500 + "203.0.113.7"], "127.0.0.1"),
            (["X-Forwarded-Proto: https", "Forwarded: for=203.0.113.8"], "127.0.0.1")]
    for headers, address in rows:
        assert refused_from(w, *headers) == address, headers


def test_a_limit_is_of_who_stands_behind_the_proxy(make_warden):
    w = make_warden(options={"trusted_proxy": "127.0.0.1"})

    def login(client):
        return ask(w, "POST", "/api/login", {"token": "clw_wrong"}, token="", headers=[f"X-Forwarded-For: 9.9.9.9, {client}"]).status

    for _ in range(10):
        assert login("203.0.113.1") == 401
    assert login("203.0.113.1") == 429
    assert login("203.0.113.2") == 401  # somebody else is not kept out


def test_x_forwarded_proto_makes_nothing_https(make_warden):
    w = make_warden(options={"trusted_proxy": "127.0.0.1"})
    a = ask(w, "POST", "/api/login", {"token": w.token}, token="", headers=["X-Forwarded-Proto: https"])
    assert a.status == 200 and "Secure" not in a.headers["set-cookie"]
    a = ask(w, "POST", "/api/login", {"token": w.token}, token="", headers=["X-Forwarded-Proto: https", "Origin: https://localhost"])
    assert (a.status, a.code) == (403, "origin")


def test_the_unix_socket_has_no_proxy(make_warden):
    w = make_warden(options={"trusted_proxy": "0.0.0.0/0"})
    a = get(w, "/api/nothing", headers=["X-Forwarded-For: 203.0.113.9"])
    assert a.status == 404
    post(w, "/api/tokens", {"role": "viewer"}, headers=["X-Forwarded-For: 203.0.113.9"])
    assert [r["address"] for r in access_records(w, "access")] == ["uid 0"]


@pytest.mark.parametrize("value", ["localhost", "127.0.0.1/33", "10.0.0.0/", "x"])
def test_a_proxy_that_is_no_address_is_refused_at_the_start(make_warden, value):
    w = make_warden(options={"trusted_proxy": value}, start=False)
    assert w.spawn().wait(20) != 0
    w.process = None
    assert "trusted-proxy" in w.log() and value in w.log()
