# SPDX-License-Identifier: MIT
"""Who looks and what they may: an organisation's account, each role, and what a page says when it is refused or not heard."""
import subprocess

import pytest

from conftest_system import POLICY
from test_login import add_user
from test_oidc_provider import FOLDER, HERE, free_port, installed  # noqa: F401 -- a fixture
from test_pages import EVIL, PAGES, go
from test_queue import ask, settle

CALL = """return await page.evaluate(async ([path, body]) => (await fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json', 'X-CSRF-Token': localStorage.getItem('clawrden-csrf')},
    body: JSON.stringify(body)})).status, [args.path, args.body]);"""


def test_a_login_with_an_organisations_account(make_warden, tab, tmp_path):
    port = free_port()
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-thirty-two-characters\n")
    secret.chmod(0o600)
    base = f"http://127.0.0.1:{port}"
    provider = subprocess.Popen(["node", HERE, FOLDER, f"{base}/login/oidc/callback", secret.read_text().strip(), "ES256"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        at = int(provider.stdout.readline().split()[1])
        make_warden(options={"api": f"127.0.0.1:{port}", "oidc_issuer": f"http://127.0.0.1:{at}", "oidc_client_id": "clawrden", "oidc_client_secret_file": secret, "oidc_role": "reviewers=approver"})
        tab.js("await page.goto(args.base + '/login'); await page.click('#sso a'); await page.fill('[name=login]', 'reviewer'); await page.fill('[name=password]', 'any'); await page.click('[type=submit]'); await page.click('[type=submit]');"
               "await page.locator('.link-state[data-state=live]').waitFor();", base=base)
        assert tab.text("#person p").split() == ["reviewer", "approver"]
        assert "#" not in tab.js("return page.url();").removesuffix("#/queue")  # the link is not left in the address
        tab.js("page.wrong = page.wrong.filter((x) => !x.includes('fonts.googleapis.com'));")  # the provider's own page wants them
    finally:
        provider.communicate("", timeout=20)


@pytest.mark.parametrize("role", ["viewer", "approver", "operator"])
def test_a_role_has_its_buttons_and_the_warden_refuses_the_rest(warden, make_tab, role):
    add_user(warden, "vic", role)
    p, s = ask(warden, "git", "version"), warden.popen("sleep", "60")
    (q,) = warden.queue()
    tab = make_tab().login(warden, user="vic", password="correct horse battery")
    tab.see("git version", ".card")
    assert tab.count(".btn.approve") == (role != "viewer")
    go(tab, warden, "live")
    tab.see("sleep 60", "tbody")
    assert tab.count("tbody .danger") == (role == "operator")
    go(tab, warden, "prisoners")
    assert tab.count(".page-head .danger") == (role == "operator")
    go(tab, warden, "policy")
    assert tab.count(".page-head .btn") == 0
    go(tab, warden, "access")
    tab.see("Not allowed")
    # What the page does not offer, the warden does not do.
    refused = [("/api/policy/reload", {}), ("/api/tokens", {"role": "admin"})]
    if role != "operator":
        refused += [("/api/kill", {"all": True}), ("/api/pause", {"all": True}), ("/api/resume", {"all": True})]
    if role == "viewer":
        refused += [(f"/api/queue/{q['id']}/approve", {}), (f"/api/queue/{q['id']}/deny", {})]
    for path, body in refused:
        assert tab.js(CALL, path=path, body=body) == 403, path
    assert len(warden.queue()) == 1 and s.poll() is None
    for x in (p, s):
        x.kill()
        x.wait()


def test_whatever_the_warden_says_stays_text(make_warden, tab):
    """Each word of each answer that others may have chosen, names of containers, people and tokens among them, made into markup."""
    w = make_warden(POLICY)
    w.run("rm", "x")
    w.cli("jails", "create", "tools", "npm", check=True)
    p, s = ask(w, "git", "version"), w.popen("sleep", "60")
    tab.js("""
        const fixed = /^(id|state|role|event|time|.*_at|deadline|decision|verdict|scope|action|digest|door|link|csrf|next|method|current|ways)$/;
        const spoil = (v, k) => k === 'container' ? args.evil : typeof v === 'string' ? (fixed.test(k) ? v : args.evil) : Array.isArray(v) ? v.map((x) => spoil(x, k)) : v && typeof v === 'object' ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, spoil(x, k)])) : v;
        await page.route(/\\/api\\/(?!login|ws|events)/, async (route) => {
            const a = await route.fetch();
            if (!/json/.test(a.headers()['content-type'] || '')) return route.fulfill({response: a});
            await route.fulfill({response: a, json: spoil(await a.json(), '')});
        });""", evil=EVIL)
    tab.login(w)
    settle(tab)
    tab.js("await page.locator('.card summary').first().click();")
    for page in PAGES:
        go(tab, w, page)
        if page == "history":
            tab.js("await page.locator('tbody .when').first().click(); await page.locator('.timeline').waitFor();")
        tab.see("<img src=x", "main")
        assert tab.js("return await page.evaluate(() => document.querySelectorAll('main :is(img, script, iframe), #person :is(img, script)').length);") == 0, page
        assert "owned" not in tab.js("return await page.title();")
    for x in (p, s):
        x.kill()
        x.wait()


def test_each_page_says_that_the_warden_is_not_heard_and_comes_back(warden, tab):
    tab.login(warden)
    for page in ("history", "prisoners", "jails", "policy", "health", "access"):
        tab.js("await page.route(/\\/api\\/(history|containers|jails|policy|figures|tokens)/, (r) => r.abort());")
        tab.js("await page.goto(args.url + '/#/' + args.page);", url=warden.api_url, page=page)
        tab.see("Offline", "main .state")
        tab.js("await page.unroute(/\\/api\\/(history|containers|jails|policy|figures|tokens)/); await page.click('text=Try again'); await page.locator('main .state', {hasText: 'Offline'}).waitFor({state: 'detached'});")


def test_a_notification_names_the_command_only(warden, tab):
    tab.js("""await context.grantPermissions(['notifications']);
        await page.addInitScript(() => {
            window.told = [];
            window.Notification = class extends Notification { constructor(...a) { super(...a); window.told.push(a); } };
        });""")
    tab.login(warden)
    tab.js("await page.click('text=Notify me'); await page.locator('text=Notifications on').waitFor(); await page.evaluate(() => Object.defineProperty(document, 'hidden', {get: () => true}));")
    p = ask(warden, "git", "push", "secret")
    told = tab.js("return await page.evaluate(async () => { while (!window.told.length) await new Promise((r) => setTimeout(r, 20)); return window.told; });")
    assert told[0][0] == "git waits for you" and "secret" not in str(told)
    warden.deny(warden.queue()[0]["id"])
    p.wait(20)


def test_it_installs_as_an_app(warden, tab):
    tab.login(warden)
    assert tab.js("const c = await context.newCDPSession(page); return (await c.send('Page.getInstallabilityErrors')).installabilityErrors.map((e) => e.errorId);") in ([], ["in-incognito"])
    said = tab.js("const c = await context.newCDPSession(page); return await c.send('Page.getAppManifest');")
    assert said["errors"] == [] and said["url"].endswith("/assets/manifest.webmanifest")
