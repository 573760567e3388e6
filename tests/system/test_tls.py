# SPDX-License-Identifier: MIT
"""TLS of the API: handshakes, certificates that change, clients that are slow or hostile, and addresses that
others can reach; and `clawrden login`, which keeps such addresses."""
import json
import os
import signal
import socket
import ssl
import stat
import struct
import subprocess
import time

import pytest

from conftest import BIN, POLICY, wait_for
from test_api import Answer, finish, read_to_end

HEAD = b"Host: localhost\r\nConnection: close\r\n"


def certificate(dir, name="a", bits=2048, days=2):
    cert, key = dir / f"{name}.pem", dir / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-keyout", key, "-out", cert, "-days", str(days),
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=60)
    key.chmod(0o600)
    return cert, key


@pytest.fixture
def secure(make_warden, tmp_path):
    cert, key = certificate(tmp_path)
    w = make_warden(options={"api_cert": cert, "api_key": key})
    w.cert, w.key = cert, key
    assert w.api_url.startswith("https://127.0.0.1:")
    return w


def port(w):
    return int(w.api_url.rsplit(":", 1)[1])


def context(w, **more):
    c = ssl.create_default_context(cafile=str(w.cert))
    c.check_hostname = False
    for name, value in more.items():
        setattr(c, name, value)
    return c


def plain(w, timeout=15):
    return socket.create_connection(("127.0.0.1", port(w)), timeout)


def wrapped(w, **more):
    return context(w, **more).wrap_socket(plain(w))


def get(w, path="/healthz", s=None, headers=b""):
    with s or wrapped(w) as s:
        s.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HEAD + headers + b"\r\n")
        return Answer(read_to_end(s))


def test_the_api_speaks_tls_and_nothing_older(secure):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert get(secure, s=wrapped(secure, minimum_version=version, maximum_version=version)).status == 200
    token = f"Authorization: Bearer {secure.token}\r\n".encode()
    assert get(secure, "/api/status", headers=token).status == 200
    with pytest.raises((ssl.SSLError, OSError)):
        c = context(secure)
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
        c.wrap_socket(plain(secure))


def test_the_address_is_agreed_to_be_http_1_1(secure):
    c = context(secure)
    c.set_alpn_protocols(["h2", "http/1.1"])
    with c.wrap_socket(plain(secure)) as s:
        assert s.selected_alpn_protocol() == "http/1.1"


def test_http_without_tls_is_told(secure):
    with plain(secure) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n")
        a = Answer(read_to_end(s))
    assert a.status == 400 and "https" in a.json["error"]["message"]


def test_large_answers_and_pipelines_pass_whole(secure):
    ps = [secure.popen("git", "x" * 50000) for _ in range(20)]
    wait_for(lambda: len(secure.queue()) == 20, what="all wait")
    a = get(secure, "/api/queue", headers=f"Authorization: Bearer {secure.token}\r\n".encode())
    assert len(a.json) == 20 and len(a.body) > 1_000_000
    with wrapped(secure) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5 + b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert read_to_end(s).count(b"HTTP/1.1 200 ") == 6
    for p in ps:
        p.kill()
        finish(p)


def test_a_request_may_come_byte_by_byte(secure):
    with wrapped(secure) as s:
        for byte in b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n":
            s.sendall(bytes([byte]))
        assert Answer(read_to_end(s)).status == 200


def test_a_handshake_that_does_not_come_ends(secure):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40  # of 512 bytes
    with plain(secure) as silent, plain(secure) as half, plain(secure) as drip:
        half.sendall(hello)
        start = time.monotonic()
        drip.settimeout(0.2)
        sent = 0
        while time.monotonic() - start < 15:
            try:
                drip.sendall(hello[sent:sent + 1] or b"\0")
                sent += 1
                if drip.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
        took = time.monotonic() - start
        assert read_to_end(silent) == b"" and read_to_end(half) == b""
        assert 8 < took < 13


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\xff\xff" + b"\xff" * 2000, b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\xff" * 5000,
                                  b"\x15\x03\x03\x00\x02\x02\x28", b"\x14\x03\x03\x00\x01\x01" * 100])
def test_junk_ends_its_connection_only(secure, junk):
    with plain(secure) as s:
        s.sendall(junk)
        s.shutdown(socket.SHUT_WR)
        read_to_end(s)
    assert get(secure).status == 200


def test_a_connection_that_is_cut_or_reset_is_forgotten(secure):
    fds = lambda: len(os.listdir(f"/proc/{secure.pid}/fd"))
    before = fds()
    for n in range(50):
        s = wrapped(secure) if n % 2 else plain(secure)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for(lambda: fds() <= before + 2, what="all are closed")
    assert get(secure).status == 200


def test_a_peer_that_takes_nothing_does_not_grow_the_warden(secure):
    """Handshakes and alerts that nobody reads are bounded like answers."""
    with wrapped(secure) as s:
        for _ in range(2000):
            try:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            except OSError:
                break
            s.setblocking(False) if _ == 100 else None
        assert get(secure).status == 200


def test_hangup_reads_the_certificate_anew_and_keeps_it_when_it_is_bad(secure, tmp_path):
    def serial():
        return ssl.get_server_certificate(("127.0.0.1", port(secure)))

    first = serial()
    with wrapped(secure) as old:
        cert, key = certificate(tmp_path, "b")
        secure.cert.write_bytes(cert.read_bytes())
        secure.key.write_bytes(key.read_bytes())
        secure.process.send_signal(signal.SIGHUP)
        second = wait_for(lambda: (s := serial()) != first and s, what="the new certificate")
        old.sendall(b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n")  # goes on
        assert Answer(read_to_end(old)).status == 200
    secure.key.write_text("nonsense")
    secure.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "certificate not read anew" in secure.log(), what="it is refused")
    assert serial() == second and get(secure).status == 200


@pytest.mark.parametrize("what", ["open key", "another key", "no file", "weak", "only one"])
def test_a_certificate_that_cannot_be_used_ends_the_start(make_warden, tmp_path, what):
    cert, key = certificate(tmp_path, bits=1024 if what == "weak" else 2048)
    if what == "open key":
        key.chmod(0o644)
    if what == "another key":
        _, key = certificate(tmp_path, "b")
    if what == "no file":
        cert.unlink()
    w = make_warden(start=False, options={"api_cert": cert, "api_key": None if what == "only one" else key})
    assert w.spawn().wait(20) != 0
    w.process = None
    assert "key" in w.log() or "certificate" in w.log()


def test_addresses_that_others_reach_need_tls_or_a_word(make_warden, tmp_path):
    cert, key = certificate(tmp_path)
    w = make_warden(options={"api": "0.0.0.0:0", "api_cert": cert, "api_key": key})
    w.cert = cert
    assert w.api_url.startswith("https://0.0.0.0:")
    assert get(w).status == 200
    with wrapped(w) as s:  # the certificate has proven the name to a browser
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: warden.example\r\nConnection: close\r\n\r\n")
        assert Answer(read_to_end(s)).status == 200
    bold = make_warden(options={"api": "0.0.0.0:0", "api_insecure": "yes"})
    with socket.create_connection(("127.0.0.1", port(bold)), 10) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: warden.example\r\nConnection: close\r\n\r\n")
        assert Answer(read_to_end(s)).status == 421


def test_cookies_are_secure_under_tls(secure):
    body = json.dumps({"token": secure.token}).encode()
    with wrapped(secure) as s:
        s.sendall(b"POST /api/login HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        a = Answer(read_to_end(s))
    assert a.status == 200 and a.headers["set-cookie"].startswith("__Host-clawrden=") and a.headers["set-cookie"].endswith("; Secure")


def test_the_feed_passes_through_tls(secure):
    with wrapped(secure) as s:
        s.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secure.token.encode() + b"\r\n\r\n")
        data = b""
        while b"event: hello" not in data:
            data += s.recv(65536)
        secure.run("true")
        while b"event: decided" not in data:
            data += s.recv(65536)


# ---- clawrden login ----

def cli(home, *args, **kw):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CLAWRDEN_", "XDG_"))}
    env["HOME"] = str(home)
    env.update(kw.pop("env", {}))
    return subprocess.run([BIN / "clawrden", *map(str, args)], capture_output=True, text=True, env=env, timeout=30,
                          **{"stdin": subprocess.DEVNULL, **kw} if "input" not in kw else kw)


def test_login_keeps_the_address_and_the_token(secure, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = cli(home, "login", "--ca", secure.cert, "--name", "prod", secure.api_url, input=secure.token + "\n")
    assert done.returncode == 0 and "role admin" in done.stdout, done.stderr
    file = home / ".config/clawrden/contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(cli(home, "status", "--json").stdout)["pid"] == secure.pid
    assert "* " in cli(home, "context", "list").stdout and secure.token not in cli(home, "context", "list", "--json").stdout
    assert cli(home, "context", "use", "-").returncode == 0
    assert cli(home, "status", env={"CLAWRDEN_STATE": str(home)}).returncode == 3
    assert json.loads(cli(home, "--context", "prod", "status", "--json").stdout)["pid"] == secure.pid
    assert cli(home, "status", "--json", env={"CLAWRDEN_CONTEXT": "prod"}).returncode == 0
    assert cli(home, "--context", "nobody", "status").returncode == 2
    file.chmod(0o644)
    assert "chmod 600" in cli(home, "--context", "prod", "status").stderr
    file.chmod(0o600)
    assert cli(home, "logout", "prod").returncode == 0
    assert secure.token not in file.read_text()


def test_login_keeps_nothing_that_does_not_work(secure, tmp_path):
    wrong = "clw_" + "A" * 43
    assert cli(tmp_path, "login", "--ca", secure.cert, secure.api_url, input=wrong + "\n").returncode == 3
    assert cli(tmp_path, "login", secure.api_url, input=secure.token + "\n").returncode == 3  # nobody vouches for it
    assert cli(tmp_path, "login", "--ca", secure.cert, "ftp://x", input="x\n").returncode == 2
    assert cli(tmp_path, "login", "--ca", secure.cert, secure.api_url, input="").returncode == 2
    assert cli(tmp_path, "login", "--name", "--x", secure.api_url, input="x\n").returncode == 2
    assert not (tmp_path / ".config").exists()
