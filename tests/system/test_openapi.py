# SPDX-License-Identifier: MIT
"""docs/openapi.yaml against the running server: the same paths and methods as the route table, every answer as
its schema says, and no refusal with a code that the file does not know."""
import gzip
import re

import jsonschema
import pytest
import yaml

from conftest import POLICY, ROOT, wait_for
from feed_client import Feed, Socket
from test_api import HOST, Answer, NO_SUCH_ID, ask, finish, get, held, post, raw

SPEC = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
METHODS = ("get", "post", "put", "delete", "patch")


def operations():
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def follow(node):
    while "$ref" in node:
        target = SPEC
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def validator(schema):
    # The components stand beside it, so that "#/components/..." leads there.
    return jsonschema.Draft202012Validator({**schema, "components": SPEC["components"]})


def check(a, method, path):
    """The answer is one that the file has for this path and status; returns its JSON."""
    responses = SPEC["paths"][path][method.lower()]["responses"]
    response = follow(responses.get(str(a.status)) or responses["default"])
    assert a.status < 400 or str(a.status) in responses or "default" in responses
    kind = a.headers["content-type"].split(";")[0]
    schema = response["content"][kind]["schema"]
    value = a.json if kind == "application/json" else a.body.decode()
    problems = [f"{list(e.absolute_path)}: {e.message}" for e in validator(schema).iter_errors(value)]
    assert not problems, (method, path, a.status, problems, value)
    return value


# ---- the file itself ----

def test_it_is_openapi_3_1():
    assert SPEC["openapi"].startswith("3.1.") and SPEC["info"]["title"] and SPEC["info"]["version"]
    seen = set()
    for method, path, op in operations():
        assert op["summary"] and op["operationId"] not in seen and op["responses"], (method, path)
        seen.add(op["operationId"])
        for name in re.findall(r"\{(\w+)\}", path):
            assert any(follow(p)["name"] == name and follow(p)["in"] == "path" for p in SPEC["paths"][path]["parameters"])


def test_every_reference_leads_somewhere_and_every_component_is_used():
    text = (ROOT / "docs/openapi.yaml").read_text()
    refs = set(re.findall(r'\$ref: "(#/[^"]+)"', text))
    for ref in refs:
        follow({"$ref": ref})
    for kind in ("schemas", "responses", "parameters", "requestBodies"):
        for name in SPEC["components"][kind]:
            assert f"#/components/{kind}/{name}" in refs, name
            if kind == "schemas":
                jsonschema.Draft202012Validator.check_schema(SPEC["components"][kind][name])


def test_it_has_every_route_and_no_other():
    table = (ROOT / "src/api/api.c").read_text()
    routes = {(m, p.replace("{}", "{id}"), role) for m, p, role in
              re.findall(r'\{"(GET|POST|DELETE)", "(/[^"]*)", API_ROLE_(\w+),', table)}
    said = set()
    for method, path, op in operations():
        role = re.search(r"Role (\w+)\.", op["summary"])
        assert bool(role) == (op.get("security") != []), path
        said.add((method, path, role[1].upper() if role else "NONE"))
    assert said == routes


def test_the_codes_are_those_of_the_page_and_of_the_source():
    listed = set(SPEC["components"]["responses"]["Refusal"]["content"]["application/json"]["schema"]
                 ["properties"]["error"]["properties"]["code"]["enum"])
    source = "".join(f.read_text() for d in ("src/api", "src/http") for f in sorted((ROOT / d).glob("*.c")))
    sent = set(re.findall(r'(?:call_error|relay_refuse)\([^;]*?\b\d{3}, "([a-z_]+)"', source))
    page = (ROOT / "docs/api.md").read_text()
    assert sent <= listed, sent - listed
    for code in listed:
        assert f"`{code}`" in page, code


# ---- the server ----

def test_every_answer_is_as_the_file_says(warden):
    """One call of each operation that succeeds, and what of it the schema says."""
    done = set()

    def ok(method, path, body=None, query="", **ids):
        a = ask(warden, method, path.format(**ids) + query, body)
        assert a.status == 200, (path, a.body)
        done.add((method, path))
        return check(a, method, path)

    feed, ws = Feed(warden), Socket(warden)
    p, id = held(warden, "git", "commit", "-m", b"caf\xe9".decode("latin-1"))
    for path in ("/healthz", "/readyz", "/metrics", "/api/status", "/api/policy", "/api/policy/text", "/api/policy/loads", "/api/figures",
                 "/api/containers"):
        ok("GET", path)
    assert ok("GET", "/api/queue")[0]["id"] == id
    ok("GET", "/api/queue/{id}", id=id)
    assert ok("POST", "/api/policy/explain", {"id": id})["id"] == id
    ok("POST", "/api/policy/explain", {"command": "rm", "args": ["-rf", "x"], "cwd": "/", "uid": 0})
    ok("POST", "/api/queue/{id}/deny", {"comment": "no", "channel": "test"}, id=id)
    finish(p)
    p, id = held(warden, "git", "--version")
    ok("POST", "/api/queue/{id}/approve", id=id)
    finish(p)
    p = warden.popen("sleep", "60")
    wait_for(lambda: get(warden, "/api/running").json)
    runs = ok("GET", "/api/running")[0]
    assert runs["state"] in ("starting", "running")
    ok("POST", "/api/pause", {"all": True, "resume_after": "1h"})
    assert ok("GET", "/api/status")["paused"][0]["scope"] == "all"
    ok("POST", "/api/resume", {"all": True})
    ok("POST", "/api/kill", {"id": runs["id"], "signal": 9, "reason": "enough"})
    finish(p)
    warden.run("no-such-tool", b"\xff\xfe", cwd="/tmp")
    wait_for(lambda: len(get(warden, "/api/history").json["history"]) == 4 or None, what="all in the history")
    assert len(ok("GET", "/api/history")["history"]) == 4
    page = ok("GET", "/api/history", query="?limit=1")
    assert page["next"] and ok("GET", "/api/history", query=f"?limit=1&cursor={page['next']}")["history"]
    ok("GET", "/api/history/{id}", id=id)
    ok("POST", "/api/policy/reload")
    made = ok("POST", "/api/tokens", {"role": "viewer", "name": "ana", "expires": "1h"})
    assert made["token"] and "token" not in ok("GET", "/api/tokens")[-1]
    ok("DELETE", "/api/tokens/{id}", id=made["id"])
    whole = get(warden, "/api/history/export?command=git")
    assert whole.status == 200 and "chunked" in whole.headers["transfer-encoding"]
    rows = validator({"type": "array", "items": {"$ref": "#/components/schemas/Past"}})
    assert not list(rows.iter_errors(whole.unchunked)) and len(whole.unchunked) == 2
    done.add(("GET", "/api/history/export"))
    ok("POST", "/api/history/rebuild")
    # Streams have no end that ok() could wait for.
    assert feed.status == 200 and "text/event-stream" in feed.head and ws.status == 101
    shape = validator({"$ref": "#/components/schemas/Event"})
    for stream, path in ((feed, "/api/events"), (ws, "/api/ws")):
        names = set()
        while "policy" not in names:
            event = stream.next()
            names.add(event["event"])
            assert not [e.message for e in shape.iter_errors(event)], event
        assert names == {"hello", "queued", "answered", "decided", "started", "ended", "policy", "killed", "paused", "resumed"}
        stream.close()
        done.add(("GET", path))
    ok("POST", "/api/jails", {"name": "tools", "commands": ["npm", "["], "containers": ["build-*"], "mode": "hardened"})
    assert ok("GET", "/api/jails")[0]["name"] == ok("GET", "/api/jails/{id}", id="tools")["name"] == "tools"
    assert ok("POST", "/api/jails/{id}", {"commands": []}, id="tools")["mode"] == "plain"
    ok("DELETE", "/api/jails/{id}", id="tools")
    user = {"name": "ana", "role": "viewer", "password": "correct horse"}
    ok("POST", "/api/users", user)
    ok("GET", "/api/users")
    ok("POST", "/api/users/{id}", {"role": "approver"}, id="ana")
    ok("POST", "/api/login", {"user": "ana", "password": user["password"]})
    ok("POST", "/api/links")
    ok("GET", "/api/session")
    (session,) = ok("GET", "/api/sessions")
    ok("DELETE", "/api/sessions/{id}", id=session["id"])
    ok("DELETE", "/api/users/{id}", id="ana")
    begun = ask(warden, "POST", "/api/login", {"token": warden.token}, token="")
    cookie = begun.headers["set-cookie"].split(";")[0]
    gone = ask(warden, "DELETE", "/api/session", token="", headers=[f"Cookie: {cookie}", f"X-CSRF-Token: {begun.json['csrf']}"])
    assert gone.status == 200
    check(gone, "DELETE", "/api/session")
    done.add(("DELETE", "/api/session"))
    for path in ("/login", "/", "/api/login"):
        ok("GET", path)
    for name in ("app.js", "style.css", "icon.svg", "manifest.webmanifest"):
        ok("GET", "/assets/{id}", id=name)
    done |= {("GET", "/login/oidc"), ("GET", "/login/oidc/callback")}  # test_oidc.py
    assert done == {(m, p) for m, p, _ in operations()}  # and so: nothing was left out


def test_what_is_known_is_not_sent_again_and_what_is_long_is_packed(warden):
    for path in ("/healthz", "/api/policy", "/api/queue", "/login"):
        a = get(warden, path)
        again = get(warden, path, headers=[f"If-None-Match: {a.headers['etag']}"])
        assert (again.status, again.body) == (304, b"") and "304" in SPEC["paths"][path]["get"]["responses"]
    plain = get(warden, "/metrics").body
    packed = get(warden, "/metrics", headers=["Accept-Encoding: br, gzip"])
    assert packed.headers["content-encoding"] == "gzip" and packed.headers["vary"] == "Accept-Encoding"
    assert len(packed.body) < len(plain) / 2 and gzip.decompress(packed.body).startswith(plain[:200])
    assert "content-encoding" not in post(warden, "/api/tokens", {"role": "viewer"}, headers=["Accept-Encoding: gzip"]).headers


def test_a_long_command_is_the_short_form_of_the_file(warden):
    p, id = held(warden, "git", *["x" * 60000] * 3)
    a = get(warden, "/api/queue")
    (short,) = check(a, "GET", "/api/queue")
    assert short["shortened"] is True and short["args_count"] == 3
    check(get(warden, f"/api/queue/{id}"), "GET", "/api/queue/{id}")
    post(warden, f"/api/queue/{id}/deny")
    finish(p)


def test_refusals_are_as_the_file_says(warden):
    p, id = held(warden)
    for method, path, op in operations():
        real = path.replace("{id}", id)
        if op.get("security") != []:
            check(ask(warden, method, real, token="clw_wrong"), method, path)
            check(ask(warden, method, real, tcp=True), method, path)
        a = ask(warden, "PUT", real)
        assert a.status == 405
        check(a, method, path)
        if method == "POST":
            for body in (b"{", b"[]", {"surprise": 1}, b"x" * 70000):
                a = ask(warden, method, real, body)
                assert a.status >= 400, (path, body)
                check(a, method, path)
            check(ask(warden, method, real, b"{}", headers=["Content-Type: text/plain"]), method, path)
        if "{id}" in path:
            check(ask(warden, method, path.replace("{id}", NO_SUCH_ID)), method, path)
    check(post(warden, f"/api/queue/{id}/approve", {"digest": "0" * 64}), "POST", "/api/queue/{id}/approve")
    for query in ("?limit=0", "?surprise=1", "?decision=maybe", "?since=yesterday", "?cursor=x"):
        a = get(warden, "/api/history" + query)
        assert a.status == 400, query
        check(a, "GET", "/api/history")
    post(warden, f"/api/queue/{id}/deny")
    finish(p)
    again = post(warden, f"/api/queue/{id}/approve")
    assert check(again, "POST", "/api/queue/{id}/approve")["error"]["id"] == id
    warden.set_policy(POLICY + "nonsense: 1\n")
    a = post(warden, "/api/policy/reload")
    assert a.status == 422
    check(a, "POST", "/api/policy/reload")
    gate = Answer(raw(warden, b"GET /api/status HTTP/1.1\r\n" + HOST + HOST + b"\r\n"))
    assert gate.status == 400
    check(gate, "GET", "/api/status")


def test_the_examples_of_bodies_are_taken(warden):
    """By the schema, and by the server: not with 400 or 415."""
    tried = 0
    for method, path, op in operations():
        content = follow(op.get("requestBody", {})).get("content", {}).get("application/json", {})
        for name, example in content.get("examples", {}).items():
            validator(content["schema"]).validate(example["value"])
            a = ask(warden, method, path.replace("{id}", NO_SUCH_ID), example["value"])
            assert a.status in (200, 404), (path, name, a.body)
            tried += 1
    assert tried >= 6


def test_what_the_schema_forbids_in_a_body_the_server_refuses(warden):
    schema = SPEC["paths"]["/api/policy/explain"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    bodies = [{}, {"command": "ls"}, {"command": "", "cwd": "/"}, {"command": "ls", "cwd": "x"}, {"id": 1}, {"id": "x", "cwd": "/"},
              {"command": "ls", "cwd": "/", "uid": -1}, {"command": "ls", "cwd": "/", "args": [1]}, {"command": "ls", "cwd": "/", "x": 1}]
    for body in bodies:
        assert not validator(schema).is_valid(body), body
        assert post(warden, "/api/policy/explain", body).status == 400, body
    for body in ({"command": "ls", "cwd": "/"}, {"command": "ls", "cwd": "/", "uid": 4294967294, "args": [], "env": ["A=1"]}):
        assert validator(schema).is_valid(body) and post(warden, "/api/policy/explain", body).status == 200, body


def test_the_parameters_of_history_are_known(warden):
    of = {path: {follow(p)["name"] for p in SPEC["paths"][path]["get"]["parameters"]} for path in ("/api/history", "/api/history/export")}
    source = set(re.findall(r'\{"(\w+)", ASKED_', (ROOT / "src/api/asked.c").read_text()))
    assert of["/api/history"] == source - {"format"}
    assert of["/api/history/export"] == source - {"limit", "cursor", "before"}
    for name in of["/api/history"]:
        value = {"limit": "5", "decision": "deny", "uid": "0", "since": "2026-01-31T08:15:00Z", "until": "2026-01-31T08:15:00Z",
                 "id": NO_SUCH_ID, "exit_code": "0", "signal": "9"}.get(name, "x")
        a = get(warden, f"/api/history?{name}={value}")
        assert a.status == (400 if name in ("cursor", "before") else 200), (name, a.body)
        check(a, "GET", "/api/history")


def test_the_parameters_of_lists_are_known(warden):
    values = {"limit": "5", "cursor": NO_SUCH_ID, "uid": "0", "door": "gate"}
    for path in ("/api/queue", "/api/running"):
        names = {follow(p)["name"] for p in SPEC["paths"][path]["get"]["parameters"]}
        assert names == {"limit", "cursor", "command", "rule", "uid", "container", "door"}
        for name in names:
            a = get(warden, f"{path}?{name}={values.get(name, 'x')}")
            assert a.status == 200 and a.headers["x-total-count"] == "0", (name, a.body)
            check(a, "GET", path)
        for query in ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1&limit=1", "uid=-1", "uid=4294967296", "cursor=", "cursor=x",
                      f"cursor={NO_SUCH_ID}x", "door=window", "rule=a&rule=a", "surprise=1", "command=%00", "command=" + "x" * 5000):
            a = get(warden, f"{path}?{query}")
            assert a.status == 400 and a.code in ("bad_query", "bad_request"), (query, a.body)
            check(a, "GET", path)
