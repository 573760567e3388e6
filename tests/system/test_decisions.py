# SPDX-License-Identifier: MIT
"""What the agent sees and what the log holds, for each way that a command can end: by policy, by a
person, by nobody, by the clock, by an operator, by a cap, by a full disk, by a changed file."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from conftest import POLICY, needs_root, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]


def policy(extra, head=""):
    return f'default_action: deny\nallowed_paths: ["/*"]\n{head}rules:\n{extra}'


def asked(warden, *argv, **kw):
    """A governed command that waits, and its entry in the queue."""
    p = warden.popen(*argv, **kw)
    return p, warden.wait_queue()[0]


def finish(p, timeout=20):
    out, errors = p.communicate(timeout=timeout)
    return p.returncode, out, errors.decode()


def one(records, **members):
    found = [r for r in records if all(r.get(k) == v for k, v in members.items())]
    assert len(found) == 1, (members, records)
    return found[0]


# ---- by policy ----

def test_a_denial_says_all_that_helps(warden):
    done = warden.run("rm", "-rf", "x")
    assert done.returncode == 126 and done.stdout == b""
    lines = done.stderr.decode().splitlines()
    line = POLICY.splitlines().index(next(x for x in POLICY.splitlines() if "no-rm" in x)) + 1
    record = one(warden.decisions())
    assert lines[0].startswith("clawrden: refused by no-rm (") and f":{line}): nothing is deleted here" in lines[0]
    assert lines[1] == "clawrden: instead: leave it"
    assert lines[2] == f"clawrden: request {record['id']}"
    assert record["rule"] == "no-rm" and record["line"] == line and record["decision"] == "deny"
    assert warden.ends() == []


def test_both_records_of_a_command_that_ran(warden):
    done = warden.run("sh", "-c", "exit 7", env=warden.agent_env(LD_PRELOAD="/tmp/x.so", LC_ALL="C"))
    assert done.returncode == 7
    end = one(warden.wait_ends())
    decision = one(warden.decisions())
    assert decision["id"] == end["id"]
    assert decision["decision"] == "allow" and decision["executor"] == "local"
    assert decision["command"] == "sh" and decision["args"] == ["-c", "exit 7"]
    assert decision["cwd"] == str(warden.work) and decision["uid"] == os.getuid()
    assert "LC_ALL" in decision["env_passed"] and "LD_PRELOAD" in decision["env_dropped"]
    assert decision["executable"]["trust"] == "trusted" and decision["executable"]["ino"] > 0
    assert end["exit_code"] == 7 and end["timeout_violation"] is False and end["command"] == "sh"


def test_death_by_a_signal_is_on_record(warden):
    done = warden.run("sh", "-c", "kill -SEGV $$")
    assert done.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)
    assert one(warden.wait_ends())["signal"] == signal.SIGSEGV


def test_a_tool_that_is_not_there(make_warden):
    warden = make_warden(policy("  - {command: no-such-tool, action: allow}\n"))
    done = warden.run("no-such-tool")
    assert done.returncode == 127
    assert b"clawrden: no-such-tool: command not found on the trusted path (" in done.stderr
    assert one(warden.wait_ends())["exit_code"] == 127


# ---- by the clock ----

def test_out_of_time_is_124_with_a_sentence(make_warden):
    warden = make_warden(policy("  - {name: naps, command: sleep, action: allow, timeout: 1s}\n"))
    begun = time.monotonic()
    done = warden.run("sleep", "60")
    assert done.returncode == 124
    assert 0.9 < time.monotonic() - begun < 5
    assert done.stderr == b"clawrden: the command ran out of its time (1s, naps) and was ended\n"
    end = one(warden.wait_ends())
    assert end["timeout_violation"] is True and end["signal"] == signal.SIGTERM


def test_what_ignores_the_end_of_its_time_is_killed_with_its_tree(make_warden):
    warden = make_warden(policy("  - {command: sh, action: allow, timeout: 1s}\n"),
                         options={"kill_grace": "1s"})
    mark = str(7000 + os.getpid() % 1000)
    done = warden.run("sh", "-c", f"trap '' TERM; sleep {mark} & sleep {mark}; sleep {mark}")
    assert done.returncode == 124
    end = one(warden.wait_ends())
    assert end["timeout_violation"] is True and end["signal"] == signal.SIGKILL
    wait_for(lambda: subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True).returncode == 1,
             what="nothing of it is left")


def test_waiting_does_not_use_up_the_commands_time(make_warden):
    warden = make_warden(policy("  - {command: sleep, action: ask, timeout: 1s}\n"))
    p, entry = asked(warden, "sleep", "0.2")
    time.sleep(1.5)
    assert warden.approve(entry["id"]).returncode == 0
    assert finish(p)[0] == 0


# ---- by people, and by nobody ----

def test_a_no_reaches_the_agent_with_its_comment(warden):
    p, entry = asked(warden, "git", "push")
    assert warden.deny(entry["id"], "--comment", "not today").returncode == 0
    code, _, words = finish(p)
    assert code == 126 and "denied by" in words and "not today" in words and entry["id"] in words
    record = one(warden.decisions())
    assert record["decision"] == "ask-denied" and record["comment"] == "not today" and record["approver"]


def test_nobody_answered_is_not_a_no(make_warden):
    warden = make_warden(policy("  - {command: git, action: ask, approval_timeout: 1s}\n"))
    done = warden.run("git", "push")
    words = done.stderr.decode()
    assert done.returncode == 126 and "clawrden: nobody answered within 1s" in words
    assert "refused" not in words and "denied" not in words
    record = one(warden.decisions())
    assert record["decision"] == "ask-expired" and record["approver"] is None and record["waited_ms"] >= 1000


def test_a_caller_that_goes_is_withdrawn_and_cannot_be_approved(warden):
    p, entry = asked(warden, "git", "push")
    p.kill()
    p.communicate()
    wait_for(lambda: warden.queue() == [], what="the entry is gone")
    assert warden.approve(entry["id"]).returncode == 1
    assert one(warden.decisions())["decision"] == "withdrawn"
    assert warden.ends() == []


def test_what_changed_while_it_waited_never_runs(make_warden):
    warden = make_warden(policy("  - {command: ls, action: ask}\n"))
    here = warden.work / "here"
    here.mkdir()
    p, entry = asked(warden, "ls", cwd=here)
    here.rename(warden.work / "there")
    here.mkdir()
    assert warden.approve(entry["id"]).returncode == 0
    code, out, words = finish(p)
    assert code == 126 and out == b"" and "changed while it waited" in words
    record = one(warden.decisions())
    assert record["decision"] == "error" and record["approver"]


# ---- reload ----

def test_a_reload_judges_again_what_waits(warden):
    denied, _ = asked(warden, "git", "push")
    warden.reload_policy(policy("  - {name: no-git, command: git, action: deny}\n"))
    code, _, words = finish(denied)
    assert code == 126 and "refused by no-git" in words
    warden.reload_policy(policy("  - {command: git, action: ask}\n"))
    allowed, _ = asked(warden, "git", "--version")
    warden.reload_policy(policy("  - {name: free-git, command: git, action: allow}\n"))
    code, out, _ = finish(allowed)
    assert code == 0 and out.startswith(b"git version")
    one(warden.decisions(), rule="free-git", decision="allow")


# ---- caps ----

def test_too_many_waiting_is_a_cap_and_stalls_nobody(make_warden):
    warden = make_warden(options={"waiting_max_per_caller": 3})
    waiting = [warden.popen("git", "push") for _ in range(3)]
    warden.wait_queue(3)
    done = warden.run("git", "push")
    assert done.returncode == 126 and b"this is a cap, not a rule: try again later" in done.stderr
    assert warden.run("echo", "on").stdout == b"on\n"
    assert one(warden.decisions(), decision="limited")["command"] == "git"
    for p in waiting:
        p.kill()
        p.communicate()


def test_a_flood_of_asks_leaves_few_records(make_warden):
    warden = make_warden(options={"asks_per_minute": 2})
    for _ in range(2):
        p, entry = asked(warden, "git", "push")
        assert warden.deny(entry["id"]).returncode == 0
        finish(p)
    for _ in range(30):
        assert warden.run("git", "push").returncode == 126
    limited = [r for r in warden.decisions() if r["decision"] == "limited"]
    assert len(limited) == 10


# ---- the log ----

@needs_root
def test_a_full_disk_refuses_and_recovers_and_loses_nothing(make_warden, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(disk)], check=True)
    try:
        warden = make_warden(options={"audit": disk / "audit.jsonl"}, start=False)
        warden.audit = disk / "audit.jsonl"
        warden.start()
        runs = warden.popen("sh", "-c", "read x; exit 5", stdin=subprocess.PIPE)
        wait_for(lambda: warden.decisions(), what="it runs")
        filler = disk / "filler"
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
        with pytest.raises(OSError, match="No space left"):
            while True:
                os.write(fd, b"x" * 512)
        os.close(fd)

        def refused():
            done = warden.run("echo", "hello")
            return done.returncode == 125 and b"cannot record" in done.stderr and not done.stdout

        wait_for(refused, what="commands are refused")  # what is left of the last page is used first
        runs.communicate(b"\n", timeout=10)  # the shim does not wait for the disk
        assert runs.returncode == 5
        assert refused() and warden.process.poll() is None
        filler.unlink()
        wait_for(lambda: [r for r in warden.ends() if r.get("exit_code") == 5], what="the end is on record")
        assert warden.run("echo", "hello").stdout == b"hello\n"
        one(warden.records_of("recovered"))
        assert warden.cli("audit", "verify", str(warden.audit)).returncode == 0
        warden.stop()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# ---- the page about records ----

def test_the_page_about_records_names_every_member_and_no_other(warden):
    """docs/records.md against what a warden writes."""
    page = (ROOT / "docs/records.md").read_text()
    warden.run("true")
    warden.run("rm", "x")
    warden.wait_ends()
    store = {"v", "seq", "prev", "hash"}
    optional = {"argv0", "args_omitted", "signal", "reported_by", "above", "replaced", "remember", "scope", "debuggers", "looks"}
    for event in ("decision", "end"):
        table = page.split(f"## event `{event}`")[1].split("##")[0]
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
        named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
        written = set(warden.records_of(event)[0]) - store
        assert named - optional == written
        assert all(f"`{x}`" in page for x in written | store)
