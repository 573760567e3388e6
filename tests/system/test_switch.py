# SPDX-License-Identifier: MIT
"""The kill switch on this host: kill, pause, resume, panic, for one command and for everything; over restarts and
crashes, with a log that takes no records, and at doors that know their prisoner by a cgroup alone."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import AGENT_UID, needs_root, wait_for

CGROUPS = pathlib.Path("/sys/fs/cgroup")
ASKS = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {command: sleep, action: allow}
  - {command: "true", action: allow}
  - {command: sh, action: allow}
  - {command: short, action: allow}
  - {name: ask-git, command: git, action: ask, approval_timeout: 3s}
  - {name: ask-ls, command: ls, action: ask, approval_timeout: 5m}
  - {name: quick, command: cat, action: allow, timeout: 2s}
"""


def post(w, path, body, token=None):
    """The status and the answer."""
    request = urllib.request.Request(w.api_url + path, data=json.dumps(body).encode(), method="POST", headers={
        "Content-Type": "application/json", "Authorization": f"Bearer {token or w.token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def ticks(pid):
    """Processor time of a process, in clock ticks."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def stands_still(pid):
    before = ticks(pid)
    time.sleep(0.3)
    return ticks(pid) == before


def running(w, n=1):
    return wait_for(lambda: (r := json.loads(w.cli("running", "--json", check=True).stdout)) and len(r) >= n
                    and all(x["command_pid"] for x in r) and r, what=f"{n} run")


BUSY = ("sh", "-c", "while :; do :; done")


# ---- one command ----

@needs_root
def test_a_command_stands_still_and_goes_on(make_warden):
    w = make_warden(ASKS)
    with w.popen(*BUSY) as p:
        row = running(w)[0]
        pid = row["command_pid"]
        assert not stands_still(pid) and not row["paused"]
        done = w.cli("pause", "--yes", row["id"], "--reason", "too warm")
        assert done.returncode == 0 and done.stdout.startswith(f"paused {row['id']}"), done
        wait_for(lambda: stands_still(pid), what="it stands still")
        assert running(w)[0]["paused"] is True
        assert w.cli("pause", "--yes", row["id"]).returncode == 0  # once more changes nothing
        assert "paused" in w.cli("status").stdout
        assert w.cli("resume", "--yes", row["id"]).returncode == 0
        wait_for(lambda: not stands_still(pid), what="it goes on")
        done = w.cli("resume", "--yes", row["id"])
        assert done.returncode == 1 and "not paused" in done.stderr
        w.cli("kill", "--yes", "--signal", "KILL", row["id"], check=True)
        assert p.wait(10) == -9
    kinds = [(r["event"], r.get("scope"), r.get("request"), r["by"], r["reason"]) for r in w.records()
             if r["event"] in ("pause", "resume", "kill")]
    assert [k[0] for k in kinds] == ["pause", "pause", "resume", "kill"]
    assert kinds[0] == ("pause", "request", row["id"], "root", "too warm")


def helper_cgroup(w):
    """In which the helper makes one for each command; skips where there is none."""
    pid = next(int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
               and process(p.name)[:2] == ["clawrden-mirror", str(w.process.pid)])
    found = [pathlib.Path(d) / f"clawrden-{pid}" for d, dirs, _ in os.walk(CGROUPS) if f"clawrden-{pid}" in dirs]
    if not found:
        pytest.skip("no cgroup of version 2 can be made here")
    return found[0]


def process(pid):
    """Its name and its parent."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ["", ""]
    found = dict(f.split(":", 1) for f in fields if ":" in f)
    return [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rsplit("/")[-1] or found["Name"].strip(),
            found["PPid"].strip()]


@needs_root
def test_what_has_no_cgroup_is_not_called_paused(make_warden):
    w = make_warden(ASKS)
    with w.popen(*BUSY) as one:
        first = running(w)[0]
        base = helper_cgroup(w)
        (base / "cgroup.max.descendants").write_text(str(sum(d.is_dir() for d in base.iterdir())))
        with w.popen(*BUSY) as two:
            second = next(r for r in running(w, 2) if r["id"] != first["id"])
            done = w.cli("pause", "--yes", second["id"])
            assert done.returncode == 1 and "no cgroup of its own" in done.stderr, done
            assert not stands_still(second["command_pid"])
            assert json.loads(w.cli("status", "--json").stdout)["paused"] == []
            done = w.cli("panic", "--yes")
            assert done.returncode == 1 and f"{second['id']} runs on: " in done.stderr and "1 command" in done.stdout, done
            assert stands_still(first["command_pid"]) and not stands_still(second["command_pid"])
            status, said = post(w, "/api/pause", {"all": True})
            assert status == 200 and said["failed"] == 1 and said["frozen"] == [first["id"]], said
            assert [x["id"] for x in said["not_frozen"]] == [second["id"]] and "cgroup" in said["not_frozen"][0]["error"]
            w.cli("kill", "--yes", "--all", check=True)
            assert one.wait(10) == two.wait(10) == -9
    errors = [r["error"] for r in w.records() if r["event"] == "pause" and "error" in r]
    assert len(errors) == 3 and all(second["id"] in e and "cgroup" in e for e in errors), errors


@needs_root
def test_what_does_not_stand_still_is_not_called_paused(make_warden):
    freezer = CGROUPS / "freezer" / f"clawrden-test-{os.getpid()}"
    if not freezer.parent.is_dir():
        pytest.skip("no freezer of version 1, in which a process hears of no other")
    w = make_warden(ASKS)
    freezer.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(freezer.rmdir)
        p = stack.enter_context(w.popen(*BUSY))
        row = running(w)[0]
        (freezer / "cgroup.procs").write_text(str(row["command_pid"]))
        (freezer / "freezer.state").write_text("FROZEN")
        stack.callback(lambda: ((freezer / "freezer.state").write_text("THAWED"), p.kill(), p.wait(10),
                                wait_for(lambda: not (freezer / "cgroup.procs").read_text(), what="it is empty")))
        wait_for(lambda: (freezer / "freezer.state").read_text() == "FROZEN\n", what="it is frozen")
        done = w.cli("pause", "--yes", row["id"])
        assert done.returncode == 1 and "does not stand still" in done.stderr, done
        (freezer / "freezer.state").write_text("THAWED")
        wait_for(lambda: not stands_still(row["command_pid"]), what="it goes on, and was not left half stopped")
        assert json.loads(w.cli("status", "--json").stdout)["paused"] == []
        assert w.cli("pause", "--yes", row["id"]).returncode == 0 and stands_still(row["command_pid"])
        w.cli("resume", "--yes", "--all", check=True)


@needs_root
def test_a_paused_command_is_killed_at_once(make_warden):
    w = make_warden(ASKS, options={"kill_grace": "60s"})
    with w.popen(*BUSY) as p:
        row = running(w)[0]
        w.cli("pause", "--yes", row["id"], check=True)
        started = time.monotonic()
        w.cli("kill", "--yes", row["id"], check=True)
        assert p.wait(20) == -9 and time.monotonic() - started < 30
        assert json.loads(w.cli("status", "--json").stdout)["paused"] == []  # it ended with the command


@needs_root
def test_the_time_of_a_paused_command_stands_still(make_warden):
    w = make_warden(ASKS)
    with w.popen("cat", stdin=subprocess.PIPE) as p:  # has two seconds
        row = running(w)[0]
        w.cli("pause", "--yes", row["id"], check=True)
        time.sleep(3)
        assert p.poll() is None
        w.cli("resume", "--yes", row["id"], check=True)
        assert p.wait(20) == 124


def test_a_paused_request_waits_however_long(make_warden):
    w = make_warden(ASKS)
    with w.popen("git", "push") as p:  # three seconds for an answer
        row = w.wait_queue()[0]
        w.cli("pause", "--yes", row["id"], check=True)
        assert w.queue()[0]["deadline"] is None and w.queue()[0]["paused"] is True
        time.sleep(4)
        assert p.poll() is None and len(w.queue()) == 1
        w.cli("resume", "--yes", row["id"], check=True)
        assert p.wait(20) == 126
    assert w.decisions()[-1]["decision"] == "ask-expired"


def test_ids_that_are_unknown_or_have_ended(make_warden):
    w = make_warden(ASKS)
    assert w.run("true").returncode == 0
    ended = w.decisions()[-1]["id"]
    unknown = "01900000-0000-7000-8000-000000000000"
    for path in ("/api/kill", "/api/pause", "/api/resume"):
        assert post(w, path, {"id": unknown})[0] == 404
        status, body = post(w, path, {"id": ended})
        assert status == 409, body
        assert post(w, path, {"container": "nothing"})[0] == 404
        for body in ({}, {"all": False}, {"id": ended, "all": True}, {"container": ""}, {"all": True, "reason": "x" * 300},
                     {"all": True, "what": 1}, {"id": 5}):
            assert post(w, path, body)[0] == 400, (path, body)
    assert post(w, "/api/pause", {"all": True, "resume_after": "-1s"})[0] == 400
    assert post(w, "/api/pause", {"all": True, "resume_after": 0})[0] == 400
    assert post(w, "/api/resume", {"all": True, "resume_after": "1s"})[0] == 400
    assert post(w, "/api/kill", {"all": True}, token="clw_" + "0" * 40)[0] == 401
    assert post(w, "/api/resume", {"all": True})[1]["error"]["code"] == "not_paused"


# ---- everything ----

@needs_root
def test_panic_stops_what_runs_and_what_comes(make_warden):
    w = make_warden(ASKS)
    with w.popen(*BUSY) as busy:
        pid = running(w)[0]["command_pid"]
        done = w.cli("panic", "--yes", "--reason", "something is wrong")
        assert done.returncode == 0 and done.stdout.startswith("paused everything"), done
        wait_for(lambda: stands_still(pid))
        allowed, denied = w.popen("true"), w.run("rm", "x")
        assert denied.returncode == 126  # a no needs no permission to run
        asked = w.popen("ls", "/")
        rows = {r["command"]: r for r in w.wait_queue(2)}
        assert rows["true"]["verdict"] == "allow" and rows["true"]["paused"]
        assert allowed.poll() is None
        done = w.approve(rows["true"]["id"])
        assert done.returncode == 1 and "when it is resumed" in done.stderr
        assert w.approve(rows["ls"]["id"]).returncode == 0
        assert "has approved it" in w.approve(rows["ls"]["id"]).stderr
        time.sleep(0.5)
        assert allowed.poll() is None and asked.poll() is None
        w.cli("resume", "--yes", "--all", check=True)
        assert allowed.wait(20) == 0 and asked.wait(20) == 0
        wait_for(lambda: not stands_still(pid))
        w.cli("kill", "--yes", "--all", "--signal", "KILL", check=True)
        assert busy.wait(10) == -9
    assert w.decisions()[-1]["approver"] == "root" or w.decisions()[-2]["approver"] == "root"
    assert w.cli("audit", "verify", str(w.audit)).returncode == 0


def test_a_no_counts_while_everything_is_paused(make_warden):
    w = make_warden(ASKS)
    w.cli("panic", "--yes", check=True)
    with w.popen("true") as a, w.popen("ls", "/") as b:
        rows = {r["command"]: r for r in w.wait_queue(2)}
        w.deny(rows["true"]["id"])
        w.cli("kill", "--yes", rows["ls"]["id"], "--reason", "no", check=True)
        assert a.wait(10) == 126 and b.wait(10) == 126
    w.cli("resume", "--yes", "--all", check=True)
    assert [d["decision"] for d in w.decisions()[-2:]] == ["ask-denied", "ask-denied"]


def test_a_caller_that_goes_while_paused_starts_nothing(make_warden):
    w = make_warden(ASKS)
    w.cli("panic", "--yes", check=True)
    mark = w.work / "mark"
    p = w.popen("sh", "-c", f"touch {mark}")
    w.wait_queue()
    p.kill()
    p.communicate()
    wait_for(lambda: w.queue() == [])
    w.cli("resume", "--yes", "--all", check=True)
    assert w.run("true").returncode == 0 and not mark.exists()
    assert "withdrawn" in [d["decision"] for d in w.decisions()]


def test_it_goes_on_by_itself(make_warden):
    w = make_warden(ASKS)
    w.cli("panic", "--yes", "--resume-after", "2s", check=True)
    started = time.monotonic()
    assert w.run("true").returncode == 0
    assert time.monotonic() - started > 1
    resume = w.records_of("resume")[-1]
    assert resume["by"] == "clawrden" and resume["reason"] == "its time is up"
    assert w.records_of("pause")[-1]["until"]


def test_kill_everything_denies_what_waits(make_warden):
    w = make_warden(ASKS)
    with w.popen("sleep", "60") as a, w.popen("ls") as b:
        running(w)
        w.wait_queue()
        status, body = post(w, "/api/kill", {"all": True, "reason": "enough", "signal": "KILL"})
        assert status == 200 and len(body["killed"]) == 2 and body["recorded"] is True
        assert a.wait(10) == -9 and b.wait(10) == 126
    record = w.records_of("kill")[-1]
    assert (record["scope"], record["by"], record["reason"], record["signal"]) == ("all", "token", "enough", "KILL")
    assert w.records().index(record) < w.records().index(w.ends()[-1])


# ---- the warden comes and goes ----

@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_pause_outlives_the_warden(make_warden, how):
    w = make_warden(ASKS)
    w.cli("panic", "--yes", "--reason", "stay", check=True)
    with w.popen("true") as held, w.popen("ls", "/") as asked:
        before = {r["command"]: r["id"] for r in w.wait_queue(2)}
        getattr(w, how)()
        w.start()
        rows = {r["command"]: r for r in w.wait_queue(2, timeout=40)}
        assert {c: r["id"] for c, r in rows.items()} == before  # both came back to their place
        assert all(r["paused"] for r in rows.values())
        assert held.poll() is None
        assert [r["restored"] for r in w.records_of("pause") if "restored" in r] == [True]
        assert w.approve(rows["ls"]["id"]).returncode == 0
        w.cli("resume", "--yes", "--all", check=True)
        assert held.wait(20) == 0 and asked.wait(20) == 0
    assert w.cli("audit", "verify", str(w.audit)).returncode == 0


def test_a_time_that_passed_while_no_warden_ran(make_warden):
    w = make_warden(ASKS)
    w.cli("panic", "--yes", "--resume-after", "1s", check=True)
    w.kill()
    time.sleep(1.2)
    w.start()
    assert w.run("true").returncode == 0


def test_a_pause_before_its_record_counts(make_warden):
    """Killed between what is on the disk and the record: the next warden has the pause, and records it."""
    w = make_warden(ASKS)
    w.cli("panic", "--yes", check=True)
    text = (w.state / "paused.json").read_text()
    w.cli("resume", "--yes", "--all", check=True)
    w.kill()
    (w.state / "paused.json").write_text(text)
    w.start()
    assert json.loads(w.cli("status", "--json").stdout)["paused"][0]["scope"] == "all"
    assert w.records_of("pause")[-1]["restored"] is True


def test_pauses_that_cannot_be_read_stop_the_start(make_warden):
    w = make_warden(ASKS)
    w.stop()
    for text in ("{", "{}", '{"version":1,"paused":[{"scope":"all"}]}', '{"version":9,"paused":[]}'):
        (w.state / "paused.json").write_text(text)
        w.spawn()
        assert w.process.wait(20) != 0
        assert "what is paused" in w.log(since_start=True)
        w.process = None
    (w.state / "paused.json").unlink()
    w.start()


# ---- a log that takes no records ----

@needs_root
def test_a_full_disk_does_not_disarm_the_switch(make_warden, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        w = make_warden(ASKS, options={"audit": disk / "audit.jsonl"})
        with w.popen(*BUSY) as p:
            row = running(w)[0]
            with open(disk / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
                while True:
                    f.write(b"x" * 4096)
            wait_for(lambda: w.run("true").returncode == 125)  # nothing can be recorded any more
            status, body = post(w, "/api/pause", {"id": row["id"]})
            assert (status, body["recorded"]) == (200, False), body
            wait_for(lambda: stands_still(row["command_pid"]))
            status, body = post(w, "/api/resume", {"id": row["id"]})
            assert (status, body["error"]["code"]) == (503, "unrecorded")  # to let go needs the record
            assert stands_still(row["command_pid"])
            status, body = post(w, "/api/kill", {"id": row["id"]})
            assert (status, body["recorded"]) == (200, False), body
            assert p.wait(10) == -9
            (disk / "filler").unlink()
            wait_for(lambda: w.run("true").returncode == 0)
        records = [json.loads(x) for x in (disk / "audit.jsonl").read_bytes().splitlines()]
        assert {"pause", "kill"} <= {r["event"] for r in records}
        assert w.cli("audit", "verify", str(disk / "audit.jsonl")).returncode == 0
        w.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# ---- who may ----

@needs_root
def test_an_agent_cannot_use_the_switch(make_warden):
    w = make_warden(ASKS)
    body = '{"all": true}'
    script = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{w.api_socket}'); "
              f"s.sendall(b'POST /api/resume HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\n"
              f"Content-Length: {len(body)}\\r\\n\\r\\n{body}'); print(s.recv(100))")
    w.reload_policy(ASKS + '  - {command: python3, action: allow}\n')
    done = w.run("python3", "-c", script)
    assert b"401" in done.stdout, done
