# SPDX-License-Identifier: MIT
"""Prisoners, policy and health: what governs, and how it fares."""
import json
import os
import pathlib
import subprocess

import pytest

from conftest_system import AGENT_UID, POLICY, needs_root, wait_for
from test_queue import ask

CGROUPS = pathlib.Path("/sys/fs/cgroup")


def hierarchies():
    return [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [p for p in CGROUPS.iterdir() if (p / "cgroup.procs").exists()]


def gone(d):
    """Removes a cgroup and what the helper made below it, once nobody is in there."""
    try:
        for below in sorted(d.rglob("*/"), reverse=True):
            below.rmdir()
        d.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def box(make_warden):
    """A warden and its prisoner "box": a pid namespace in a cgroup of its own, where git waits and sleep runs."""
    path = f"clawrden-browser-{os.getpid()}"
    dirs = [h / path for h in hierarchies()]
    for d in dirs:
        d.mkdir()
        for f in ("cpuset.cpus", "cpuset.mems"):
            if (d / f).exists():
                (d / f).write_text((d.parent / f).read_text())

    def join():
        for d in dirs:
            (d / "cgroup.procs").write_text("0")
    w = make_warden(options={"engine": "none", "prisoner": f"box,cgroup=/{path}", "socket_mode": "0666", "kill_grace": "1s"})
    git, sleep = w.shim("git"), w.shim("sleep")
    p = w.keep(subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "setpriv", f"--reuid={AGENT_UID}", f"--regid={AGENT_UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                                 "sh", "-c", f"{git} version & exec 3>&1; {sleep} 1000; wait"], env=w.agent_env(), cwd=w.work, preexec_fn=join, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    w.wait_queue(1)
    wait_for(lambda: "sleep" in w.cli("running", "--json").stdout, what="sleep runs in the box")
    yield w, p
    w.cli("resume", "--all", "--yes")
    w.cli("kill", "--container", "box", "--yes", "--signal", "KILL")
    p.communicate(timeout=20)
    for d in dirs:
        wait_for(lambda: gone(d), what="the box is empty and away")


def order(tab, row, what, word, after=None):
    """Presses `what` in the row of that name, and types the word behind which it is."""
    tab.js("await page.locator('tbody tr', {hasText: args.row}).getByRole('button', {name: args.what, exact: true}).click(); await page.locator('dialog[open]').waitFor();", row=row, what=what)
    assert tab.js("return await page.locator('dialog .danger').isDisabled();")
    tab.js("await page.fill('#typed-word', args.wrong); ", wrong=word + "x")
    assert tab.js("return await page.locator('dialog .danger').isDisabled();")
    tab.js("await page.fill('#typed-word', args.word); if (args.after) await page.selectOption('dialog select', args.after); await page.keyboard.press('Escape');", word=word, after=after)
    tab.js("await page.locator('dialog').waitFor({state: 'detached'});")
    assert "paused" not in tab.text("tbody")  # Escape took it back
    tab.js("""await page.locator('tbody tr', {hasText: args.row}).getByRole('button', {name: args.what, exact: true}).click();
        await page.fill('#typed-word', args.word); if (args.after) await page.selectOption('dialog select', args.after); await page.click('dialog .danger');""", row=row, what=what, word=word, after=after)


def pauses(w):
    return json.loads(w.cli("status", "--json", check=True).stdout)["paused"]


@needs_root
def test_one_prisoner_is_paused_resumed_and_killed_behind_its_name(box, tab):
    w, p = box
    tab.login(w, "prisoners")
    tab.see("active", "tbody tr:has-text('box')")
    assert tab.js("return await page.locator('tbody tr', {hasText: 'box'}).locator('td[data-label=Waiting], td[data-label=Running]').allInnerTexts();") == ["1", "1"]
    order(tab, "box", "Pause", "box", "5m")
    tab.see("paused", "tbody tr:has-text('box')")
    tab.see("goes on at", "tbody tr:has-text('box')")
    assert [(x["scope"], x["container"]) for x in pauses(w)] == [("container", "box")]
    tab.js("await page.goto(args.url + '/#/queue'); await page.locator('.card', {hasText: 'paused: no deadline'}).waitFor();", url=w.api_url)
    tab.js("await page.goto(args.url + '/#/prisoners'); await page.locator('tbody tr', {hasText: 'box'}).getByRole('button', {name: 'Resume'}).click(); await page.click('dialog [value=go]');", url=w.api_url)
    tab.see("active", "tbody tr:has-text('box')")
    assert pauses(w) == []
    order(tab, "box", "Kill", "box")
    p.wait(20)
    wait_for(lambda: not w.queue() and "sleep" not in w.cli("running", "--json").stdout, what="what waited is denied, what ran has ended")
    assert tab.js("return await page.locator('tbody tr', {hasText: 'the host'}).getByRole('button').count();") == 0


def test_a_pause_that_ends_by_itself_is_seen_to_end(warden, tab):
    p = ask(warden)
    tab.login(warden, "prisoners")
    assert warden.cli("pause", "--all", "--yes", "--resume-after", "2s", "--reason", "a breath").returncode == 0
    tab.see("Everything is paused")
    tab.see("goes on at", "main .panel")
    tab.js("await page.locator('main .panel', {hasText: 'Everything is paused'}).waitFor({state: 'detached'}); await page.locator('.page-head >> text=Pause').waitFor();")
    assert pauses(warden) == []
    tab.js("await page.goto(args.url + '/#/queue'); await page.locator('.card .due', {hasText: 'left'}).waitFor();", url=warden.api_url)
    p.kill()
    p.wait()


def test_everything_is_paused_behind_a_typed_word(warden, tab):
    tab.login(warden, "prisoners")
    tab.js("await page.click('.page-head >> text=Pause'); await page.locator('dialog[open]').waitFor();")
    assert tab.js("return await page.locator('dialog .danger').isDisabled();")
    tab.js("await page.fill('#typed-word', 'everything'); await page.fill('dialog [name=reason]', 'a look'); await page.selectOption('dialog select', '5m'); await page.click('dialog .danger');")
    tab.see("Everything is paused")
    tab.see("a look", "main")
    (pause,) = pauses(warden)
    assert pause["scope"] == "all" and pause["reason"] == "a look" and pause["until"]
    tab.js("await page.click('.page-head >> text=Resume'); await page.click('dialog [value=go]'); await page.locator('.page-head >> text=Pause').waitFor();")
    assert pauses(warden) == []


def test_everything_is_killed_behind_a_typed_word(warden, tab):
    p, s = ask(warden), warden.popen("sleep", "100")
    wait_for(lambda: "sleep" in warden.cli("running", "--json").stdout, what="sleep runs")
    tab.login(warden, "prisoners")
    tab.js("await page.click('.page-head .danger'); await page.fill('#typed-word', 'everything'); await page.keyboard.press('Enter');")
    assert p.wait(20) != 0 and s.wait(20) != 0
    assert warden.decisions()[-1]["decision"] != "ask-approved"


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
