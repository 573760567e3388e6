# SPDX-License-Identifier: MIT
"""The dashboard of `clawrden run --api`: its session is the prisoner, by its name, and the switches are over its real tree."""
import re

import pytest

from conftest_system import wait_for
from runs import make_run  # noqa: F401: a fixture
from test_pages import axe
from test_run_switch import moves, stands_still
from test_switches import order

# One waits for a person, one works, one was refused.
TREE = "git push & rm -r x; touch ready; while :; do :; done"
ROW = "tbody tr:has-text('mine')"


class Session:
    """A run with a dashboard, and the way in."""

    def __init__(self, r):
        self.run = r
        self.process = r.popen("sh", "-c", TREE, options={"api": "127.0.0.1:0", "name": "mine"})
        seen = b""
        while not (m := re.search(rb"dashboard (http://\S+);", seen)):
            line = self.process.stderr.readline()
            assert line, seen
            seen += line
        self.api_url = m[1].decode()
        r.wait_queue()
        wait_for(lambda: (r.work / "ready").exists(), 20, "the tree stands")

    def enter(self, tab):
        """By the link that `clawrden link` prints, as the banner says."""
        tab.js("""await page.goto(args.link); await page.locator('.link-state[data-state=live]').waitFor();
            await page.goto(args.url + '/#/prisoners'); await page.locator('main[data-page=prisoners]').waitFor();""", link=self.run.cli("link", check=True).stdout.strip(), url=self.api_url)


@pytest.fixture
def session(make_run):  # noqa: F811
    s = Session(make_run())
    yield s
    s.run.cli("kill", "--all", "--yes", "--signal", "KILL")
    s.process.wait(20)


def cells(tab):
    return tab.js("return await page.locator(args.row).locator('td[data-label=Waiting], td[data-label=Denied]').allInnerTexts();", row=ROW)


def test_a_session_is_a_prisoner_by_its_name_with_counts(session, tab):
    session.enter(tab)
    tab.see("session of clawrden run", ROW)
    assert cells(tab) == ["1", "1"]
    assert int(tab.text(ROW + " td[data-label=Running]")) >= 1
    assert tab.count("tbody tr") == 1  # no host, which nothing of it runs on
    assert tab.count(".page-head button") == 0  # everything is this session
    axe(tab)
    tab.js("await page.click(args.row + ' td[data-label=Waiting] a'); await page.locator('.card', {hasText: 'git push'}).waitFor();", row=ROW)


def test_the_switches_of_a_session_act_on_its_tree(session, tab):
    r = session.run
    session.enter(tab)
    assert moves(r) >= 1
    order(tab, "mine", "Pause", "mine", "5m")
    tab.see("paused", ROW)
    tab.see("goes on at", ROW)
    assert stands_still(r)
    tab.js("await page.locator(args.row).getByRole('button', {name: 'Resume'}).click(); await page.click('dialog [value=go]');", row=ROW)
    tab.see("active", ROW)
    wait_for(lambda: moves(r) >= 1, 10, "it goes on")
    r.cli("pause", "--all", "--yes", "--resume-after", "2s", check=True)
    tab.see("paused", ROW)
    tab.see("active", ROW)  # by itself
    wait_for(lambda: moves(r) >= 1, 10, "it goes on by itself")
    order(tab, "mine", "Kill", "mine")
    session.process.wait(20)
    assert not r.left()
    assert [(x["event"], x.get("scope")) for x in r.records() if x["event"] in ("pause", "kill")] == [("pause", "all"), ("pause", "all"), ("kill", "all")]
