# SPDX-License-Identifier: MIT
"""Makes the pictures of docs/web-dashboard.md: /usr/bin/python3 -B tests/browser/shots.py. Look at them before they are committed."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from conftest import ROOT, Browser, Tab  # noqa: E402
from conftest_system import Warden  # noqa: E402

POLICY = """\
# What the agents of this host may do.
default_action: deny
allowed_paths: ["/*"]
rules:
  - {name: look, command: ls, action: allow}
  - {name: read, command: cat, action: allow}
  - {name: wait, command: sleep, action: allow}
  - {name: history-is-ours, command: git, args: ["push"], action: ask, reason: "what leaves this host is looked at", approval_timeout: 4m}
  - {name: ask-git, command: git, action: ask, approval_timeout: 10m}
  - {name: downloads, command: curl, action: ask, reason: "fetches from the internet", approval_timeout: 2m}
  - {name: keep-files, command: rm, action: deny, reason: "nothing is deleted here", instead: "move it to /tmp/trash"}
jails:
  - {name: build, commands: [make, npm]}
"""
OUT = ROOT / "docs/web"
PAGES = ["queue", "live", "history", "prisoners", "jails", "policy", "health", "access"]


def main():
    OUT.mkdir(exist_ok=True)
    w = Warden(POLICY)
    b = Browser()
    try:
        (w.dir / "project").mkdir()
        here = w.dir / "project"
        for argv in (["ls", "-la", "/etc"], ["cat", "/etc/hostname"], ["rm", "-rf", "build"], ["ls", "/nowhere"], ["make", "all"]):
            w.run(*argv, cwd=here)
        w.cli("jails", "create", "tools", "npm", "git", "docker", check=True)
        p = w.popen("git", "version")
        w.approve(w.wait_queue(1)[0]["id"], "--comment", "only a look")
        p.wait()
        left = [w.popen("sleep", "300", cwd=here), w.popen("sleep", "86400", cwd=here)]
        for argv in (["git", "push", "--force", "origin", "main"], ["curl", "-fsSL", "https://example.com/install.sh", "-o", "/tmp/in\u200bstall.sh"], ["git", "commit", "-m", "Mend the parser's second pass"],
                     ["git", "status"], ["git", "status"], ["git", "status"]):
            left.append(w.popen(*argv, cwd=here))
            w.wait_queue(len(left) - 2)
        for name, options, pages in (("light", {}, PAGES), ("dark", {"colorScheme": "dark"}, PAGES), ("phone", {"viewport": {"width": 390, "height": 844}, "hasTouch": True, "isMobile": True}, PAGES)):
            t = Tab(b, name, {"viewport": {"width": 1280, "height": 800}, **options})
            t.js("await page.goto(args.url + '/login'); await page.locator('#user').waitFor(); await page.screenshot({path: args.path});", url=w.api_url, path=str(OUT / f"login-{name}.png"))
            t.login(w)
            for page in pages:
                t.js("await page.goto(args.url + '/#/' + args.page); await page.locator(`main[data-page=${args.page}] h1`).waitFor(); await page.waitForTimeout(args.page === 'health' ? 9000 : 900);"
                     "if (args.page === 'history') { await page.locator('tbody button').first().click(); } await page.screenshot({path: args.path});", url=w.api_url, page=page, path=str(OUT / f"{page}-{name}.png"))
            t.close()
        for p in left:
            p.kill()
            p.wait()
    finally:
        b.close()
        w.close()


if __name__ == "__main__":
    main()
