# SPDX-License-Identifier: MIT
"""The page of jails: making, changing and deleting one, what is fixed, what a role may, and what an empty or missing one says."""
import json
import shutil

import pytest

from conftest_system import BIN, POLICY
from test_login import add_user
from test_pages import axe, go
from test_who import CALL

FIXED = POLICY + "jails:\n  - {name: build, commands: [make, npm]}\n"


def jails(w):
    return {j["name"]: j for j in json.loads(w.cli("jails", "list", "--json", check=True).stdout)}


def make(tab, **given):
    tab.js("for (const [k, v] of Object.entries(args.given)) await page.fill(`form.panel [name=${k}]`, v); await page.getByRole('button', {name: 'Make'}).click();", given=given)


def test_a_jail_is_made_changed_and_deleted_behind_its_name(warden, tab):
    tab.login(warden, "jails")
    tab.see("No jails")
    make(tab, name="tools", commands="npm, git  [", containers="web-*")
    tab.see("tools", "tbody")
    assert jails(warden)["tools"]["commands"] == ["npm", "git", "["] and jails(warden)["tools"]["containers"] == ["web-*"]
    tab.see(str(warden.state / "jails" / "tools"), "tbody")
    assert tab.js("return await page.inputValue('form.panel [name=name]');") == ""
    assert axe(tab) == []
    tab.js("await page.getByRole('button', {name: 'Change'}).click(); await page.fill('dialog [name=commands]', 'docker'); await page.keyboard.press('Enter');")
    tab.see("docker", "tbody")
    j = jails(warden)["tools"]
    assert j["commands"] == ["docker"] and j["containers"] == ["web-*"] and j["mode"] == "plain"
    tab.js("await page.getByRole('button', {name: 'Delete'}).click();")
    assert tab.js("return await page.locator('dialog [value=go]').isDisabled();")
    tab.js("await page.fill('#typed-word', 'tools'); await page.click('dialog [value=go]');")
    tab.see("No jails")
    assert jails(warden) == {}


def test_a_refusal_says_why_and_keeps_what_was_typed(warden, tab):
    tab.login(warden, "jails")
    make(tab, name="tools", commands="../x")
    tab.see("command 1", ".toast.bad")
    assert tab.js("return await page.inputValue('form.panel [name=commands]');") == "../x"
    assert jails(warden) == {}
    make(tab, name="tools", commands="npm")
    tab.see("tools", "tbody")
    make(tab, name="tools", commands="git")
    tab.see("jail of this name", ".toast.bad")
    assert jails(warden)["tools"]["commands"] == ["npm"]


def test_what_the_policy_or_another_makes_is_seen_and_the_policys_is_fixed(make_warden, tab):
    w = make_warden(FIXED)
    tab.login(w, "jails")
    tab.see("changed in the policy", "tbody tr:has-text('build')")
    assert tab.count("tbody button") == 0
    w.cli("jails", "create", "late", "git", check=True)
    tab.see("late", "tbody")  # by itself


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_only_look_has_no_buttons_and_is_refused(warden, tab, role):
    add_user(warden, "vic", role)
    warden.cli("jails", "create", "tools", "git", check=True)
    tab.login(warden, user="vic", password="correct horse battery")
    go(tab, warden, "jails")
    tab.see("tools", "tbody")
    assert tab.count("main button, main form") == 0
    for path, body in (("/api/jails", {"name": "x", "commands": ["git"]}), ("/api/jails/tools", {"commands": ["ls"]})):
        assert tab.js(CALL, path=path, body=body) == 403
    assert tab.js("return await page.evaluate(async () => (await fetch('/api/jails/tools', {method: 'DELETE', headers: {'X-CSRF-Token': localStorage.getItem('clawrden-csrf')}})).status);") == 403
    assert jails(warden)["tools"]["commands"] == ["git"]


def test_a_warden_without_a_shim_says_so(make_warden, tab, tmp_path):
    alone = shutil.copy(BIN / "clawrden-warden", tmp_path)
    tab.login(make_warden(program=alone), "jails")
    tab.see("there are no jails", "main .state")
