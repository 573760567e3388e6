# SPDX-License-Identifier: MIT
"""What a hostile peer can send to the API: each shape is refused or bounded, nothing behind it is served, and
commands go on meanwhile. The framing itself is in test_api.py, TLS in test_tls.py."""
import re
import pathlib
import resource
import subprocess
import sys
import threading
import time

import pytest

from conftest import ROOT
from test_api import Answer, HOST, NO_SUCH_ID, ask, dial, get, raw, read_to_end

ROUTES = [(m, p.replace("{}", NO_SUCH_ID)) for m, p in
          re.findall(r'\{"(GET|POST|DELETE)", "(/[^"]*)", API_ROLE_', (ROOT / "src/api/api.c").read_text())]


# ---- methods, types, paths ----

METHODS = ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "GETX", "X" * 20, "!#$%&'*+-.^_`|~"[:16]]


def test_no_other_method_does_anything(warden):
    for method, path in ((m, p) for m in METHODS for p in sorted({p for _, p in ROUTES})):
        a = ask(warden, method, path, token=warden.token)
        assert a.status in (400, 405), (method, path, a.status)
        if a.status == 405:
            assert "GET" in a.headers["allow"] or "POST" in a.headers["allow"] or "DELETE" in a.headers["allow"]


KINDS = ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "application/jsonp", "application/json-patch+json", "application", "", "application/json, text/plain"]


def test_a_body_of_another_type_is_not_read(warden):
    for kind, (method, path) in ((k, r) for k in KINDS for r in ROUTES):
        if method == "POST":
            a = ask(warden, method, path, b"{}", token=warden.token, headers=[f"Content-Type: {kind}"])
            assert a.status in (400, 415), (path, kind, a.status)


PATHS = [
    "/..", "/../etc/passwd", "/%2e%2e/healthz", "/%2E%2e/", "/.%2e/healthz", "/api/../healthz", "/./healthz", "/api/%2e/status", "//healthz",
    "/api//status", "/healthz/", "/api/status/", "/healthz%00", "/healthz%00.js", "/%00", "/healthz%0d%0aX:%20y", "/healthz%0a", "/HEALTHZ",
    "/healthz;x=1", "/healthz%20", "/healthz%3f", "/healthz%23", "/healthz%2f", "/healthz%5c", "/healthz%", "/healthz%z", "/healthz%2", "/login.html",
    "/accounts.json", "/token", "/api/queue/..%2f..%2ftoken", "/api/queue/%252e%252e", "/api/queue/" + "a" * 129, "/api/queue/a/b", "/" + "a" * 5000,
    "/api/queue/%ff%fe", "/~root", "/\\healthz", "/healthz\\", "*", "healthz", "http:/healthz", "/ü"]


def test_a_path_leads_where_it_says_or_nowhere(warden):
    for path in PATHS:
        a = Answer(raw(warden, b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
        assert a.status in (400, 404, 431), (path, a.status, a.body)
    assert get(warden, "/healthz").status == 200


QUERIES = ["?" + "a=b&" * 40, "?a=%00", "?limit=1&limit=2", "?limit=%ff", "?%00=1", "?limit=" + "9" * 5000, "?id=../..",
                                   "?text=%27%3b--", "?cursor=%2e%2e%2f"]


def test_a_query_is_understood_or_refused(warden):
    for query in QUERIES:
        a = get(warden, "/api/history" + query)
        assert a.status in (200, 400, 431), (query, a.status)
        assert a.status != 200 or a.json["history"] == []


# ---- framing ----

ONCE = ["Host", "Content-Length", "Transfer-Encoding", "Authorization", "Content-Type", "Origin", "Expect", "Upgrade", "Cookie",
                                  "hOST", "content-LENGTH"]


def test_a_header_that_decides_is_there_once(warden):
    for name in ONCE:
        line = f"{name}: 0\r\n".encode()
        host = b"" if name.lower() == "host" else HOST
        a = Answer(raw(warden, b"POST /api/kill HTTP/1.1\r\n" + host + line + line + b"Connection: close\r\n\r\n"))
        assert (a.status, a.code) == (400, "bad_request"), name


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: yes\r\n\r\n"
SHAPES = {
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and a length": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length and chunked": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "chunked with a tab": b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in capitals": b"TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n",
    "x-chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "behind a bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "behind a bare return": b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
    "signed length": b"Content-Length: +0\r\n\r\n",
    "negative length": b"Content-Length: -1\r\n\r\n",
    "length with a unit": b"Content-Length: 0b\r\n\r\n",
    "length in parts": b"Content-Length: 0 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "no length": b"Content-Length:\r\n\r\n",
    "length beyond 64 bits": b"Content-Length: 18446744073709551616\r\n\r\n",
    "NUL in a name": b"Content\0-Length: 0\r\n\r\n",
    "no colon": b"Content-Length\r\n\r\n",
    "no name": b": 0\r\n\r\n",
}


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_nothing_hides_behind_a_request_of_two_meanings(warden, tcp):
    for shape, text in SHAPES.items():
        answer = raw(warden, b"POST /api/kill HTTP/1.1\r\n" + HOST + text + SMUGGLED, tcp)
        assert re.findall(rb"HTTP/1\.1 (\d+)", answer) in ([b"400"], [b"411"]), (shape, answer)


def test_what_is_too_large_is_refused(warden):
    sizes = {"one header": b"X: " + b"y" * 20000 + b"\r\n", "many": b"".join(b"X%d: y\r\n" % n for n in range(120)),
             "a cookie": b"Cookie: a=" + b"b" * 5000 + b"\r\n", "cookies": b"Cookie: " + b"a=b; " * 50 + b"\r\n",
             "a name": b"X" * 17000 + b": y\r\n", "many large": b"".join(b"X%d: " % n + b"y" * 400 + b"\r\n" for n in range(90))}
    for name, headers in sizes.items():
        a = Answer(raw(warden, b"GET /healthz HTTP/1.1\r\n" + HOST + headers + b"\r\n"))
        assert a.status in (400, 431), (name, a.status)
    a = Answer(raw(warden, b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 100000000\r\n\r\n"))
    assert a.status == 413


# ---- time ----

@pytest.mark.slow
def test_slow_bodies_and_heads_end_and_hold_nobody_up(warden):
    """Forty that send a byte now and then, over TCP: each ends after ten seconds, others are served at once."""
    starts = [b"POST /api/kill HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{", b"GET /healthz HTTP/1.1\r\nX: "]
    slow = [dial(warden, tcp=True, timeout=20) for _ in range(40)]
    begun = time.monotonic()
    for n, s in enumerate(slow):
        s.sendall(starts[n % 2])
    stop = threading.Event()

    def drip():
        while not stop.wait(0.5):
            for s in slow:
                try:
                    s.sendall(b"x")
                except OSError:
                    pass

    t = threading.Thread(target=drip)
    t.start()
    try:
        for _ in range(10):
            start = time.monotonic()
            assert get(warden, "/api/status", token=warden.token).status == 200
            assert time.monotonic() - start < 3
        codes = [Answer(read_to_end(s)).status for s in slow]
    finally:
        stop.set()
        t.join()
    assert set(codes) == {408} and 8 < time.monotonic() - begun < 16
    for s in slow:
        s.close()


# ---- numbers ----

IDLE = 10000
HOLDER = """
import resource, select, socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, n + 100), hard))
held = []
for i in range(n):
    s = socket.socket()
    s.bind((f"127.0.{1 + i // 5000}.{1 + i % 200}", 0))  # two hundred addresses and more: one has a bound of its own
    s.connect(("127.0.0.1", port))
    held.append(s)
print("held", flush=True)
sys.stdin.read()
"""


def latencies(w, n=60):
    took = []
    for _ in range(n):
        start = time.monotonic()
        assert w.run("true").returncode == 0
        took.append(time.monotonic() - start)
    took.sort()
    return took[n // 2], took[-max(1, n // 100) - 1]


def limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.timing
def test_ten_thousand_idle_connections_are_bounded_and_commands_go_on(warden):
    assert limit() > IDLE + 100, "needs more descriptors: ulimit -Hn"
    port = warden.api_url.rsplit(":", 1)[1]
    latencies(warden, 10)
    before = latencies(warden)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, port, str(IDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        meanwhile = latencies(warden)
        fds = len(list(pathlib.Path(f"/proc/{warden.pid}/fd").iterdir()))
        assert fds < 400, fds
        assert get(warden, "/api/status", token=warden.token).status == 200
    finally:
        holder.communicate("", timeout=30)
    print(f"shim with {IDLE} idle connections: p50 {meanwhile[0] * 1e3:.1f} ms ({meanwhile[0] / before[0]:.2f}x), "
          f"p99 {meanwhile[1] * 1e3:.1f} ms ({meanwhile[1] / before[1]:.2f}x)")
    assert meanwhile[0] < 3 * before[0] + 0.01


LOADER = """
import socket, sys, threading
port, token = int(sys.argv[1]), sys.argv[2]
request = f"GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer {token}\\r\\n\\r\\n".encode()
done = [0] * 8
def load(i):
    s = socket.create_connection(("127.0.0.1", port))
    while True:
        s.sendall(request)
        if not s.recv(65536):
            return
        done[i] += 1
threads = [threading.Thread(target=load, args=(i,), daemon=True) for i in range(8)]
[t.start() for t in threads]
print("loading", flush=True)
sys.stdin.read()
print(sum(done), flush=True)
"""


@pytest.mark.timing
def test_a_loaded_api_leaves_commands_alone(warden):
    """Eight connections that ask as fast as they can."""
    port = warden.api_url.rsplit(":", 1)[1]
    latencies(warden, 10)
    before = latencies(warden)
    loader = subprocess.Popen([sys.executable, "-c", LOADER, port, warden.token], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert loader.stdout.readline() == "loading\n"
    meanwhile = latencies(warden)
    out, _ = loader.communicate("", timeout=30)
    print(f"shim while the API answered {out.strip()} requests: p50 {meanwhile[0] * 1e3:.1f} ms ({meanwhile[0] / before[0]:.2f}x), "
          f"p99 {meanwhile[1] * 1e3:.1f} ms ({meanwhile[1] / before[1]:.2f}x)")
    assert int(out) > 100 and meanwhile[0] < 5 * before[0] + 0.02
