# SPDX-License-Identifier: MIT
"""The dashboard in Debian's Chromium, led from here: `tab.js("await page.click('#x')")` runs in node beside the browser,
where `page` is playwright's. Each tab is a browser profile of its own. Whatever a page says on its console as an error,
and whatever its content security policy stops, fails the test.
"""
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
sys.path.insert(0, str(ROOT / "tests/docker-smoke"))
from conftest_system import *  # noqa: E402,F401,F403 -- its fixtures are ours
from conftest_system import pytest_configure, make_warden, wait_for  # noqa: E402,F401

FOLDER = ROOT / "build/npm-browser"
HERE = pathlib.Path(__file__).parent


def install():
    lock = HERE / "package-lock.json"
    mark = FOLDER / "installed"
    if mark.exists() and mark.read_text() == lock.read_text():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, FOLDER / name)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=FOLDER, check=True, timeout=300)
    mark.write_text(lock.read_text())


class Browser:
    def __init__(self):
        install()
        self.process = subprocess.Popen(["node", str(HERE / "driver.js"), str(FOLDER / "node_modules"), shutil.which("chromium")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the browser's driver has ended"
        said = json.loads(line)
        assert "error" not in said, said["error"]
        return said["value"]

    def run(self, code, **args):
        self.process.stdin.write(json.dumps({"code": code, "args": args}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Tab:
    """One page in a profile of its own."""

    def __init__(self, browser, name, options):
        self.browser, self.name = browser, name
        browser.run("""
            const context = await browser.newContext(args.options);
            const page = await context.newPage();
            page.setDefaultTimeout(20000);
            page.wrong = [];
            await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error("Content Security Policy:", e.violatedDirective, e.blockedURI, e.sample)));
            page.on("console", (m) => { if (/Content Security Policy|Refused to/i.test(m.text()) || (m.type() === "error" && !/Failed to load resource|WebSocket connection/.test(m.text()))) page.wrong.push(m.text()); });
            page.on("pageerror", (e) => page.wrong.push(String(e.stack || e)));
            page.on("request", (r) => { if (!/^(https?:\\/\\/(127\\.0\\.0\\.1|localhost)[:/]|data:|blob:)/.test(r.url())) page.wrong.push("asked for " + r.url()); });
            pages[args.name] = page;""", name=name, options=options)

    def js(self, code, **args):
        return self.browser.run("const page = pages[args.tab]; const context = page.context(); " + code, tab=self.name, **args)

    def text(self, selector):
        return self.js("return await page.locator(args.s).first().innerText();", s=selector)

    def count(self, selector):
        return self.js("return await page.locator(args.s).count();", s=selector)

    def see(self, words, selector="body", timeout=20000):
        """Waits until `words` can be read in `selector`."""
        self.js("await page.locator(args.s).filter({hasText: args.w}).first().waitFor({timeout: args.t});", s=selector, w=words, t=timeout)

    def login(self, w, page="queue", **how):
        if not how:
            how = {"token": w.token}
        self.js("""
            await page.goto(args.url + "/login");
            if (args.how.token) { await page.fill("#token", args.how.token); await page.click("#by-token button"); }
            else { await page.fill("#user", args.how.user); await page.fill("#password", args.how.password); await page.click("#by-password button"); }
            await page.locator(".link-state[data-state=live]").waitFor();
            await page.goto(args.url + "/#/" + args.page);
            await page.locator(`main[data-page=${args.page.split("?")[0]}]`).waitFor();""", url=w.api_url, how=how, page=page)
        return self

    def close(self):
        wrong = self.js("const wrong = page.wrong; await page.context().close(); delete pages[args.tab]; return wrong;")
        assert wrong == [], wrong


@pytest.fixture(scope="session")
def browser():
    b = Browser()
    yield b
    b.close()


@pytest.fixture
def make_tab(browser):
    tabs = []

    def make(**options):
        tabs.append(Tab(browser, f"tab{len(tabs)}", {"viewport": {"width": 1280, "height": 860}, **options}))
        return tabs[-1]
    yield make
    for t in tabs:
        t.close()


@pytest.fixture
def tab(make_tab):
    return make_tab()
