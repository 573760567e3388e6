# SPDX-License-Identifier: MIT
"""`clawrden run --api`: the session's dashboard is reached from outside, and its agent, on the same network, has no login."""
import http.client
import json
import os
import re
import socket

import pytest

from conftest import AGENT_UID, BIN, wait_for
from runs import any_run, make_run  # noqa: F401: fixtures

BANNER = re.compile(r"clawrden: dashboard http://127\.0\.0\.1:(\d+); log in by the link of: clawrden --session (\S+) link\n")


def start(r, *argv, **options):
    """The run, the port that its banner names, and what stood before."""
    p = r.popen(*argv, options={"api": "127.0.0.1:0", "name": "dash", **options}, cwd=r.work)
    before = ""
    while not (m := BANNER.search(before)):
        line = p.stderr.readline().decode()
        assert line, before
        before += line
    assert m[2] == options.get("name", "dash")
    return p, int(m[1])


def ask(port, method, path, body=None, **headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request(method, path, json.dumps(body) if body else None, headers)
    a = c.getresponse()
    return a.status, a.read(), a.headers


def test_a_link_opens_the_session_to_who_is_outside(any_run):
    p, port = start(any_run, "sh", "-c", "git push; :")
    any_run.wait_queue()
    assert ask(port, "GET", "/api/status")[0] == 401
    assert ask(port, "GET", "/")[0] == 200
    for args in (["link"], ["--session", "dash", "link"]):  # found as `clawrden queue` finds it
        link = any_run.cli(*args).stdout.strip()
        assert link.startswith(f"http://127.0.0.1:{port}/login#"), link
    status, _, headers = ask(port, "POST", "/api/login", {"link": link.split("#")[1]}, **{"Content-Type": "application/json"})
    assert status // 100 == 2
    status, body, _ = ask(port, "GET", "/api/status", Cookie=headers["Set-Cookie"].split(";")[0])
    said = json.loads(body)
    assert status == 200 and said["session"] == "dash" and said["api"] == f"http://127.0.0.1:{port}" and said["waiting"] == 1
    assert "login" not in (any_run.state / "run/dash/warden.log").read_text()  # no link lies about
    assert any_run.cli("kill", "--all", "--yes").returncode == 0
    p.communicate(timeout=20)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5)


INSIDE = """\
until [ -s port ]; do sleep 0.05; done; read port <port; at=http://127.0.0.1:$port
code() {{ curl -s -o /dev/null -w '%{{http_code}}\\n' "$@"; }}
code $at/healthz; code $at/api/status; code $at/api/queue; code -X POST $at/api/links; code $at/api/ws
code -H 'Authorization: Bearer 0000000000000000000000000000000000000000000' $at/api/status
cat {state}/run/*/token; cat /proc/[0-9]*/root{state}/run/*/token; ls {state}/run/*/api.sock
{clawrden} --api $at link; echo link $?
{clawrden} --session dash link; echo session $?
{clawrden} link; echo any $?
"""


def test_who_is_inside_reaches_the_port_and_gets_no_further(any_run):
    p, port = start(any_run, "sh", "-c", INSIDE.format(state=any_run.state, clawrden=BIN / "clawrden"))
    (any_run.work / "port").write_text(f"{port}\n")
    out, errors = p.communicate(timeout=60)
    assert out.decode().split("\n") == ["200", "401", "401", "401", "401", "401", "link 3", "session 3", "any 3", ""], (out, errors)
    token = (any_run.state / "run/dash/token").read_text().strip()
    assert token and token.encode() not in errors + out
    refused = [x for x in any_run.records() if x["event"] == "login-refused" and x.get("address", "").startswith("127.0.0.1")]
    assert len(refused) >= 5, any_run.records()


def test_a_network_of_its_own_has_no_way_to_the_port(make_run):
    r = make_run()
    p, port = start(r, "sh", "-c", "until [ -s port ]; do sleep 0.05; done; read port <port; curl -s http://127.0.0.1:$port/healthz; echo $?", net="none")
    (r.work / "port").write_text(f"{port}\n")
    assert p.communicate(timeout=30)[0] == b"7\n"  # curl: refused


@pytest.mark.parametrize("api, words", [("0.0.0.0:0", "not on loopback"), ("192.0.2.1:8421", "not on loopback"), ("none", "not on loopback"), ("[::]:0", "not on loopback"),
                                        ("unix:/tmp/x", "not on loopback"), ("127.0.0.1", "no HOST:PORT"), ("127.0.0.1:99999", "no HOST:PORT"), ("127.example.org:80", "no address")])
def test_other_addresses_are_refused_with_words(make_run, api, words):
    done = make_run().run("touch", "started", options={"api": api})
    assert done.returncode == 125 and words in done.stderr and api in done.stderr, done


def test_a_port_that_is_taken_starts_nothing(make_run):
    r = make_run()
    with socket.create_server(("127.0.0.1", 0)) as s:
        done = r.run("touch", "started", options={"api": f"127.0.0.1:{s.getsockname()[1]}"})
    assert done.returncode == 125 and "has the address" in done.stderr and not (r.work / "started").exists(), done


def test_walls_that_show_the_token_are_refused(make_run):
    r = make_run(user=AGENT_UID if os.geteuid() == 0 else None)
    done = r.run("touch", "started", options={"api": "127.0.0.1:0", "walls": "landlock"})
    assert done.returncode == 125 and "--api needs namespaces" in done.stderr and not (r.work / "started").exists(), done


def test_a_token_of_a_session_before_opens_nothing(make_run):
    r = make_run()
    done = r.sh(f"cat {r.state}/run/dash/token", options={"name": "dash", "walls": "landlock"})
    old = done.stdout.decode().strip()
    assert old and old == (r.state / "run/dash/token").read_text().strip()
    p, port = start(r, "sh", "-c", "touch up; sleep 100")
    wait_for(lambda: (r.work / "up").exists(), 20, "it runs")
    new = (r.state / "run/dash/token").read_text().strip()
    assert ask(port, "GET", "/api/status", Authorization=f"Bearer {old}")[0] == 401
    assert ask(port, "GET", "/api/status", Authorization=f"Bearer {new}")[0] == 200
    r.cli("kill", "--all", "--yes")
    p.communicate(timeout=20)


def test_without_it_nothing_listens(make_run):
    r = make_run()
    p = r.popen("sh", "-c", "touch up; sleep 100", options={"name": "quiet"})
    wait_for(lambda: (r.work / "up").exists(), 20, "it runs")
    done = r.cli("link")
    assert done.returncode == 1 and "socket only" in done.stderr, done
    assert json.loads(r.cli("status", "--json").stdout)["api"] is None
    r.cli("kill", "--all", "--yes")
    p.communicate(timeout=20)
