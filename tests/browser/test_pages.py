# SPDX-License-Identifier: MIT
"""Every page: it shows what is, it may be used without eyes, and what an agent or a policy writes stays text."""
import pytest

from conftest_system import POLICY, wait_for
from test_queue import ask, settle

PAGES = ["queue", "live", "history", "prisoners", "jails", "policy", "health", "access"]
EVIL = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


def axe(tab):
    return tab.js("""
        await page.evaluate(axe);
        const found = await page.evaluate(() => axe.run(document, {resultTypes: ["violations"]}));
        return found.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary.slice(0, 200)).slice(0, 3)]);""")


def go(tab, w, page):
    tab.js("await page.goto(args.url + '/#/' + args.page); await page.locator(`main[data-page=${args.page.split('?')[0]}] h1`).waitFor(); await page.locator('main .state', {hasText: 'Loading …'}).waitFor({state: 'detached'});", url=w.api_url, page=page)


SMALL = """return await page.evaluate(() => [...document.querySelectorAll('button, a[href], input, select, summary')].filter((e) => e.checkVisibility() && !e.matches('.skip, .brand, p > a'))
    .filter((e) => { const b = e.getBoundingClientRect(); return b.height < 44 || b.width < 44; }).map((e) => e.outerHTML.slice(0, 120)));"""


CUT = """return await page.evaluate(() => [...document.querySelectorAll('#nav > a, #nav > button, .tag, td, th')].filter((e) => e.checkVisibility()).map((e) => [e.textContent, e.getBoundingClientRect()])
    .filter(([, b]) => b.left < 0 || b.right > innerWidth).map(([t]) => t));"""


def test_no_width_overflows_and_fingers_find_everything(warden, make_tab):
    warden.run("ls", "/")
    warden.run("rm", "x" * 400)
    ps = [ask(warden, "git", "push", "--force", "y" * 400), warden.popen("sleep", "60", "z" * 400)]
    tab = make_tab(viewport={"width": 360, "height": 740}, hasTouch=True, isMobile=True).login(warden)
    for page in PAGES:
        go(tab, warden, page)
        if page == "history":
            tab.js("await page.locator('tbody .when').first().tap(); await page.locator('.timeline').waitFor();")
        for width in (3840, 768, 360):
            tab.js("await page.setViewportSize({width: args.w, height: 900});", w=width)
            assert tab.js("return await page.evaluate(() => document.documentElement.scrollWidth);") <= width, (width, page)
        assert tab.js(CUT) == [], page
        assert tab.js(SMALL) == [], page
    for p in ps:
        p.kill()
        p.wait()


def test_the_other_pages_are_behind_more_on_a_phone(warden, make_tab):
    tab = make_tab(viewport={"width": 360, "height": 740}, hasTouch=True, isMobile=True).login(warden)
    assert not tab.js("return await page.locator('#nav a', {hasText: 'Access'}).isVisible();")
    tab.js("await page.locator('#nav-more').tap(); await page.locator('#nav a', {hasText: 'Access'}).tap(); await page.locator('main[data-page=access]').waitFor();")
    assert tab.js("return await page.locator('#nav-more').getAttribute('aria-expanded');") == "false"
    tab.js("await page.locator('#nav-more').focus(); await page.keyboard.press('Enter'); await page.locator('#nav a', {hasText: 'Health'}).waitFor(); await page.keyboard.press('Escape'); await page.locator('#nav a', {hasText: 'Health'}).waitFor({state: 'hidden'});")
    assert tab.js("return await page.evaluate(() => document.activeElement.id);") == "nav-more"


MOVING = """return await page.evaluate(async () => {
    (await import('/assets/toast.js')).toast('a word');
    return [...document.querySelectorAll('*')].map((e) => getComputedStyle(e)).filter((s) => s.animationName !== 'none' || s.transitionDuration.split(', ').some((d) => d !== '0s') || s.scrollBehavior === 'smooth').length; });"""


def test_nothing_moves_for_whom_motion_is_too_much(warden, make_tab):
    p = ask(warden)
    for motion, moves in (("no-preference", True), ("reduce", False)):
        tab = make_tab(reducedMotion=motion).login(warden)
        for page in PAGES:
            go(tab, warden, page)
            assert (tab.js(MOVING) > 0) == moves, page
    p.kill()
    p.wait()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_page_has_no_serious_violation(warden, make_tab, scheme):
    warden.run("ls", "/")
    warden.run("rm", "x")
    ps = [ask(warden, "git", "push", "--force"), warden.popen("sleep", "60")]
    tab = make_tab(colorScheme=scheme, reducedMotion="reduce").login(warden)
    for page in PAGES:
        go(tab, warden, page)
        assert axe(tab) == [], page
    for p in ps:
        p.kill()
        p.wait()


def test_what_is_written_by_others_stays_text(make_warden, tab):
    w = make_warden(POLICY.replace("name: ask-git", f'name: "{EVIL}"').replace("reason: nothing is deleted here", f'reason: "{EVIL}"') + f"# {EVIL}\n")
    folder = w.work / EVIL.replace("/", "_")
    folder.mkdir()
    w.run("rm", EVIL)
    w.run(EVIL.replace("/", "_"))
    p = w.popen("git", EVIL, cwd=folder)
    (q,) = w.wait_queue(1)
    s = w.popen("sleep", "60", EVIL)
    tab.login(w)
    settle(tab)
    for page in [*PAGES, f"policy?id={q['id']}", f"history?text={EVIL}", f"queue?rule={EVIL}"]:
        go(tab, w, page)
        assert tab.js("return await page.evaluate(() => document.querySelectorAll('main img, main script, main iframe').length);") == 0
    go(tab, w, "queue")
    tab.js("await page.fill('.comment', args.e); await page.click('.btn.deny'); await page.locator('.card.over').waitFor();", e=EVIL)
    assert "owned" not in tab.js("return await page.title();")
    tab.see("<img src=x", ".card .end")
    for x in (p, s):
        x.kill()
        x.wait()


def test_live_shows_what_runs_and_kills_it(warden, tab):
    tab.login(warden, "live")
    tab.see("Nothing runs")
    p = warden.popen("sleep", "100")
    tab.see("sleep 100", "tbody")
    tab.js("await page.click('tbody .danger'); await page.waitForTimeout(400); await page.click('tbody .danger');")
    tab.see("Nothing runs")
    assert p.wait(20) != 0


def test_history_searches_and_tells_the_story(warden, tab):
    warden.run("ls", "/")
    warden.run("rm", "precious")
    warden.wait_ends(1)
    tab.login(warden, "history?decision=deny")
    tab.see("rm precious", "tbody")
    assert tab.count("tbody tr") == 1
    tab.js("await page.click('tbody button');")
    tab.see("Denied by the policy", ".timeline")
    tab.see("nothing is deleted here", ".timeline")
    tab.js("await page.selectOption('select[name=decision]', ''); await page.fill('input[name=command]', 'ls'); await page.click('text=Search');")
    tab.see("ls /", "tbody")
    assert "command=ls" in tab.js("return page.url();")
    got = tab.js("const [d] = await Promise.all([page.waitForEvent('download'), page.click('text=CSV')]); return require_text(await d.path());".replace("require_text(await d.path())", "(await (await d.createReadStream()).toArray()).join('')"))
    assert "ls" in got and "precious" not in got


def test_access_makes_and_revokes(warden, tab):
    tab.login(warden, "access")
    tab.see("this one")
    tab.js("const s = page.locator('section[aria-label=Tokens]'); await s.locator('[name=name]').fill('bot'); await s.locator('form button').click();")
    tab.see("Copy it now")
    assert tab.text(".panel[role=status] .cmd").startswith("cl")
    tab.js("const b = page.locator('section[aria-label=Tokens] tr', {hasText: 'bot'}).locator('.danger'); await b.click(); await page.waitForTimeout(400); await b.click(); await page.locator('section[aria-label=Tokens] tr', {hasText: 'bot'}).waitFor({state: 'detached'});")
    assert "bot" not in warden.cli("token", "list").stdout


def test_roles_and_logins(warden, make_tab):
    from test_login import add_user
    add_user(warden, "vic", "viewer")
    p = ask(warden, "git", "version")
    tab = make_tab().login(warden, user="vic", password="correct horse battery")
    tab.see("git version", ".card")
    assert tab.count(".btn.approve") == 0
    tab.see("needs the role approver")
    go(tab, warden, "access")
    tab.see("Not allowed")
    go(tab, warden, "prisoners")
    assert tab.count("main .danger") == 0
    tab.js("await page.click('#logout'); await page.waitForURL('**/login'); await page.goto(args.url + '/#/queue'); await page.waitForURL('**/login');", url=warden.api_url)
    tab.js("await page.fill('#user', 'vic'); await page.fill('#password', 'wrong'); await page.click('#by-password button');")
    tab.js("await page.locator('#words:not(:text(\"One moment\")):not(:text(\"Log in to see\"))').waitFor();")
    assert tab.js("return page.url();").endswith("/login")
    link = warden.cli("link", check=True).stdout.split()[-1]
    tab.js("await page.goto(args.link); await page.locator('.link-state[data-state=live]').waitFor();", link=link)
    warden.deny(warden.queue()[0]["id"])
    p.wait(20)
