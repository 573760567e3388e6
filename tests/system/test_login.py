# SPDX-License-Identifier: MIT
"""Passwords, sessions of browsers, links: what begins them, what they may, what ends them."""
import base64
import concurrent.futures
import re
import time

import pytest

from conftest import POLICY, wait_for
from feed_client import Feed
from test_access import access_records, make
from test_api import NO_SUCH_ID, ask, finish, get, held, post

PASSWORD = "correct horse battery"


def add_user(w, name="ana", role="approver", password=PASSWORD):
    a = post(w, "/api/users", {"name": name, "role": role, "password": password})
    assert a.status == 200, a.body
    return a.json


def basic(name="ana", password=PASSWORD):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def log_in(w, body, headers=()):
    return post(w, "/api/login", body, token="", headers=list(headers))


class Browser:
    """A session: its cookie and its token against other pages."""

    def __init__(self, w, **credentials):
        self.w = w
        a = log_in(w, credentials)
        assert a.status == 200, a.body
        self.said = a.json
        self.csrf = a.json["csrf"]
        self.set_cookie = a.headers["set-cookie"]
        self.cookie = self.set_cookie.split(";")[0]

    def ask(self, method, path, body=None, csrf=True, headers=()):
        headers = [*headers, f"Cookie: {self.cookie}"] + ([f"X-CSRF-Token: {self.csrf}"] if csrf else [])
        a = ask(self.w, method, path, body, token="", headers=headers)
        if "set-cookie" in a.headers:
            self.cookie = a.headers["set-cookie"].split(";")[0]
        return a


# ---- passwords ----

def test_a_password_is_a_login_with_its_users_role(warden):
    add_user(warden)
    for _ in range(2):  # looked at, then known
        a = get(warden, "/api/session", tcp=True, headers=[basic()])
        assert (a.status, a.json["who"], a.json["role"], a.json["method"]) == (200, "ana", "approver", "password")
    assert post(warden, f"/api/queue/{NO_SUCH_ID}/deny", {}, tcp=True, headers=[basic()]).status == 404
    assert post(warden, "/api/policy/reload", tcp=True, headers=[basic()]).status == 403
    assert [r["who"] for r in access_records(warden, "login") if r["method"] == "password"] == ["ana"]
    text = (warden.state / "accounts.json").read_text()
    assert PASSWORD not in text and "$argon2id$v=19$m=65536,t=3,p=1$" in text
    assert PASSWORD not in warden.log() and PASSWORD not in warden.audit.read_text()


def test_the_password_that_is_known_costs_no_second_look(warden):
    add_user(warden)
    get(warden, "/api/status", tcp=True, headers=[basic()])
    cpu = lambda: sum(map(int, open(f"/proc/{warden.pid}/stat").read().rsplit(")")[1].split()[11:13]))
    before = cpu()
    for _ in range(50):
        assert get(warden, "/api/status", tcp=True, headers=[basic()]).status == 200
    assert cpu() - before < 100  # a second; fifty looks would be five


def test_wrong_passwords_and_unknown_users_are_alike(warden):
    add_user(warden)
    for header in (basic(password="wrong horse"), basic("nobody"), basic("nobody", "x"), "Authorization: Basic !!"):
        a = get(warden, "/api/status", tcp=True, headers=[header])
        assert (a.status, a.code, a.json["error"]["message"]) == (401, "unauthorized", "these credentials are not right")
    assert {r["who"] for r in access_records(warden, "login-refused")} == {"ana", "nobody", None}


@pytest.mark.timing
def test_unknown_users_take_as_long_as_known_ones(make_warden):
    def median(name):
        took = []
        for n in range(5):
            start = time.monotonic()
            assert log_in(w, {"user": name, "password": "wrong horse"}).status == 401
            took.append(time.monotonic() - start)
        return sorted(took)[2]

    w = make_warden()
    add_user(w)
    known, unknown = median("ana"), median("nobody")
    assert 0.4 < known / unknown < 2.5, (known, unknown)


def test_an_address_may_be_wrong_ten_times_a_minute_and_is_then_not_looked_at(warden):
    add_user(warden)
    add_user(warden, "bob", password="another password")
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        guesses = pool.map(lambda n: log_in(warden, {"user": "ana", "password": f"guess number {n}"}).status, range(10))
        assert list(guesses) == [401] * 10
    a = log_in(warden, {"user": "ana", "password": PASSWORD})
    assert (a.status, a.code) == (429, "too_many_failures") and a.headers["retry-after"]
    assert get(warden, "/api/status", tcp=True, headers=[basic("bob", "another password")]).status == 429
    # Nobody is counted who presents nothing, and a token is never locked out.
    assert get(warden, "/api/status", token="").status == 401
    assert get(warden, "/api/status", token=warden.token).status == 200
    assert access_records(warden, "login-refused")[-1]["why"] in ("too-many", "credentials")


def test_right_passwords_are_not_counted(warden):
    add_user(warden)
    for _ in range(12):
        assert log_in(warden, {"user": "ana", "password": PASSWORD}).status == 200


def test_requests_without_credentials_are_not_counted(warden):
    add_user(warden)
    for _ in range(50):
        assert get(warden, "/api/status", token="").status == 401
    assert log_in(warden, {"user": "ana", "password": PASSWORD}).status == 200


def test_a_flood_of_logins_stalls_no_command_and_no_reader(warden):
    """Also at once: two are looked at, some wait, the rest is refused."""
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        flood = [pool.submit(log_in, warden, {"user": f"u{n}", "password": "wrong horse"}) for n in range(40)]
        start = time.monotonic()
        assert warden.run("echo", "hi").stdout == b"hi\n"
        assert get(warden, "/api/status").status == 200
        assert time.monotonic() - start < 5
        codes = [f.result().status for f in flood]
    assert set(codes) <= {401, 429, 503} and codes.count(401) <= 10, codes


@pytest.mark.parametrize("body", [
    {}, {"name": "ana"}, {"name": "ana", "role": "viewer"}, {"name": "ana", "role": "viewer", "password": "short"},
    {"name": "a b", "role": "viewer", "password": PASSWORD}, {"name": "", "role": "viewer", "password": PASSWORD},
    {"name": "ana", "role": "king", "password": PASSWORD}, {"name": "ana", "role": "viewer", "password": "x" * 1025},
    {"name": "a:b", "role": "viewer", "password": PASSWORD}, {"name": "ana", "role": "viewer", "password": "nul\0in the middle"},
])
def test_a_user_that_is_not_understood_is_not_made(warden, body):
    assert post(warden, "/api/users", body).code == "bad_body"
    assert get(warden, "/api/users").json == []


def test_users_change_and_go(warden):
    add_user(warden)
    assert post(warden, "/api/users", {"name": "ana", "role": "admin", "password": PASSWORD}).code == "exists"
    b = Browser(warden, user="ana", password=PASSWORD)
    assert b.ask("GET", "/api/session").status == 200
    assert post(warden, "/api/users/ana", {"role": "viewer"}).json["role"] == "viewer"
    assert b.ask("GET", "/api/session").status == 401
    assert get(warden, "/api/session", tcp=True, headers=[basic()]).json["role"] == "viewer"
    assert post(warden, "/api/users/ana", {"password": "another password"}).status == 200
    assert get(warden, "/api/session", tcp=True, headers=[basic()]).status == 401
    assert get(warden, "/api/session", tcp=True, headers=[basic(password="another password")]).status == 200
    warden.restart()
    assert get(warden, "/api/session", tcp=True, headers=[basic(password="another password")]).status == 200
    assert ask(warden, "DELETE", "/api/users/ana").status == 200
    assert get(warden, "/api/session", tcp=True, headers=[basic(password="another password")]).status == 401
    for method, body in (("DELETE", None), ("POST", {"role": "viewer"}), ("POST", {"password": PASSWORD})):
        assert ask(warden, method, "/api/users/ana", body).status == 404
    assert [r["what"] for r in access_records(warden, "access")] == ["user-added", "user-changed", "user-changed", "user-deleted"]


def test_the_command_for_users(warden):
    assert warden.cli("user", "add", "--role", "approver", "ana", input=PASSWORD + "\n").returncode == 0
    assert "ana" in warden.cli("user", "list", check=True).stdout
    assert get(warden, "/api/session", tcp=True, headers=[basic()]).json["role"] == "approver"
    assert warden.cli("user", "role", "ana", "viewer").returncode == 0
    assert warden.cli("user", "passwd", "ana", input="another password\n").returncode == 0
    assert get(warden, "/api/session", tcp=True, headers=[basic(password="another password")]).json["role"] == "viewer"
    assert warden.cli("user", "add", "--role", "viewer", "bob", input="short\n").returncode == 1
    assert warden.cli("user", "add", "--role", "viewer", "bob", input="").returncode == 2
    assert warden.cli("user", "add", "bob", input=PASSWORD).returncode == 2
    assert warden.cli("user", "delete", "ana").stdout == "deleted ana\n"


# ---- sessions ----

def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(warden):
    b = Browser(warden, token=warden.token)
    assert re.fullmatch(r"clawrden-\d+=clw_[\w-]{43}; Path=/; HttpOnly; SameSite=Strict", b.set_cookie)
    assert b.said["who"] == "token" and b.said["role"] == "admin" and b.said["expires_at"]
    assert b.ask("GET", "/api/queue", csrf=False).status == 200
    assert "csrf" not in b.ask("GET", "/api/session").json  # a stolen cookie does not find it


def test_a_cookie_alone_changes_nothing(warden):
    b = Browser(warden, token=warden.token)
    p, id = held(warden)
    for headers in ([], ["X-CSRF-Token: x"], ["X-CSRF-Token: "], [f"X-CSRF-Token: {b.csrf}x"]):
        a = b.ask("POST", f"/api/queue/{id}/approve", csrf=False, headers=headers)
        assert (a.status, a.code) == (403, "csrf")
    a = b.ask("POST", f"/api/queue/{id}/approve", headers=["Origin: http://evil.example"])
    assert (a.status, a.code) == (403, "origin")
    assert p.poll() is None
    host = warden.api_url.removeprefix("http://")
    a = b.ask("POST", f"/api/queue/{id}/deny", headers=[f"Host: {host}", f"Origin: http://{host}"])
    assert a.status == 200
    finish(p)
    assert {"csrf", "origin"} <= {r["why"] for r in access_records(warden, "login-refused")}


def test_another_sites_page_cannot_log_in_or_upgrade(warden):
    a = log_in(warden, {"token": warden.token}, ["Origin: http://evil.example"])
    assert (a.status, a.code) == (403, "origin")
    a = get(warden, "/api/status", token=warden.token, headers=["Origin: http://evil.example", "Upgrade: websocket", "Connection: upgrade"])
    assert a.status == 403


def test_logging_out_ends_it(warden):
    b = Browser(warden, token=warden.token)
    cookie = b.cookie
    a = b.ask("DELETE", "/api/session")
    assert a.status == 200 and "Max-Age=0" in a.headers["set-cookie"]
    b.cookie = cookie
    assert b.ask("GET", "/api/session").status == 401
    assert ask(warden, "DELETE", "/api/session").code == "no_session"


def test_sessions_are_listed_and_revoked(warden):
    b, other = Browser(warden, token=warden.token), Browser(warden, token=warden.token)
    listed = get(warden, "/api/sessions").json
    assert {s["id"] for s in listed} == {b.said["session"], other.said["session"]}
    assert [s["current"] for s in b.ask("GET", "/api/sessions").json].count(True) == 1
    assert b.said["session"] in warden.cli("session", "list", check=True).stdout
    assert warden.cli("session", "revoke", b.said["session"]).returncode == 0
    assert b.ask("GET", "/api/session").status == 401
    assert other.ask("GET", "/api/session").status == 200
    assert ask(warden, "DELETE", f"/api/sessions/{b.said['session']}").status == 404
    assert access_records(warden, "access")[-1]["what"] == "session-revoked"
    for cookie in (b.cookie, other.cookie):
        assert cookie.split("=")[1] not in warden.log() + warden.audit.read_text()


def test_a_session_ends_with_the_token_that_began_it(warden):
    made = make(warden, "viewer")
    b = Browser(warden, token=made["token"])
    assert b.ask("GET", "/api/session").json["role"] == "viewer"
    assert b.ask("POST", "/api/kill", {"all": True}).status == 403
    ask(warden, "DELETE", f"/api/tokens/{made['id']}")
    assert b.ask("GET", "/api/session").status == 401
    short = make(warden, "viewer", expires="2s")
    b = Browser(warden, token=short["token"])
    wait_for(lambda: b.ask("GET", "/api/session").status == 401, what="it expires with its token")


def test_sessions_end_when_idle_and_at_their_age(make_warden):
    w = make_warden(options={"session_idle": "1s", "session_max": "3s"})
    idle, busy = Browser(w, token=w.token), Browser(w, token=w.token)
    begun = time.monotonic()
    wait_for(lambda: busy.ask("GET", "/api/session").status == 401, what="the busy one ends at its age")
    assert 2.5 < time.monotonic() - begun < 8
    assert idle.ask("GET", "/api/session").status == 401
    assert get(w, "/api/sessions").json == []


def test_the_number_of_sessions_is_bounded(warden):
    first = Browser(warden, token=warden.token)
    for _ in range(16):
        last = Browser(warden, token=warden.token)
    assert first.ask("GET", "/api/session").status == 401
    assert last.ask("GET", "/api/session").status == 200
    assert len(get(warden, "/api/sessions").json) == 16


@pytest.mark.parametrize("body", [
    {}, {"token": "x", "link": "y"}, {"user": "ana"}, {"password": "x"}, {"token": 1}, {"user": "ana", "password": "x", "token": "y"},
    {"user": "a" * 65, "password": "x"}, {"surprise": 1}])
def test_a_login_that_is_not_understood(warden, body):
    assert log_in(warden, body).code == "bad_body"


def test_wrong_tokens_at_the_login_are_counted(warden):
    codes = [log_in(warden, {"token": "clw_wrong"}).status for _ in range(6)]
    codes += [log_in(warden, {"link": "clw_wrong"}).status for _ in range(6)]
    assert codes == [401] * 10 + [429] * 2
    assert log_in(warden, {"token": warden.token}).status == 200


def test_two_cookies_of_the_name_are_none(warden):
    b = Browser(warden, token=warden.token)
    b.cookie = f"{b.cookie}; {b.cookie}"
    assert b.ask("GET", "/api/session").status == 401


# ---- links and pages ----

def test_the_first_start_prints_a_link_that_logs_in_once(make_warden):
    w = make_warden()
    (line,) = [x for x in w.out_path.read_text().splitlines() if x.startswith("login ")]
    url, _, secret = line.removeprefix("login ").partition("#")
    assert url == w.api_url + "/login" and secret not in w.log()
    b = Browser(w, link=secret)
    assert b.said["role"] == "admin" and b.said["who"] == "admin" and b.said["method"] == "link"
    assert log_in(w, {"link": secret}).status == 401
    w.restart()
    assert "login " not in w.out_path.read_text()
    assert b.ask("GET", "/api/session").status == 401  # sessions end with the warden


def test_a_link_has_the_role_of_who_asked_for_it(warden):
    link = warden.cli("link", check=True).stdout.strip()
    assert Browser(warden, link=link.split("#")[1]).said["role"] == "admin"
    made = make(warden, "viewer", name="eve")
    a = post(warden, "/api/links", token=made["token"])
    b = Browser(warden, link=a.json["link"].split("#")[1])
    assert (b.said["who"], b.said["role"]) == ("eve", "viewer")
    assert b.ask("POST", "/api/links").status == 403  # or it would go on for ever
    assert b.ask("GET", "/api/session").status == 200
    ask(warden, "DELETE", f"/api/tokens/{made['id']}")
    assert b.ask("GET", "/api/session").status == 401  # with what had asked for the link


def test_pages_have_a_strict_policy_and_nothing_inline(warden):
    assert get(warden, "/assets/login.html", token="").status == get(warden, "/assets/nothing.js", token="").status == 404
    for page in ("/login", "/"):
        strict_page(warden, page)
    for path in ("/healthz", "/api/status", "/nothing"):
        assert "frame-ancestors 'none'" in get(warden, path, token="").headers["content-security-policy"]


def strict_page(warden, page):
    a = get(warden, page, token="")
    policy = a.headers["content-security-policy"]
    assert a.status == 200 and a.headers["cache-control"] == "no-cache" and "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy and a.headers["x-frame-options"] == "DENY" and a.headers["referrer-policy"] == "no-referrer"
    text = a.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", text)
    names = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', text))
    assert len(names) >= 3
    for name in names:
        assert get(warden, name, token="").status == 200, name


def test_a_proxys_origin_is_taken_when_it_is_named(make_warden):
    w = make_warden(options={"api_origin": "https://clawrden.example"})
    at = ["Host: clawrden.example", "Origin: https://clawrden.example"]
    a = log_in(w, {"token": w.token}, at)
    assert a.status == 200
    assert re.fullmatch(r"__Host-clawrden=clw_[\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Secure", a.headers["set-cookie"])
    assert log_in(w, {"token": w.token}, ["Host: clawrden.example", "Origin: http://clawrden.example"]).status == 403
    assert get(w, "/healthz", token="", headers=["Host: evil.example"]).status == 421


def test_a_governed_command_cannot_log_in_over_the_socket(make_warden):
    w = make_warden(POLICY + "  - {command: python3, action: allow}\n")
    code = ("import socket,sys\ns = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
            "b = '{\"token\": \"%s\"}' % sys.argv[2]\n"
            "s.sendall(f'POST /api/login HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\n"
            "Content-Length: {len(b)}\\r\\n\\r\\n{b}'.encode())\nprint(s.recv(65536).decode())")
    done = w.run("python3", "-c", code, str(w.api_socket), w.token)
    assert done.stdout.startswith(b"HTTP/1.1 401 "), done


# ---- the feed ----

def test_who_listens_by_a_session_or_a_password_hears_no_more_when_it_ends(warden):
    add_user(warden)
    add_user(warden, "bob", "viewer", "another password")
    b = Browser(warden, user="ana", password=PASSWORD)
    get(warden, "/api/status", tcp=True, headers=[basic("bob", "another password")])
    with Feed(warden, tcp=True, headers=[f"Cookie: {b.cookie}"]) as f, \
            Feed(warden, tcp=True, headers=[basic("bob", "another password")]) as g:
        assert f.next()["event"] == "hello" and g.next()["event"] == "hello"
        assert b.ask("DELETE", "/api/session").status == 200
        assert post(warden, "/api/users/bob", {"role": "approver"}).status == 200
        for feed in (f, g):
            with pytest.raises((EOFError, ConnectionResetError)):
                feed.until("decided")
