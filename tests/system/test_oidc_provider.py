# SPDX-License-Identifier: MIT
"""A login at a provider that is not ours: npm's oidc-provider, of a version that runs on Debian's node, put into the
build folder. Everything that is hostile is in test_oidc.py."""
import html
import re
import subprocess
import urllib.parse

import http.client
import pytest

from conftest import ROOT
from test_api import get
from test_login import Browser

VERSION = "7.14.3"
HERE = ROOT / "tests/system/oidc-provider.js"
FOLDER = ROOT / "build/npm-oidc"


@pytest.fixture(scope="module", autouse=True)
def installed():
    if not (FOLDER / "node_modules/oidc-provider").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", f"oidc-provider@{VERSION}"],
                       cwd=FOLDER, check=True, timeout=300)


class Agent:
    """A browser at the provider: cookies, and redirects followed by hand."""

    def __init__(self, port):
        self.port, self.cookies = port, {}

    def ask(self, method, url, form=None):
        parts = urllib.parse.urlsplit(url)
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        c.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
        a = c.getresponse()
        text = a.read().decode()
        for line in a.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        c.close()
        return a.status, a.headers.get("Location"), text

    def follow(self, url, until, login):
        """Through the provider's pages to an address that begins with `until`."""
        for _ in range(12):
            if url.startswith(until):
                return url
            status, location, text = self.ask("GET", url)
            if not location:
                assert status == 200, text
                action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', text)[1])
                form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
                if 'name="login"' in text:
                    form.update(login=login, password="any")
                status, location, text = self.ask("POST", urllib.parse.urljoin(url, action), form)
            url = urllib.parse.urljoin(url, location)
        raise AssertionError(url)


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_login_at_a_real_provider(make_warden, tmp_path, alg):
    port = free_port()
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-thirty-two-characters\n")
    secret.chmod(0o600)
    back = f"http://127.0.0.1:{port}/login/oidc/callback"
    provider = subprocess.Popen(["node", HERE, FOLDER, back, secret.read_text().strip(), alg], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
    try:
        at = int(provider.stdout.readline().split()[1])
        w = make_warden(options={"api": f"127.0.0.1:{port}", "oidc_issuer": f"http://127.0.0.1:{at}", "oidc_client_id": "clawrden",
                                 "oidc_client_secret_file": secret, "oidc_role": "reviewers=approver"})
        for login, status in (("reviewer", 302), ("guest", 403)):
            a = get(w, "/login/oidc", token="")
            cookie = a.headers["set-cookie"].split(";")[0]
            url = Agent(at).follow(a.headers["location"], back, login)
            a = get(w, url.removeprefix(f"http://127.0.0.1:{port}"), token="", headers=[f"Cookie: {cookie}"])
            assert a.status == status, a.body
            if status == 302:
                said = Browser(w, link=a.headers["location"].split("#")[1]).said
                assert (said["who"], said["role"], said["method"]) == ("reviewer", "approver", "oidc")
    finally:
        provider.communicate("", timeout=20)
