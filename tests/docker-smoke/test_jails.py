# SPDX-License-Identifier: MIT
"""Jails in containers of a real engine: names that appear while they run, and what their labels ask for."""
import json
import os
import re
import subprocess

import pytest

from conftest import OPEN, Container, wait_for

JAIL = "/clawrden/jail"
PATH = f"PATH={JAIL}:/usr/bin:/bin"
RULES = OPEN + "jails: {build: [npm, ls]}\n"


def create(warden, name, *commands):
    warden.cli("jails", "create", name, *commands, check=True)


def set_names(warden, name, *commands):
    warden.cli("jails", "set", name, *commands, check=True)


def jails(warden):
    return {j["name"]: j for j in json.loads(warden.cli("jails", "list", "--json", check=True).stdout)}


def records(warden, what):
    return [r for r in warden.records_of("jail") if r["what"] == what]


@pytest.fixture
def jailed(engine, make_warden):
    """jailed(name, *options): a container that has the jail of that name mounted, and nothing else of ours but the socket."""
    made = []
    w = make_warden(RULES)

    def make(*options, mount=None, **kw):
        mounts = ["-v", f"{w.socket.parent}:/run/clawrden:ro"]
        if mount:
            mounts += ["-v", f"{w.state / 'jails' / mount}:{JAIL}:ro"]
        c = Container(engine, None, *mounts, *options, **kw)
        c.warden = w
        c.ENV = ("CLAWRDEN_SOCKET=/run/clawrden/warden.sock", PATH)
        made.append(c)
        return c

    make.warden = w
    yield make
    for c in made:
        c.remove()


# ---- hot plug ----

def test_a_name_appears_and_goes_in_a_container_that_runs(jailed):
    w = jailed.warden
    create(w, "tools", "id")
    c = jailed(mount="tools")
    assert b"uid=1000" in c.run("id").stdout and len(w.decisions()) == 1
    # Of a tool that it has, and of one that it does not have.
    assert c.run("sh", "-c", "command -v ls; command -v kubectl").stdout == b"/usr/bin/ls\n"
    set_names(w, "tools", "ls", "kubectl")
    assert c.run("sh", "-c", "command -v ls; command -v kubectl").stdout.split() == [f"{JAIL}/ls".encode(), f"{JAIL}/kubectl".encode()]
    assert c.run("ls", "/").returncode == 0
    missing = c.run("kubectl", "get", "pods")
    assert missing.returncode == 127, missing
    assert [d["command"] for d in w.decisions()] == ["id", "ls", "kubectl"]
    assert c.run("sh", "-c", "command -v id").stdout == b"/usr/bin/id\n"
    w.cli("jails", "delete", "tools", check=True)
    assert c.exec("ls", JAIL).stdout == b""


def test_the_policy_adds_a_name_while_it_is_mounted(jailed):
    w = jailed.warden
    c = jailed(mount="build")
    assert c.exec("ls", JAIL).stdout.split() == [b"clawrden-shim", b"ls", b"npm"]
    w.set_policy(OPEN + "jails: {build: [npm, ls, terraform]}\n")
    wait_for(lambda: b"terraform" in c.exec("ls", JAIL).stdout, what="the name is there")
    assert c.run("terraform").returncode == 127 and w.decisions()[-1]["command"] == "terraform"


@pytest.mark.slow
def test_it_outlives_a_restart_of_the_warden(jailed):
    w = jailed.warden
    create(w, "tools", "id")
    c = jailed(mount="tools")
    w.restart()
    assert c.run("id").returncode == 0
    set_names(w, "tools", "id", "uname")
    assert c.run("sh", "-c", "command -v uname").stdout == f"{JAIL}/uname\n".encode()


def test_root_in_the_container_cannot_change_it(jailed):
    create(jailed.warden, "tools", "id")
    c = jailed(mount="tools", user="0")
    for script in (f"ln -s /bin/sh {JAIL}/evil", f"rm -f {JAIL}/id", f"mv {JAIL}/id {JAIL}/x", f"echo x >{JAIL}/clawrden-shim",
                   f"mount -o remount,rw {JAIL}", f"umount {JAIL}", f"chmod 777 {JAIL}/clawrden-shim"):
        assert c.exec("sh", "-c", script, check=False).returncode != 0, script
    assert c.exec("ls", JAIL).stdout.split() == [b"clawrden-shim", b"id"]


# ---- labels ----

ASKS = ("--label", "clawrden.enabled=true", "--label")


def test_a_container_gets_what_its_labels_ask_for(engine, jailed):
    w = jailed.warden
    c = jailed(*ASKS, "clawrden.cmds=id,uname", name="labelled", mount="labelled")
    wait_for(lambda: records(w, "created"), what="its jail is made")
    assert c.exec("ls", JAIL).stdout.split() == [b"clawrden-shim", b"id", b"uname"]
    assert c.run("id").returncode == 0 and w.decisions()[-1]["container"] == "labelled"
    j = jails(w)["labelled"]
    assert (j["origin"], j["container"], j["commands"]) == ("label", c.id, ["id", "uname"])
    done = w.cli("jails", "delete", "labelled")
    assert done.returncode != 0 and "by its labels" in done.stderr
    engine.docker("restart", "-t", "0", c.id)
    wait_for(lambda: c.run("id").returncode == 0)
    assert len(records(w, "created")) == 1
    c.remove()
    wait_for(lambda: "labelled" not in jails(w), what="its jail is gone")
    assert not (w.state / "jails" / "labelled").exists() and records(w, "deleted")[-1]["container_id"] == c.id


def test_a_plain_jail_that_its_container_has_not_mounted_says_so(jailed):
    w = jailed.warden
    jailed(*ASKS, "clawrden.cmds=id", name="has", mount="has")
    jailed(*ASKS, "clawrden.cmds=id", name="has-not")
    with_it, without = wait_for(lambda: len(records(w, "created")) == 2 and sorted(records(w, "created"), key=lambda r: r["container"]), what="both are made")
    assert with_it["words"] is None, with_it
    assert f"no mount of {w.state}/jails/has-not" in without["words"] and "clawrden.mode=hardened" in without["words"], without
    assert "its jail 'has-not' is made, but its container has no mount" in w.log()


@pytest.mark.slow
def test_containers_that_were_there_before_and_went_meanwhile(jailed):
    w = jailed.warden
    stays = jailed(*ASKS, "clawrden.cmds=id", name="stays", mount="stays")
    goes = jailed(*ASKS, "clawrden.cmds=id", name="goes", mount="goes")
    wait_for(lambda: {"stays", "goes"} <= jails(w).keys())
    w.kill()
    goes.remove()
    late = jailed(*ASKS, "clawrden.cmds=uname", "--label", "clawrden.jail=other", name="late", mount="other")
    w.start()
    wait_for(lambda: "goes" not in jails(w) and "other" in jails(w), what="the list is right")
    assert sorted(p.name for p in (w.state / "jails").iterdir()) == ["build", "other", "stays"]
    assert late.run("sh", "-c", "command -v uname").stdout == f"{JAIL}/uname\n".encode()
    assert stays.run("id").returncode == 0


@pytest.mark.slow
def test_an_engine_that_was_away_is_asked_what_went(engine, jailed):
    w = jailed.warden
    jailed(*ASKS, "clawrden.cmds=id", name="away", mount="away")
    wait_for(lambda: "away" in jails(w))
    # A container that stopped is still there, and comes back to its jail.
    engine.docker("stop", "-t", "0", "away")
    w.restart()
    assert wait_for(lambda: "away" in jails(w))
    engine.docker("start", "away")
    assert engine.docker("exec", "away", "ls", JAIL).stdout.split() == [b"clawrden-shim", b"id"]


@pytest.mark.parametrize("labels,words", [
    (("clawrden.cmds=../sh",), "clawrden.cmds: name 1"), (("clawrden.cmds=id", "clawrden.jail=../../etc"), "clawrden.jail: "),
    (("clawrden.cmds=id", "clawrden.jail=build"), "already (policy)"), (("clawrden.x=y",), "clawrden.cmds is missing")])
def test_labels_that_cannot_be_followed_are_refused_on_record(jailed, labels, words):
    w = jailed.warden
    options = [x for label in labels for x in ("--label", label)]
    c = jailed("--label", "clawrden.enabled=true", *options, name="bad")
    (r,) = wait_for(lambda: records(w, "refused"), what="the refusal")
    assert words in r["words"] and r["container_id"] == c.id and r["container"] == "bad"
    assert set(jails(w)) == {"build"} and os.listdir(w.state / "jails") == ["build"]


# ---- hardened: the shim over the tools ----

HARD = (*ASKS, "clawrden.cmds=git,id,uname,kubectl", "--label", "clawrden.mode=hardened")
PLAIN = ("CLAWRDEN_SOCKET=/run/clawrden/warden.sock", "PATH=/usr/bin:/bin")


@pytest.fixture
def hardened(jailed):
    """hardened(): a container whose tools are covered; nothing of ours is on its PATH, and nothing is mounted but the socket."""
    def make(*options, labels=HARD, **kw):
        c = jailed(*labels, *options, **kw)
        c.ENV = PLAIN
        c.cover = wait_for(lambda: [r for r in records(jailed.warden, "mounted") if r["container_id"] == c.id], what="it is covered")[0]
        return c
    make.warden = jailed.warden
    return make


def test_absolute_paths_lead_to_the_shim_and_the_tool_runs(hardened):
    w = hardened.warden
    c = hardened(name="hard")
    assert "/usr/bin/id" in c.cover["commands"] and c.cover["name"] == "hard" and c.cover["mode"] == "hardened"
    for way in (["id"], ["/usr/bin/id"], ["sh", "-lc", "exec /usr/bin/id"], ["env", "-i", PLAIN[0], "/usr/bin/id"]):
        for _ in range(2):  # the second from a seat
            done = c.run(*way)
            assert done.returncode == 0 and b"uid=1000(agent)" in done.stdout, (way, done, w.log())
    assert [d["command"] for d in w.decisions()] == ["id"] * 8
    assert {d["executor"] for d in w.decisions()} == {"mirror"}
    assert c.run("/usr/bin/uname", "-s").stdout == b"Linux\n"


def test_what_the_policy_refuses_does_not_run_by_any_path(hardened):
    w = hardened.warden
    w.set_policy(RULES.replace("rules:\n", "rules:\n  - {command: uname, action: deny, reason: not here}\n", 1))
    w.cli("policy", "reload", check=True)
    c = hardened()
    for script in ("uname", "/usr/bin/uname", "/bin/uname", "/proc/self/root/usr/bin/uname", "cd /usr/bin && ./uname", "exec 9</usr/bin/uname; /proc/self/fd/9"):
        done = c.run("sh", "-c", script)
        assert done.returncode != 0 and b"Linux" not in done.stdout, (script, done)
    assert [d["decision"] for d in w.decisions() if d["command"] == "uname"] == ["deny"] * 5


@pytest.mark.slow
def test_nothing_is_covered_twice(hardened):
    w = hardened.warden
    c = hardened()
    mounts = c.exec("cat", "/proc/self/mountinfo").stdout.count(b"clawrden-shim")
    assert mounts == 2  # id and uname: git and kubectl it does not have
    w.restart()
    wait_for(lambda: len(records(w, "mounted")) >= 2, what="it was looked at again")
    assert sorted(records(w, "mounted")[-1]["commands"]) == sorted(c.cover["commands"])
    assert c.exec("cat", "/proc/self/mountinfo").stdout.count(b"clawrden-shim") == mounts
    assert c.run("/usr/bin/id").returncode == 0


SYSCALL = "python3 -c 'import ctypes, sys; l = ctypes.CDLL(None); sys.exit(0 if l.%s == 0 else 1)'"
ATTACKS = {
    "umount": "umount {t}",
    "umount -l": "umount -l {t}",
    "umount2": SYSCALL % 'umount2(b"{t}", 2)',
    "mount over it": "cp /bin/true /tmp/true; mount --bind /tmp/true {t}",
    "move it": "mv {t} /tmp/moved",
    "rename over it": "cp /bin/true {t}.new && mv -f {t}.new {t}",
    "rename over it, the call": "cp /bin/true {t}.new; " + SYSCALL % 'rename(b"{t}.new", b"{t}")',
    "exchange": "cp /bin/true {t}.new; " + SYSCALL % 'syscall(316, -100, b"{t}.new", -100, b"{t}", 2)',
    "remove": "rm -f {t}",
    "write": "cp /bin/true {t}",
    "a namespace of its own": "unshare -m umount {t}",
    "a user namespace": "unshare -Ur -m umount {t}",
    "remount": "mount -o remount,rw,bind {t}",
    "chmod": "chmod 0 {t}",
    "bind the root elsewhere": "mkdir -p /tmp/r; mount --bind / /tmp/r",
    "open_tree": SYSCALL % 'syscall(428, -100, b"/", 1) * 0',
    "move_mount": SYSCALL % 'syscall(429, -100, b"{t}", -100, b"/tmp/true", 0)',
    "pivot_root": "mkdir -p /tmp/p; " + SYSCALL % 'syscall(155, b"/", b"/tmp/p")',
}
ATTACKS["open_tree"] = "python3 -c 'import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(428, -100, b\"/\", 1) >= 0 else 1)'"


def test_root_inside_cannot_undo_it(hardened):
    w = hardened.warden
    c = hardened(user="0")
    tool = "/usr/bin/uname"
    for name, script in ATTACKS.items():
        # By docker exec: what the agent's own programs could do, past all shims.
        done = c.exec("sh", "-c", script.format(t=tool), check=False)
        assert done.returncode != 0, (name, done)
        assert b"CLAWRDEN-SHIM" in c.exec("cat", tool).stdout, name
    before = len(w.decisions())
    for env in ("LD_PRELOAD=/tmp/x.so", "LD_LIBRARY_PATH=/tmp", "LD_AUDIT=/tmp/x.so"):
        assert c.run(tool, env=(env,)).stdout == b"Linux\n"
    assert len(w.decisions()) == before + 3
    # The loader starts the shim like any program.
    c.exec("/lib64/ld-linux-x86-64.so.2", tool, check=False)
    assert len(w.decisions()) == before + 4


@pytest.mark.slow
def test_the_directory_that_holds_it_does_not_give_it_free(hardened):
    c = hardened(user="0")
    c.exec("sh", "-c", "mv /usr/bin /usr/nib; true", check=False)
    found = c.exec("/bin/sh" if c.exec("true", check=False).returncode == 0 else "/usr/nib/sh", "-c",
                   "for p in /usr/bin/uname /usr/nib/uname; do while read -r l; do case $l in *CLAWRDEN-SHIM*) echo shim;; esac; done <$p; done 2>/dev/null; true",
                   check=False)
    assert b"shim" in found.stdout, found


def test_the_window_is_measured_and_on_record(hardened):
    c = hardened()
    assert 0 < c.cover["window_us"] < 30_000_000
    assert re.search(r"tools covered, \d+ ms after its start", hardened.warden.log())


def test_a_container_that_runs_is_covered_when_the_policy_says_so(jailed):
    w = jailed.warden
    c = jailed("--label", "tier=gold", name="late")
    c.ENV = PLAIN
    assert c.run("/usr/bin/id").returncode == 0 and not w.decisions()
    w.set_policy(OPEN + "jails: {gold: {commands: [id], labels: {tier: gold}, mode: hardened}}\n")
    w.cli("policy", "reload", check=True)
    wait_for(lambda: records(w, "mounted"), what="it is covered")
    assert c.run("/usr/bin/id").returncode == 0 and [d["command"] for d in w.decisions()] == ["id"]


def test_a_mount_of_the_engines_own_over_the_tool_has_no_window(jailed):
    w = jailed.warden
    create(w, "static", "id")
    c = jailed("-v", f"{w.state / 'jails/static/clawrden-shim'}:/usr/bin/id:ro")
    c.ENV = PLAIN
    done = c.run("/usr/bin/id")
    assert b"uid=1000" in done.stdout and len(w.decisions()) == 1, (done, w.log())


@pytest.mark.slow
def test_where_the_engine_starts_commands_nothing_is_covered(engine, make_warden):
    w = make_warden(RULES, mirror="docker")
    c = Container(engine, None, "-v", f"{w.socket.parent}:/run/clawrden:ro", *HARD)
    try:
        (r,) = wait_for(lambda: records(w, "refused"), what="it is refused")
        assert "cannot enter containers" in r["words"]
        assert b"CLAWRDEN-SHIM" not in c.exec("cat", "/usr/bin/id").stdout
    finally:
        c.remove()
