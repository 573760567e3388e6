# SPDX-License-Identifier: MIT
"""The HTTP API of a whole warden: framing, logins, order of the checks, answers, and that a governed
command can reach none of it."""
import concurrent.futures
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from conftest import AGENT_GID, AGENT_UID, BIN, POLICY, ROOT, needs_root, wait_for

NO_SUCH_ID = "0191d3f1-aaaa-7bbb-8ccc-0123456789ab"


# ---- a client that can say anything ----

def dial(w, tcp=False, timeout=15):
    if tcp:
        host, port = w.api_url.removeprefix("http://").rsplit(":", 1)
        s = socket.create_connection((host, int(port)), timeout)
    else:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(str(w.api_socket))
    return s


def read_to_end(s):
    data = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def raw(w, data, tcp=False):
    """Everything that comes back until the warden closes."""
    with dial(w, tcp) as s:
        s.sendall(data)
        return read_to_end(s)


class Answer:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def whole(self):
        """The body that came in chunks; AssertionError without the last one."""
        out, rest = b"", self.body
        while True:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size, 16)
            assert rest[n:n + 2] == b"\r\n"
            if n == 0:
                assert rest == b"\r\n"
                return out
            out, rest = out + rest[:n], rest[n + 2:]

    @property
    def unchunked(self):
        return json.loads(self.whole)

    @property
    def code(self):
        return self.json["error"]["code"]


def ask(w, method, path, body=None, token=None, tcp=None, headers=()):
    """One request; over TCP when a token is given ("" for none)."""
    lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
    if not any(h.lower().startswith("host:") for h in headers):
        lines.append("Host: localhost")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines.append(f"Content-Length: {len(data)}")
        if not any(h.lower().startswith("content-type:") for h in headers):
            lines.append("Content-Type: application/json")
    lines += headers
    use_tcp = token is not None if tcp is None else tcp
    return Answer(raw(w, "\r\n".join(lines).encode() + b"\r\n\r\n" + data, use_tcp))


def get(w, path, **kw):
    return ask(w, "GET", path, **kw)


def post(w, path, body=None, **kw):
    return ask(w, "POST", path, body, **kw)


def waiting(w, n=1):
    return wait_for(lambda: (q := get(w, "/api/queue").json) and len(q) >= n and q, what=f"{n} waiting")


def held(w, *argv, **kw):
    """A command that waits: (process, id)."""
    before = {x["id"] for x in get(w, "/api/queue").json}
    p = w.popen(*(argv or ("git", "--version")), **kw)
    fresh = wait_for(lambda: [x["id"] for x in get(w, "/api/queue").json if x["id"] not in before],
                     what="it waits")
    return p, fresh[0]


def finish(p, timeout=20):
    out, err = p.communicate(timeout=timeout)
    return p.returncode, out.decode(), err.decode()


# ---- framing ----

HOST = b"Host: localhost\r\n"
HOSTILE = {
    "two lengths": b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}",
    "two equal lengths": b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\n{}",
    "length and encoding": b"POST /api/kill HTTP/1.1\r\n" + HOST
                           + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "signed length": b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Length: +2\r\n\r\n{}",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "folded": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n Content-Length: 4\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare carriage return": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "escape in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: \x1b[2J\r\n\r\n",
    "blank before the colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length : 0\r\n\r\n",
    "encoded NUL": b"GET /healthz%00x HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded dots": b"GET /api/%2e%2e/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded slash": b"GET /api%2fstatus HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form": b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "another version": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    "version 0.9": b"GET /healthz\r\n\r\n",
    "TLS": bytes.fromhex("16030102000100")  + b"\0" * 64,
    "a method with blanks in it": b"GE T /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "101 headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n",
    "17 KiB of headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 17000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_hostile_framing_is_refused_and_the_connection_closed(warden, tcp):
    for name, data in HOSTILE.items():
        answer = raw(warden, data, tcp)  # ends only because the warden closes
        assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
        assert answer.count(b"Content-Length: ") == 1, (name, answer)  # no second answer
        a = Answer(answer)
        assert a.code == "bad_request" and a.headers["connection"] == "close", name
    assert get(warden, "/healthz").status == 200


def test_transfer_encoding_and_expectations_have_codes_of_their_own(warden):
    chunked = b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert Answer(raw(warden, chunked)).status == 411
    expects = b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert Answer(raw(warden, expects)).status == 417


def test_a_request_hidden_in_a_body_is_not_served(warden):
    inner = b"POST /api/policy/reload HTTP/1.1\r\n" + HOST + b"\r\n"
    outer = (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(inner))
    answer = raw(warden, outer + inner)
    assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 200 ")


def test_pipelined_requests_each_pass_the_gate(warden):
    good = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = raw(warden, good + good + HOSTILE["two hosts"] + good)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"400"]


def test_a_head_that_trickles_ends_after_ten_seconds(warden):
    with dial(warden, tcp=True) as s:
        start = time.monotonic()
        s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        answer = b""
        while time.monotonic() - start < 15:
            try:
                s.sendall(b"x")
            except OSError:
                break
            if select.select([s], [], [], 0.3)[0]:
                answer = read_to_end(s)
                break
        took = time.monotonic() - start
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert 9 < took < 12


def test_five_hundred_idle_connections_are_bounded_and_stall_nobody(warden):
    fds = lambda: len(os.listdir(f"/proc/{warden.pid}/fd"))
    before = fds()
    idle = []
    try:
        for _ in range(500):
            idle.append(dial(warden, tcp=True))
        wait_for(lambda: fds() - before <= 130, what="the rest is turned away")
        assert get(warden, "/api/status").status == 200
        assert get(warden, "/api/status", token=warden.token).status == 200
    finally:
        for s in idle:
            s.close()
    wait_for(lambda: fds() - before <= 5, what="all are closed")


def test_a_flood_of_connections_leaves_commands_alone(warden):
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                with dial(warden, tcp=True) as s:
                    s.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n" * 1)
                    s.recv(100)
            except OSError:
                pass

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(5):
            start = time.monotonic()
            assert warden.run("echo", "hi").stdout == b"hi\n"
            assert time.monotonic() - start < 5
    finally:
        stop.set()
        for t in threads:
            t.join()


# ---- who ----

def test_health_needs_no_login_and_nothing_else_does_without(warden):
    for path in ("/healthz", "/readyz"):
        a = get(warden, path, token="")
        assert a.status == 200, a.body
    for method, path in (("GET", "/metrics"), ("GET", "/api/status"), ("GET", "/api/queue"),
                         ("GET", "/api/history"), ("POST", "/api/kill"), ("GET", "/api/no-such-thing"),
                         ("POST", f"/api/queue/{NO_SUCH_ID}/approve"), ("DELETE", "/api/queue")):
        a = ask(warden, method, path, token="")
        assert (a.status, a.code) == (401, "unauthorized"), (path, a.body)
        assert a.headers["www-authenticate"].startswith("Bearer")


def test_the_token_opens_tcp_and_only_the_token(warden):
    assert stat.S_IMODE((warden.state / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(warden.api_socket.stat().st_mode) == 0o600
    assert get(warden, "/api/status", token=warden.token).status == 200
    wrong = warden.token[:-1] + ("A" if warden.token[-1] != "A" else "E")
    for bad in (wrong, "x", warden.token + "x", warden.token[4:]):
        assert get(warden, "/api/status", token=bad).status == 401
    assert get(warden, "/api/status", tcp=True, headers=["Authorization: Basic YWRtaW46YWRtaW4="]).status == 401
    assert warden.token not in warden.log()


def test_wrong_tokens_are_limited_but_never_lock_out_the_right_one(warden):
    codes = [get(warden, "/api/status", token="clw_wrong").status for _ in range(15)]
    assert codes[:10] == [401] * 10 and codes[-1] == 429
    assert get(warden, "/api/status", token=warden.token).status == 200


def test_the_token_survives_a_restart(warden):
    token = warden.token
    warden.restart()
    assert get(warden, "/api/status", token=token).status == 200


@needs_root
def test_other_users_do_not_reach_the_socket(warden):
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(warden.api_socket)!r})"
    done = subprocess.run([sys.executable, "-c", code], user=AGENT_UID, group=AGENT_GID, extra_groups=[],
                          capture_output=True, text=True)
    assert "PermissionError" in done.stderr


def test_another_host_name_and_another_site_are_refused(warden):
    t = warden.token
    assert get(warden, "/healthz", token=t, headers=["Host: evil.example"]).status == 421
    assert get(warden, "/healthz", token=t, headers=["Host: 127.0.0.1.evil.example"]).status == 421
    a = post(warden, "/api/policy/reload", token=t, headers=["Origin: http://evil.example"])
    assert (a.status, a.code) == (403, "origin")


def test_what_others_could_reach_is_not_bound(make_warden):
    w = make_warden(start=False, options={"api": "0.0.0.0:0"})
    assert w.spawn().wait(20) != 0
    w.process = None
    assert "no TLS" in w.log()


AGENT_CLIENT = r"""
import socket, sys
path, id, token = sys.argv[1:4]
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(path)
except OSError as e:
    print("connect:", e)
    sys.exit()
auth = f"Authorization: Bearer {token}\r\n" if token else ""
s.sendall(f"POST /api/queue/{id}/approve HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}\r\n".encode())
print(s.recv(65536).decode())
"""


def test_a_governed_command_cannot_answer_not_even_as_the_wardens_own_user(make_warden):
    w = make_warden(POLICY + "  - {command: python3, action: allow}\n")
    p, id = held(w)
    for token in ("", w.token):
        done = w.run("python3", "-c", AGENT_CLIENT, str(w.api_socket), id, token)
        assert done.stdout.startswith(b"HTTP/1.1 401 "), done
    # In a session and as a daemon of its own it is still the same tree.
    daemon = f"import os, sys\nif os.fork(): os._exit(0)\nos.setsid()\n{AGENT_CLIENT}"
    done = w.run("python3", "-c", daemon, str(w.api_socket), id, "")
    assert b"HTTP/1.1 200" not in done.stdout, done
    assert [x["id"] for x in get(w, "/api/queue").json] == [id]
    assert post(w, f"/api/queue/{id}/deny").status == 200
    assert finish(p)[0] == 126


@needs_root
def test_a_peer_in_another_namespace_cannot_answer(warden):
    p, id = held(warden)
    for flag in ("--pid", "--user"):
        done = subprocess.run(["unshare", "--fork", flag, sys.executable, "-c", AGENT_CLIENT,
                               str(warden.api_socket), id, ""], capture_output=True, text=True, timeout=30)
        assert "HTTP/1.1" in done.stdout or "connect:" in done.stdout, (flag, done.stderr)
        assert "HTTP/1.1 200" not in done.stdout, (flag, done.stdout)
    assert [x["id"] for x in get(warden, "/api/queue").json] == [id]
    post(warden, f"/api/queue/{id}/deny")
    finish(p)


# ---- the order of the checks ----

def test_method_then_body_then_existence(warden):
    path = f"/api/queue/{NO_SUCH_ID}/approve"
    a = ask(warden, "DELETE", path, b"x", headers=["Content-Type: text/plain"])
    assert (a.status, a.headers["allow"]) == (405, "POST")
    a = ask(warden, "PATCH", "/api/queue")
    assert (a.status, a.headers["allow"]) == (405, "GET, HEAD")
    assert post(warden, path, b"{}", headers=["Content-Type: text/plain"]).status == 415
    assert post(warden, path, b"{").code == "bad_body"
    assert post(warden, path, b"[]").code == "bad_body"
    assert post(warden, path, {"surprise": 1}).code == "bad_body"
    assert post(warden, path, b" " * 65537).status == 413
    for body in (None, {}, {"comment": "x"}):
        assert post(warden, path, body).status == 404
    assert get(warden, "/api/queue/not-an-id").status == 404
    assert get(warden, "/api/").status == 404
    assert ask(warden, "HEAD", "/api/status").status == 200


# ---- answers ----

def test_an_approval_lets_it_run_and_is_recorded(warden):
    p, id = held(warden)
    one = get(warden, f"/api/queue/{id}").json
    assert list(one)[0] == "id" and one["command"] == "git" and one["rule"] == "ask-git"
    a = post(warden, f"/api/queue/{id}/approve", {"comment": "fine", "digest": one["digest"]})
    assert (a.status, a.json["id"]) == (200, id)
    code, out, _ = finish(p)
    assert code == 0 and out.startswith("git version")
    record = [r for r in warden.decisions() if r["id"] == id][0]
    assert record["decision"] == "ask-approved" and record["comment"] == "fine" and record["channel"] == "api"
    assert record["approver"] == "root" or os.geteuid() != 0
    late = post(warden, f"/api/queue/{id}/approve")
    assert late.status == 409 and late.json["error"]["id"] == id
    assert get(warden, f"/api/queue/{id}").status == 404


def test_a_denial_is_read_by_the_agent(warden):
    p, id = held(warden)
    assert post(warden, f"/api/queue/{id}/deny", {"comment": "use the mirror"}, token=warden.token).status == 200
    code, _, err = finish(p)
    assert code == 126 and "use the mirror" in err
    assert post(warden, f"/api/queue/{id}/deny").status == 409


def test_an_approval_of_something_else_is_stale(warden):
    p, id = held(warden)
    assert post(warden, f"/api/queue/{id}/approve", {"digest": "0" * 64}).code == "stale"
    assert p.poll() is None
    post(warden, f"/api/queue/{id}/deny")
    finish(p)


def test_an_answer_after_the_deadline_is_late(make_warden):
    w = make_warden(POLICY.replace("approval_timeout: 60s", "approval_timeout: 1s"))
    p, id = held(w)
    code, _, err = finish(p)
    assert code == 126 and "nobody" in err
    assert post(w, f"/api/queue/{id}/approve").status == 409


def test_an_answer_to_what_was_withdrawn_is_late(warden):
    p, id = held(warden)
    p.kill()
    finish(p)
    wait_for(lambda: not get(warden, "/api/queue").json, what="it is withdrawn")
    assert post(warden, f"/api/queue/{id}/approve").status == 409


def test_of_racing_answers_exactly_one_counts(warden):
    for _ in range(5):
        p, id = held(warden)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            verbs = ["approve", "deny"] * 4
            answers = list(pool.map(lambda v: (v, post(warden, f"/api/queue/{id}/{v}").status), verbs))
        won = [v for v, status in answers if status == 200]
        assert len(won) == 1 and all(s in (200, 409) for _, s in answers), answers
        code = finish(p)[0]
        assert (code == 0) == (won == ["approve"])
        assert len([r for r in warden.decisions() if r["id"] == id]) == 1


# ---- what runs ----

def test_running_and_kill(warden):
    p = warden.popen("sleep", "100")
    row = wait_for(lambda: get(warden, "/api/running").json, what="it runs")[0]
    assert list(row)[0] == "id" and row["command"] == "sleep"
    a = post(warden, "/api/kill", {"id": row["id"], "reason": "enough"})
    assert (a.status, a.json["killed"]) == (200, [row["id"]])
    code, _, err = finish(p)
    assert code != 0
    wait_for(lambda: not get(warden, "/api/running").json, what="nothing runs")
    assert warden.wait_ends()
    assert post(warden, "/api/kill", {"id": row["id"]}).status == 409
    assert post(warden, "/api/kill", {"id": NO_SUCH_ID}).status == 404
    assert post(warden, "/api/kill").code == "bad_body"


def test_kill_all(warden):
    ps = [warden.popen("sleep", "100") for _ in range(3)]
    held_one, id = held(warden)
    wait_for(lambda: [x["state"] for x in get(warden, "/api/running").json] == ["running"] * 3, what="three run")
    a = post(warden, "/api/kill", {"all": True, "signal": "KILL"})
    assert a.status == 200 and len(a.json["killed"]) == 4
    for p in ps:
        assert finish(p)[0] == -signal.SIGKILL or p.returncode > 128
    assert get(warden, "/api/queue").json == [] and id in a.json["killed"]
    assert finish(held_one)[0] == 126


def test_a_kill_in_the_middle_of_a_start_ends_as_any_other(warden):
    """Nobody waits for anything here: the kill meets them wherever they are."""
    for i in range(12):
        p = warden.popen("sleep", "100")
        tries = 0
        while p.poll() is None:
            tries += 1
            assert tries < 2000 and post(warden, "/api/kill", {"all": True, "signal": "KILL", "reason": "now"}).status == 200
        status, _, err = finish(p)
        assert status in (-signal.SIGKILL, 128 + signal.SIGKILL), (i, status, err)
    ends = warden.wait_ends(12)
    assert [(e["signal"], e["killed_by"], e["error"]) for e in ends] == [(9, "root", "ended by root: now")] * 12, ends


# ---- history, policy, metrics ----

def test_history_pages_and_filters(warden):
    for i in range(5):
        warden.run("echo", str(i))
    warden.run("rm", "x")
    all_rows = wait_for(lambda: (h := get(warden, "/api/history").json["history"]) and len(h) >= 6 and h)
    assert list(all_rows[0])[0] == "id"
    paged, cursor = [], ""
    for _ in range(10):
        page = get(warden, "/api/history?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        paged += page["history"]
        cursor = page["next"]
        if not cursor:
            break
    assert [r["id"] for r in paged] == [r["id"] for r in all_rows]
    assert len(get(warden, "/api/history?command=echo").json["history"]) == 5
    denied = get(warden, "/api/history?decision=deny").json["history"]
    assert [r["command"] for r in denied] == ["rm"]
    assert [r["id"] for r in get(warden, f"/api/history?id={denied[0]['id']}").json["history"]] == [denied[0]["id"]]
    assert get(warden, "/api/history?uid=12345678").json == {"history": [], "next": None}
    for bad in ("limit=0", "limit=x", "cursor=nonsense", "decision=perhaps", "colour=red", "command=%zz"):
        assert get(warden, f"/api/history?{bad}").status == 400, bad


def test_explain_agrees_with_what_happens(warden):
    """Supposed commands get the verdict that real ones get; asking about one runs and records nothing."""
    for argv in (["ls", "/tmp"], ["rm", "-rf", "x"], ["git", "push"], ["nothing-of-the-kind"]):
        a = post(warden, "/api/policy/explain", {"command": argv[0], "args": argv[1:], "cwd": str(warden.work), "uid": 0})
        assert a.status == 200 and a.json["supposed"] == ["program", "paths"], a.body
        assert warden.decisions() == [] and get(warden, "/api/queue").json == []
        local = json.loads(warden.cli("policy", "explain", "--policy", warden.policy, "--json", "--cwd", warden.work,
                                      "--", *argv, check=True).stdout)
        assert (a.json["verdict"], a.json["rule"]) == (local["verdict"], local["rule"]), argv


def test_explain_of_what_waits_has_its_real_facts(warden):
    p, id = held(warden, "git", "log", "--all")
    a = post(warden, "/api/policy/explain", {"id": id})
    assert a.status == 200 and (a.json["verdict"], a.json["id"], a.json["supposed"]) == ("ask", id, [])
    assert a.json["program"]["path"] == os.path.realpath("/usr/bin/git") and a.json["cwd"] == str(warden.work)
    assert a.body.startswith(b'{"verdict":"ask"') and "ask: git log --all\n" in a.json["text"]
    # By the policy in force, not by the one that asked.
    warden.reload_policy(POLICY.replace("{command: ls,", "{command: dir,"))
    assert post(warden, "/api/policy/explain", {"id": id}).json["policy"]["version"] == \
        get(warden, "/api/policy").json["version"]
    post(warden, f"/api/queue/{id}/deny")
    finish(p)
    gone = post(warden, "/api/policy/explain", {"id": id})
    assert (gone.status, gone.code) == (404, "not_found")


def test_policy_is_shown_and_reloaded(warden):
    shown = get(warden, "/api/policy").json
    assert "ask-git" in [r["name"] for r in shown["rules"]] and shown["error"] is None
    warden.set_policy(POLICY + "  - {name: extra, command: id, action: allow}\n")
    a = post(warden, "/api/policy/reload")
    assert a.status == 200 and a.json["rules"] == len(shown["rules"]) + 1
    assert a.json["version"] != shown["version"]
    warden.set_policy("default_action: deny\nrules:\n  - {comand: ls, action: allow}\n")
    a = post(warden, "/api/policy/reload")
    assert (a.status, a.code) == (422, "policy")
    assert "policy.yaml:3:" in a.json["error"]["message"], a.body
    assert "extra" in [r["name"] for r in get(warden, "/api/policy").json["rules"]]
    assert "policy.yaml:3:" in get(warden, "/api/status").json["policy"]["error"]


def test_metrics_can_be_scraped(warden):
    warden.run("echo", "x")
    warden.run("rm", "x")
    p, id = held(warden)
    warden.wait_ends()
    a = get(warden, "/metrics", token=warden.token)
    assert a.status == 200 and a.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = a.body.decode()
    sample = re.compile(r'[a-z_]+(\{[a-z]+="(\\.|[^"\\\n])*"(,[a-z]+="(\\.|[^"\\\n])*")*\})? [0-9.e+-]+|# (HELP|TYPE) .+')
    for line in text.splitlines():
        assert sample.fullmatch(line), line
    assert 'clawrden_requests_total{command="echo",decision="allow"} 1' in text
    assert re.search(r'clawrden_requests_total\{command="[a-z]+",decision="deny"\} 1', text)
    assert "clawrden_queue_size 1" in text
    assert "clawrden_execution_duration_seconds_count 1" in text
    assert 'clawrden_errors_total{kind="audit"} 0' in text
    post(warden, f"/api/queue/{id}/deny")
    finish(p)


def test_status_is_what_a_strict_reader_accepts(warden):
    def once(pairs):
        keys = [k for k, _ in pairs]
        assert len(keys) == len(set(keys)), keys
        return dict(pairs)

    status = json.loads(get(warden, "/api/status").body, object_pairs_hook=once)
    assert status["ready"] is True and status["waiting"] == 0 and status["policy"]["rules"] == 9


def test_no_byte_of_a_command_reaches_a_terminal_through_the_api(warden):
    p, id = held(warden, "git", "push", "\x1b[2J\x1b]0;x\x07", b"\xff\xfe", "\u202eevil")
    body = get(warden, f"/api/queue/{id}").body
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f\xff]", body)
    assert b"\\u001b" in body
    post(warden, f"/api/queue/{id}/deny")
    finish(p)


def test_the_cli_speaks_over_tcp_and_asks_no_proxy(warden):
    env = {**os.environ, "http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1",
           "CLAWRDEN_TOKEN": warden.token}
    done = subprocess.run([str(BIN / "clawrden"), "--api", warden.api_url, "status", "--json"], env=env,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and json.loads(done.stdout)["pid"] == warden.pid, done
    env.pop("CLAWRDEN_TOKEN")
    done = subprocess.run([str(BIN / "clawrden"), "--api", warden.api_url, "status"], env=env,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "token" in done.stderr


def test_open_answers_end_with_the_warden(warden):
    with dial(warden) as s:
        s.sendall(b"GET /api/status HTTP/1.1\r\n" + HOST + b"\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
        start = time.monotonic()
        assert warden.stop() == 0
        assert time.monotonic() - start < 10
        assert read_to_end(s) == b""


def test_the_page_of_the_api_has_every_route_and_no_other():
    table = (ROOT / "src/api/api.c").read_text()
    routes = set(re.findall(r'\{"(GET|POST|DELETE)", "(/[^"]*)", API_ROLE_', table))
    page = (ROOT / "docs/api.md").read_text()
    assert routes == set(re.findall(r"^### `(GET|POST|DELETE) (/\S*)`$", page, re.M)) and routes
