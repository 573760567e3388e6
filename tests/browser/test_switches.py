# SPDX-License-Identifier: MIT
"""Prisoners, policy and health: what governs, and how it fares."""
from conftest_system import POLICY


def test_prisoners_are_paused_behind_a_typed_word(warden, tab):
    tab.login(warden, "prisoners")
    tab.js("await page.click('.page-head >> text=Pause'); await page.locator('dialog[open]').waitFor();")
    assert tab.js("return await page.locator('dialog .danger').isDisabled();")
    tab.js("await page.fill('#typed-word', 'everything'); await page.fill('dialog [name=reason]', 'a look'); await page.selectOption('dialog select', '5m'); await page.click('dialog .danger');")
    tab.see("Everything is paused")
    tab.see("a look", "main")
    tab.js("await page.click('.page-head >> text=Resume'); await page.click('dialog .danger'); await page.locator('.page-head >> text=Pause').waitFor();")
    assert not [p for p in [warden.cli("status", "--json")] if '"scope": "all"' in p.stdout]


def test_policy_counts_explains_reloads_and_says_what_changed(warden, tab):
    warden.run("rm", "x")
    tab.login(warden, "policy")
    tab.see("1 ×", ".code .hits")
    tab.js("await page.fill('[name=command]', 'rm -rf \"a b\"'); await page.click('text=Explain');")
    tab.see("nothing is deleted here", "form .code")
    warden.reload_policy(POLICY + "  - {command: make, action: allow}\n")
    tab.see("What changed since you looked")
    tab.see("command: make", ".code .new")
    warden.set_policy("rules: [")
    tab.js("await page.click('text=Reload the file');")
    tab.see("refused, the one before stays")
    tab.see("In force")


def test_health_draws_charts(warden, tab):
    warden.run("ls", "/")
    tab.login(warden, "health")
    tab.see("Ready")
    tab.js("await page.locator('.u-wrap canvas').nth(4).waitFor();")
