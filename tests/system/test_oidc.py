# SPDX-License-Identifier: MIT
"""Logins at an OpenID provider, which is played here and lies in every way it can. Tokens are signed by jose (libjose),
which also says which signatures hold: a second opinion."""
import base64
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
import time
import urllib.parse

import pytest

from test_access import access_records
from test_api import ask, get
from test_login import Browser

CLIENT, SECRET = "clawrden", "s3cret/with:signs"
ROLES = "admins=admin;reviewers=approver;a=b=viewer"


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def jose(*args, input=None, check=True):
    done = subprocess.run(["jose", *args], input=input, capture_output=True, text=True, timeout=30)
    if check:
        assert done.returncode == 0, (args, done.stderr)
    return done


class Key:
    def __init__(self, alg, kid, bits=None):
        spec = {"alg": alg, "kid": kid} if not bits else {"kty": "RSA", "bits": bits, "alg": alg, "kid": kid}
        self.jwk = json.loads(jose("jwk", "gen", "-i", json.dumps(spec)).stdout)
        self.alg, self.kid = alg, kid
        self.public = {k: v for k, v in self.jwk.items() if k in ("kty", "n", "e", "crv", "x", "y", "alg", "kid")}

    def sign(self, claims, header=None):
        """Of a dict, or of a payload's text."""
        payload = claims if isinstance(claims, str) else json.dumps(claims)
        head = {"alg": self.alg, "kid": self.kid} if header is None else header
        signing = dict(self.jwk)
        return jose("jws", "sig", "-I", "/dev/stdin", "-k", write(signing), "-s", json.dumps({"protected": head}), "-c", input=payload).stdout.strip()


def write(value):
    import tempfile
    f = tempfile.NamedTemporaryFile("w", suffix=".jwk", delete=False, dir=write.dir)
    f.write(json.dumps(value))
    f.close()
    return f.name


class Provider:
    def __init__(self):
        self.keys = [RSA, EC]
        self.codes = {}
        self.make = lambda claims: RSA.sign(claims)
        self.asked = []
        self.discovery = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def answer(self, status, value):
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                outer.asked.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    self.answer(200, {"issuer": outer.url, "authorization_endpoint": outer.url + "/auth", "token_endpoint": outer.url + "/token",
                                      "jwks_uri": outer.url + "/jwks", **outer.discovery})
                elif self.path == "/jwks":
                    self.answer(200, outer.jwks() if callable(getattr(outer, "jwks", None)) else {"keys": [k.public for k in outer.keys]})
                else:
                    self.answer(404, {})

            def do_POST(self):
                outer.asked.append(self.path)
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                code = outer.codes.pop(form.get("code"), None)
                wanted = "Basic " + base64.b64encode(f"{CLIENT}:{urllib.parse.quote(SECRET, safe='')}".encode()).decode()
                challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
                if not code or self.headers["Authorization"] != wanted or challenge != code["challenge"] or form["redirect_uri"] != code["redirect"]:
                    self.answer(400, {"error": "invalid_grant"})
                    return
                self.answer(200, {"access_token": "x", "token_type": "Bearer", "id_token": outer.make(code["claims"])})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module", autouse=True)
def keys(tmp_path_factory):
    global RSA, EC, OTHER, SHORT
    write.dir = str(tmp_path_factory.mktemp("keys"))
    RSA, EC, OTHER = Key("RS256", "r1"), Key("ES256", "e1"), Key("RS256", "r2")


@pytest.fixture
def provider():
    p = Provider()
    yield p
    p.close()


@pytest.fixture
def w(make_warden, provider, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return make_warden(options={"oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_client_secret_file": secret, "oidc_role": ROLES})


def go(w):
    """From the warden to the provider: (parameters there, the browser's cookie)."""
    a = get(w, "/login/oidc", token="")
    assert a.status == 302, a.body
    url, _, query = a.headers["location"].partition("?")
    return url, dict(urllib.parse.parse_qsl(query)), a.headers["set-cookie"].split(";")[0]


def claims(p, q, **more):
    now = int(time.time())
    c = {"iss": p.url, "aud": CLIENT, "sub": "0001", "preferred_username": "zoe", "exp": now + 300, "iat": now, "nonce": q["nonce"],
         "groups": ["reviewers", "others"], **more}
    return {k: v for k, v in c.items() if v is not ...}


def come_back(w, p, q, cookie, c, code="c0de", **query):
    p.codes[code] = {"challenge": q["code_challenge"], "redirect": q["redirect_uri"], "claims": c}
    back = {"code": code, "state": q["state"], "iss": p.url, **query}
    back = {k: v for k, v in back.items() if v is not ...}
    headers = [f"Cookie: {cookie}"] if cookie else []
    return get(w, "/login/oidc/callback?" + urllib.parse.urlencode(back), token="", headers=headers)


def log_in(w, p, **more):
    url, q, cookie = go(w)
    return come_back(w, p, q, cookie, claims(p, q, **more))


def secret_of(a):
    assert a.status == 302, a.body
    page, _, secret = a.headers["location"].partition("#")
    assert page == "/login"
    return secret


# ---- the way ----

def test_a_person_comes_back_with_a_role(w, provider):
    url, q, cookie = go(w)
    assert url == provider.url + "/auth" and q["client_id"] == CLIENT and q["response_type"] == "code" and q["code_challenge_method"] == "S256"
    assert q["redirect_uri"] == w.api_url + "/login/oidc/callback" and len({q["state"], q["nonce"], cookie.split("=")[1]}) == 3
    a = come_back(w, provider, q, cookie, claims(provider, q))
    b = Browser(w, link=secret_of(a))
    assert (b.said["who"], b.said["role"], b.said["method"]) == ("zoe", "approver", "oidc")
    assert b.ask("POST", "/api/policy/reload").status == 403
    assert [r["who"] for r in access_records(w, "login") if r["method"] == "oidc"] == ["zoe"]
    assert get(w, "/api/login", token="").json["ways"] == ["token", "password", "oidc"]


def test_groups_become_the_highest_role(w, provider):
    for groups, role in [(["reviewers", "admins"], "admin"), ("reviewers", "approver"), (["a=b"], "viewer"), ([], None), (["admin"], None),
                                          (..., None), ({"admins": 1}, None), ([["admins"]], None), (["ADMINS"], None), ([1, "admins\0"], None)]:
        a = log_in(w, provider, groups=groups)
        if role is None:
            assert (a.status, a.code) == (403, "oidc")
        else:
            assert Browser(w, link=secret_of(a)).said["role"] == role


def test_names_are_what_a_record_can_hold(w, provider):
    for more, who in [({"preferred_username": "a b"}, "0001"), ({"preferred_username": ..., "email": "z@x.org"}, "0001"),
                                       ({"preferred_username": ..., "email": "z@x.org", "email_verified": True}, "z@x.org"),
                                       ({"preferred_username": "\x1b[2J"}, "0001"), ({"preferred_username": "x" * 65}, "0001")]:
        assert Browser(w, link=secret_of(log_in(w, provider, **more))).said["who"] == who


def test_elliptic_keys_and_audiences_in_a_list(w, provider):
    provider.make = lambda c: EC.sign(c)
    assert log_in(w, provider).status == 302
    assert log_in(w, provider, aud=[CLIENT]).status == 302
    assert log_in(w, provider, aud=[CLIENT, "other"], azp=CLIENT).status == 302


def test_only_the_browser_that_went_comes_back_and_once(w, provider):
    _, q, cookie = go(w)
    _, other_q, other = go(w)
    for bad in (None, other, "clawrden-sso=" + "0" * 64, cookie + "; " + cookie, cookie[:-1]):
        _, q, cookie = go(w)
        a = come_back(w, provider, q, bad if bad != cookie else None, claims(provider, q))
        assert a.status == 403, bad
        assert come_back(w, provider, q, cookie, claims(provider, q)).status == 403  # the state is used up
    _, q, cookie = go(w)
    assert come_back(w, provider, q, cookie, claims(provider, q)).status == 302
    assert come_back(w, provider, q, cookie, claims(provider, q)).status == 403


def test_an_answer_that_is_none_is_refused(w, provider):
    for query in [{"state": ...}, {"state": "x"}, {"state": "0" * 64}, {"code": ...}, {"code": ""}, {"iss": "https://evil.example"},
                                   {"error": "access_denied"}]:
        _, q, cookie = go(w)
        a = come_back(w, provider, q, cookie, claims(provider, q), **query)
        assert (a.status, a.code) == (403, "oidc"), a.body


def test_parameters_that_are_there_twice_are_refused(w, provider):
    _, q, cookie = go(w)
    a = get(w, f"/login/oidc/callback?state={q['state']}&state={q['state']}&code=x", token="", headers=[f"Cookie: {cookie}"])
    assert a.status == 400


def test_a_code_that_the_provider_does_not_know(w, provider):
    _, q, cookie = go(w)
    a = get(w, f"/login/oidc/callback?state={q['state']}&code=unknown", token="", headers=[f"Cookie: {cookie}"])
    assert a.status == 403


# ---- keys ----

def test_keys_change_and_new_ones_are_found(w, provider, monkeypatch):
    assert log_in(w, provider).status == 302
    provider.keys, provider.make = [OTHER], lambda c: OTHER.sign(c)
    # Not before half a minute has passed: a stranger's key name does not make the warden ask more often.
    before = provider.asked.count("/jwks")
    for _ in range(3):
        assert log_in(w, provider).status == 403
    assert provider.asked.count("/jwks") == before


def test_a_key_that_is_new_is_found_later(w, provider):
    assert log_in(w, provider).status == 302
    provider.keys, provider.make = [OTHER], lambda c: OTHER.sign(c)
    end = time.monotonic() + 45
    while log_in(w, provider).status != 302:
        assert time.monotonic() < end
        time.sleep(1)
    provider.make = lambda c: RSA.sign(c)  # and the old one is gone
    assert log_in(w, provider).status == 403


test_a_key_that_is_new_is_found_later = pytest.mark.slow(test_a_key_that_is_new_is_found_later)


def test_keys_that_are_none(w, provider):
    for jwks in [{}, [], {"keys": []}, {"keys": {}}, {"keys": [1, None]}, b"nonsense", b"",
                                  {"keys": [{"kty": "oct", "k": "AAAA", "kid": "r1"}]}]:
        provider.jwks = lambda: jwks
        assert log_in(w, provider).status == 403
    provider.jwks = lambda: {"keys": [RSA.public]}
    assert log_in(w, provider).status == 302


def changed(**more):
    return lambda: {"keys": [{**RSA.public, **more}]}


def test_keys_that_would_take_anything_are_none(w, provider):
    for name, jwks in [
    ("even modulus", lambda: changed(n=RSA.public["n"][:-1] + "A")()), ("exponent 1", changed(e="AQ")), ("even exponent", changed(e="Ag")),
    ("no exponent", changed(e="")), ("padded", lambda: changed(n=RSA.public["n"] + "=")()), ("leading zero", lambda: changed(n="AA" + RSA.public["n"])()),
    ("for encryption", changed(use="enc")), ("for another way", changed(alg="PS256")), ("operations", changed(key_ops=["encrypt"])),
    ("private", changed(d="AQAB")), ("two of a name", lambda: {"keys": [RSA.public, RSA.public]}),
    ("off the curve", lambda: {"keys": [{**EC.public, "kid": "r1", "y": EC.public["x"]}]}), ("another curve", lambda: {"keys": [{**EC.public, "crv": "P-384"}]}),
]:
        provider.jwks = jwks
        assert log_in(w, provider).status == 403
    provider.jwks = lambda: {"keys": [RSA.public]}
    assert log_in(w, provider).status == 302


def test_a_short_key_is_none(w, provider, tmp_path):
    """jose makes none that short, openssl does."""
    for bits, status in ((1024, 403), (2048, 302)):
        key = tmp_path / f"{bits}.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, str(bits)], check=True, capture_output=True, timeout=60)
        modulus = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-modulus"], check=True, capture_output=True, text=True, timeout=60).stdout
        jwk = {"kty": "RSA", "kid": "s", "e": "AQAB", "n": b64(bytes.fromhex(modulus.strip().split("=")[1]))}

        def sign(c):
            text = f"{b64({'alg': 'RS256', 'kid': 's'})}.{b64(c)}"
            sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True, capture_output=True, timeout=60).stdout
            return f"{text}.{b64(sig)}"

        provider.jwks, provider.make = lambda: {"keys": [jwk]}, sign
        assert log_in(w, provider).status == status, bits


def test_a_provider_that_describes_itself_wrongly(w, provider):
    for more in [{"issuer": "https://evil.example"}, {"issuer": ...}, {"token_endpoint": "http://evil.example/token"},
                                  {"jwks_uri": "file:///etc/passwd"}, {"authorization_endpoint": "javascript:alert(1)"}, {"jwks_uri": 1},
                                  {"token_endpoint": "http://127.0.0.1:1@evil.example/"}]:
        provider.discovery = {k: (None if v is ... else v) for k, v in more.items()}
        assert get(w, "/login/oidc", token="").status == 503


def test_a_provider_that_is_away(w, provider):
    provider.close()
    assert get(w, "/login/oidc", token="").status == 503
    assert get(w, "/api/status").status == 200


# ---- hostile tokens ----

def unsigned(head, c, sig=b""):
    return f"{b64(head)}.{b64(c)}.{b64(sig)}"


def der(token):
    head, payload, sig = token.split(".")
    raw = base64.urlsafe_b64decode(sig + "==")
    part = lambda x: b"\x02" + bytes([len(x)]) + x
    r, s = (b"\0" + raw[i:i + 32] for i in (0, 32))
    return f"{head}.{payload}.{b64(b'0' + bytes([len(part(r) + part(s))]) + part(r) + part(s))}"


def with_sig(token, fn):
    head, payload, sig = token.split(".")
    return f"{head}.{payload}.{b64(fn(base64.urlsafe_b64decode(sig + '==')))}"


def hs256(c, key):
    text = f"{b64({'alg': 'HS256', 'kid': 'r1'})}.{b64(c)}"
    return f"{text}.{b64(hmac.new(key, text.encode(), 'sha256').digest())}"


def payload_text(c, extra):
    return json.dumps(c)[:-1] + extra + "}"


R, E = {"alg": "RS256", "kid": "r1"}, {"alg": "ES256", "kid": "e1"}
now = time.time
SIGNATURES = {  # jose refuses these too
    "alg none": lambda c: unsigned({"alg": "none"}, c), "alg None": lambda c: unsigned({"alg": "None", "kid": "r1"}, c),
    "no alg": lambda c: unsigned({"kid": "r1"}, c, b"x"), "no signature": lambda c: unsigned(R, c),
    "HS256 with the modulus": lambda c: hs256(c, RSA.public["n"].encode()), "HS256 with the key as JSON": lambda c: hs256(c, json.dumps(RSA.public).encode()),
    "HS256 with nothing": lambda c: hs256(c, b""),
    "another key of that name": lambda c: OTHER.sign(c, R),
    "signature of another token": lambda c: ".".join(RSA.sign(c).split(".")[:2] + RSA.sign({"a": 1}).split(".")[2:]),
    "changed payload": lambda c: (lambda t: f"{t[0]}.{b64({**c, 'groups': ['admins', 'x']})}.{t[2]}")(RSA.sign(c).split(".")),
    "RSA signature cut": lambda c: with_sig(RSA.sign(c), lambda s: s[:-1]), "RSA signature longer": lambda c: with_sig(RSA.sign(c), lambda s: s + b"\0"),
    "RSA signature zero": lambda c: with_sig(RSA.sign(c), lambda s: bytes(len(s))),
    "RSA signature with a zero before": lambda c: with_sig(RSA.sign(c), lambda s: b"\0" + s),
    "EC signature as DER": lambda c: der(EC.sign(c)), "EC signature zero": lambda c: with_sig(EC.sign(c), lambda s: bytes(64)),
    "EC r zero": lambda c: with_sig(EC.sign(c), lambda s: bytes(32) + s[32:]), "EC s zero": lambda c: with_sig(EC.sign(c), lambda s: s[:32] + bytes(32)),
    "EC s is the order": lambda c: with_sig(EC.sign(c), lambda s: s[:32] + bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
    "EC signature longer": lambda c: with_sig(EC.sign(c), lambda s: s + b"\0"), "EC halves exchanged": lambda c: with_sig(EC.sign(c), lambda s: s[32:] + s[:32]),
}
FORMS = {
    "empty": lambda c: "", "a dot": lambda c: ".", "two parts": lambda c: RSA.sign(c).rsplit(".", 1)[0], "four parts": lambda c: RSA.sign(c) + ".x",
    "padding": lambda c: RSA.sign(c) + "=", "a line feed": lambda c: RSA.sign(c) + "\n", "a blank": lambda c: " " + RSA.sign(c),
    "spare bits": lambda c: (lambda t: t[:-1] + chr(ord(t[-1]) + 1))(RSA.sign(c)), "ordinary base64": lambda c: RSA.sign(c).replace("-", "+").replace("_", "/") + "+",
    "header with jwk": lambda c: OTHER.sign(c, {"alg": "RS256", "jwk": OTHER.public}), "header with jku": lambda c: RSA.sign(c, {**R, "jku": "https://evil.example"}),
    "header with x5u": lambda c: RSA.sign(c, {**R, "x5u": "https://evil.example"}), "header with x5c": lambda c: RSA.sign(c, {**R, "x5c": []}),
    "header with crit": lambda c: f"{b64({**R, 'crit': ['exp']})}." + RSA.sign(c).split(".", 1)[1], "header with b64": lambda c: f"{b64({**R, 'b64': True})}." + RSA.sign(c).split(".", 1)[1],
    "header twice alg": lambda c: b64(b'{"alg":"none","alg":"RS256","kid":"r1"}') + "." + RSA.sign(c).split(".", 1)[1],
    "RS256 with the EC key's name": lambda c: RSA.sign(c, {"alg": "RS256", "kid": "e1"}),
    "unknown kid": lambda c: RSA.sign(c, {"alg": "RS256", "kid": "../r1"}), "kid is a number": lambda c: f"{b64({'alg': 'RS256', 'kid': 1})}." + RSA.sign(c).split(".", 1)[1],
    "kid with a NUL": lambda c: RSA.sign(c, {"alg": "RS256", "kid": "r1\0"}), "another typ": lambda c: RSA.sign(c, {**R, "typ": "at+jwt"}),
    "rs256": lambda c: f"{b64({'alg': 'rs256', 'kid': 'r1'})}." + RSA.sign(c).split(".", 1)[1],
}
CLAIMS = {
    "another issuer": {"iss": "https://evil.example"}, "issuer with a slash": {"iss": lambda p: p.url + "/"}, "no issuer": {"iss": ...}, "issuer in a list": {"iss": lambda p: [p.url]},
    "another audience": {"aud": "other"}, "no audience": {"aud": ...}, "empty audience": {"aud": []}, "audience in part": {"aud": CLIENT + "x"},
    "many audiences": {"aud": [CLIENT, "other"]}, "audience of numbers": {"aud": [CLIENT, 1]}, "another azp": {"azp": "other"}, "azp is a number": {"azp": 1},
    "another nonce": {"nonce": "x"}, "no nonce": {"nonce": ...}, "nonce in a list": {"nonce": ["x"]}, "expired": {"exp": lambda p: int(now()) - 61}, "no exp": {"exp": ...},
    "exp in words": {"exp": "tomorrow"}, "exp never": {"exp": 1e300}, "exp negative": {"exp": -1}, "not yet": {"nbf": lambda p: int(now()) + 120},
    "made tomorrow": {"iat": lambda p: int(now()) + 86400}, "made yesterday": {"iat": lambda p: int(now()) - 86400}, "no iat": {"iat": ...}, "no sub": {"sub": ...},
    "empty sub": {"sub": ""}, "sub is a number": {"sub": 1}, "sub too long": {"sub": "x" * 256},
}


def signed_by_jose(token):
    """Whether jose takes the token with the provider's keys."""
    if token.count(".") != 2:
        return False
    keys = {"keys": [k.public for k in (RSA, EC)]}
    return jose("jws", "ver", "-i", "/dev/stdin", "-k", write(keys), input=token, check=False).returncode == 0


def test_a_signature_that_does_not_hold(w, provider):
    for name in SIGNATURES:
        made = []
        provider.make = lambda c: made.append(SIGNATURES[name](c)) or made[-1]
        a = log_in(w, provider, groups=["admins"])
        assert (a.status, a.code) == (403, "oidc"), (name, a.headers)
        assert not signed_by_jose(made[0]), name
        provider.make = RSA.sign
        assert log_in(w, provider).status == 302


def test_a_token_of_another_form(w, provider):
    for name in FORMS:
        provider.make = FORMS[name]
        assert log_in(w, provider, groups=["admins"]).status == 403, name
    provider.make = RSA.sign
    assert log_in(w, provider).status == 302


def test_a_token_that_is_not_for_us_or_not_now(w, provider):
    for name in CLAIMS:
        more = {k: v(provider) if callable(v) else v for k, v in CLAIMS[name].items()}
        assert log_in(w, provider, **more).status == 403, name
    assert log_in(w, provider).status == 302


def test_a_payload_that_is_no_object(w, provider):
    for payload in ["[]", "1", "", "{", '{"a":1}x', '{"a":"\\ud800"}', '{"a":' * 1000]:
        provider.make = lambda c: RSA.sign(payload)
        assert log_in(w, provider).status == 403


def test_a_claim_that_is_there_twice(w, provider):
    provider.make = lambda c: RSA.sign(payload_text(c, ',"groups":["admins"]'))
    assert log_in(w, provider).status == 403


def test_a_configuration_that_is_wrong_ends_the_start(make_warden, provider):
    for options in [{"oidc_issuer": "http://login.example"}, {"oidc_role": "admins"}, {"oidc_role": "admins=king"}, {"oidc_role": ""}, {"api": "none"},
                                     {"oidc_client_id": ""}]:
        w = make_warden(start=False, options={"oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_role": ROLES, **options})
        assert w.spawn().wait(20) != 0
        w.process = None
        assert "oidc" in w.log() or "issuer" in w.log()


def test_without_a_provider_there_is_no_such_way(warden):
    assert get(warden, "/login/oidc", token="").status == 404
    assert get(warden, "/login/oidc/callback?state=x", token="").status == 404
