# SPDX-License-Identifier: MIT
"""The proxies of packaging/proxy in front of a warden: nginx and Caddy are run with these files (ports and paths
changed), logins, the feed over SSE and WebSocket pass. Traefik is not in Debian: its file is only read."""
import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
import yaml

from conftest import ROOT, wait_for
from test_api import Answer, read_to_end
from test_tls import certificate

PROXY = ROOT / "packaging/proxy"
NAME = "clawrden.example"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    def __init__(self, argv, port, cert, **kw):
        self.port, self.cert = port, cert
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **kw)

        def answers():
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                return self.get("/healthz").status == 200
            except OSError:
                return False

        wait_for(answers, 20, "the proxy answers")

    def dial(self, source=None):
        c = ssl.create_default_context(cafile=str(self.cert))
        c.check_hostname = False
        return c.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 15, source and (source, 0)), server_hostname=NAME)

    def ask(self, method, path, body=b"", headers=(), source=None):
        with self.dial(source) as s:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {NAME}", "Connection: close", *headers]
            if body:
                lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            return Answer(read_to_end(s))

    def get(self, path, headers=()):
        return self.ask("GET", path, headers=headers)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:  # Caddy waits for what is open
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()


def start_nginx(port, upstream, dir):
    cert, key = certificate(dir, NAME)
    text = (PROXY / "nginx.conf").read_text()
    for old, new in (("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("127.0.0.1:8421;", f"127.0.0.1:{upstream};"),
                     ("/etc/ssl/clawrden/cert.pem", str(cert)), ("/etc/ssl/clawrden/key.pem", str(key))):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    temp = "".join(f"{x}_temp_path {dir}/{x};\n" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = dir / "nginx.conf"
    conf.write_text(f"daemon off; pid {dir}/pid; error_log {dir}/error.log;\nevents {{}}\nhttp {{ access_log off;\n{temp}{text}\n}}\n")
    subprocess.run(["/usr/sbin/nginx", "-t", "-c", conf], check=True, capture_output=True, timeout=20)
    return Proxy(["/usr/sbin/nginx", "-c", conf], port, cert)


def start_caddy(port, upstream, dir):
    cert, key = certificate(dir, NAME)
    text = (PROXY / "Caddyfile").read_text()
    for old, new in (("\nclawrden.example {", f"\nhttps://{NAME}:{port} {{\n\ttls {cert} {key}\n\tbind 127.0.0.1"),
                     ("reverse_proxy 127.0.0.1:8421", f"reverse_proxy 127.0.0.1:{upstream}")):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    conf = dir / "Caddyfile"
    conf.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    env = {**os.environ, "HOME": str(dir), "XDG_DATA_HOME": str(dir), "XDG_CONFIG_HOME": str(dir)}
    return Proxy(["caddy", "run", "--adapter", "caddyfile", "--config", str(conf)], port, cert, env=env)


@pytest.fixture(params=[start_nginx, start_caddy], ids=["nginx", "caddy"])
def both(request, make_warden, tmp_path):
    w = make_warden(options={"api_origin": f"https://{NAME}", "trusted_proxy": "127.0.0.1"})
    tmp_path.chmod(0o755)
    p = request.param(free_port(), int(w.api_url.rsplit(":", 1)[1]), tmp_path)
    yield w, p
    p.close()


def test_logins_and_sessions_pass_a_proxy(both):
    w, p = both
    assert p.get("/api/status").status == 401
    assert p.get("/api/status", [f"Authorization: Bearer {w.token}"]).status == 200
    a = p.ask("POST", "/api/login", json.dumps({"token": w.token}).encode(), [f"Origin: https://{NAME}"])
    assert a.status == 200 and a.headers["set-cookie"].startswith("__Host-clawrden=") and "Secure" in a.headers["set-cookie"]
    cookie = [f"Cookie: {a.headers['set-cookie'].split(';')[0]}"]
    assert p.get("/api/session", cookie).json["method"] == "session"
    csrf = [*cookie, f"X-CSRF-Token: {a.json['csrf']}"]
    assert p.ask("DELETE", "/api/session", headers=[*csrf, "Origin: https://evil.example"]).status == 403
    assert p.ask("DELETE", "/api/session", headers=[*csrf, f"Origin: https://{NAME}"]).status == 200
    assert "script-src 'self'" in p.get("/login").headers["content-security-policy"]


def test_the_warden_learns_who_stands_behind_a_proxy(both):
    w, p = both
    for own in ([], ["X-Forwarded-For: 203.0.113.9"], ["X-Forwarded-For: 203.0.113.9, 127.0.0.1"]):
        a = p.ask("GET", "/api/status", headers=["Authorization: Bearer clw_wrong", *own], source="127.0.0.5")
        assert a.status == 401
        (r,) = [r for r in w.records_of("login-refused") if r["request_id"] == a.json["error"]["request_id"]]
        assert r["address"] == "127.0.0.5", own


def test_the_feed_passes_a_proxy_at_once(both):
    w, p = both
    key = base64.b64encode(os.urandom(16)).decode()
    with p.dial() as sse, p.dial() as ws:
        auth = f"Host: {NAME}\r\nAuthorization: Bearer {w.token}\r\n".encode()
        sse.sendall(b"GET /api/events HTTP/1.1\r\n" + auth + b"\r\n")
        ws.sendall(b"GET /api/ws HTTP/1.1\r\n" + auth + f"Origin: https://{NAME}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        seen = {sse: b"", ws: b""}

        def until(s, mark):
            while mark not in seen[s]:
                piece = s.recv(65536)
                assert piece, seen[s]
                seen[s] += piece

        for s in seen:
            until(s, b"hello")
        assert re.match(rb"HTTP/1.1 101 ", seen[ws]) and b"text/event-stream" in seen[sse]
        w.run("true")
        for s in seen:
            until(s, b"decided")


def test_traefiks_file_names_what_is_needed():
    t = yaml.safe_load((PROXY / "traefik.yaml").read_text())
    assert t["http"]["services"]["clawrden"]["loadBalancer"]["passHostHeader"] is True
    assert t["http"]["routers"]["clawrden"]["service"] == "clawrden"
