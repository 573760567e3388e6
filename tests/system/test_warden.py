# SPDX-License-Identifier: MIT
"""clawrden-warden itself: starting, options, reloading, stopping."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import wire
from conftest import BIN, POLICY, ROOT, Warden, needs_root, wait_for

DENY_ALL = "default_action: deny\n"
BROKEN = "default_action: deny\nrules:\n  - {comand: ls, action: allow}\n"


def program(*args, **kw):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CLAWRDEN_")}
    env.update(kw.pop("env", {}))
    return subprocess.run([str(BIN / "clawrden-warden"), *map(str, args)], capture_output=True, text=True,
                          timeout=20, env=env, **kw)


def refuses_to_start(w, code, words):
    assert w.spawn().wait(20) == code, w.log()
    w.process = None
    assert words in w.log(), w.log()


# ---- the service manager ----

class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def hear(self):
        data, credentials, _, _ = self.socket.recvmsg(4096)
        return data.decode()

    def hear_until(self, words):
        said = []
        while not said or words not in said[-1]:
            said.append(self.hear())
        return said


def test_systemd_hears_of_every_state(make_warden, tmp_path):
    m = Manager(tmp_path / "notify")
    w = make_warden(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"})
    assert m.hear() == "READY=1\nSTATUS=9 rules in force"
    begin = time.monotonic()
    assert [m.hear() for _ in range(4)] == ["WATCHDOG=1"] * 4
    assert time.monotonic() - begin < 3
    w.process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in m.hear_until("RELOADING=1")[-1]
    assert m.hear_until("READY=1")[-1] == "READY=1\nSTATUS=9 rules in force"
    # Not for the commands that it starts.
    assert b"NOTIFY_SOCKET" not in w.run("env").stdout and b"WATCHDOG" not in w.run("env").stdout
    for p in subprocess.run(["pgrep", "-P", str(w.pid)], capture_output=True, text=True).stdout.split():
        assert b"NOTIFY_SOCKET" not in open(f"/proc/{p}/environ", "rb").read()
    w.stop()
    m.hear_until("STOPPING=1")


def test_systemd_hears_that_a_policy_was_refused(make_warden, tmp_path):
    m = Manager(tmp_path / "notify")
    w = make_warden(env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    w.set_policy(BROKEN)
    w.process.send_signal(signal.SIGHUP)
    m.hear_until("RELOADING=1")
    assert m.hear_until("READY=1")[-1] == "READY=1\nSTATUS=the new policy was refused: 9 rules in force"


def test_a_manager_that_is_not_there_is_no_hindrance(make_warden):
    w = make_warden(env={"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1000000"})
    assert w.run("true").returncode == 0


def test_a_warden_that_hangs_gives_no_sign_of_life(make_warden, tmp_path):
    m = Manager(tmp_path / "notify")
    w = make_warden(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"})
    m.hear_until("WATCHDOG=1")
    w.process.send_signal(signal.SIGSTOP)
    m.socket.settimeout(0.6)
    with pytest.raises(TimeoutError):
        for _ in range(20):
            m.hear()
    w.process.send_signal(signal.SIGCONT)
    m.hear_until("WATCHDOG=1")


def test_the_unit_is_one_that_systemd_understands(tmp_path):
    text = (ROOT / "packaging/systemd/clawrden-warden.service.in").read_text()
    unit = tmp_path / "clawrden-warden.service"
    unit.write_text(text.replace("@SBINDIR@/clawrden-warden", str(BIN / "clawrden-warden")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and unit.name not in done.stdout + done.stderr, done.stderr
    said = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=90", str(unit)], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout[-200:]
    # What is started must not live in another box than its callers.
    assert not re.search(r"^(Protect|Private|NoNewPrivileges|ReadOnly|Inaccessible|SystemCall|Restrict|RootDir)", text, re.M)


@needs_root
def test_its_directories_and_group(tmp_path):
    for kind, tool in (("tmpfiles", ["systemd-tmpfiles", "--create"]), ("sysusers", ["systemd-sysusers"])):
        (tmp_path / f"usr/lib/{kind}.d").mkdir(parents=True)
        (tmp_path / f"usr/lib/{kind}.d/clawrden.conf").write_text((ROOT / f"packaging/systemd/clawrden.{kind}").read_text())
        (tmp_path / "etc").mkdir(exist_ok=True)
        done = subprocess.run([*tool, f"--root={tmp_path}", "clawrden.conf"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done
    modes = {d: oct((tmp_path / d).stat().st_mode & 0o777) for d in ("run/clawrden", "etc/clawrden", "var/lib/clawrden", "var/log/clawrden")}
    assert modes == {"run/clawrden": "0o755", "etc/clawrden": "0o755", "var/lib/clawrden": "0o700", "var/log/clawrden": "0o700"}
    assert re.search(r"^clawrden:x:\d+:$", (tmp_path / "etc/group").read_text(), re.M)


# ---- options ----

def options():
    return re.findall(r"^  --([a-z0-9-]+)", program("--help").stdout, re.M)


def test_help_and_version():
    assert program("--help").returncode == 0
    assert re.fullmatch(r"clawrden-warden \S+\n", program("--version").stdout)


def test_the_manual_page_has_every_option_and_no_other():
    page = (ROOT / "docs/man/clawrden-warden.8.scd").read_text()
    part = page[page.index("# OPTIONS"):page.index("# SIGNALS")]
    named = {name for line in part.splitlines() if line.startswith("*--")
             for name in re.findall(r"\*--([a-z0-9-]+)\*", line)}
    assert named == set(options())


def test_the_manual_page_has_the_defaults():
    page = (ROOT / "docs/man/clawrden-warden.8.scd").read_text()
    if os.geteuid() != 0:
        return  # the page has root's
    for name, default in re.findall(r"^  --([a-z0-9-]+) .*\n +.* \[(.*)\]$", program("--help").stdout, re.M):
        head = re.search(rf"^\*--.*--{name}\*|^\*--{name}\*", page, re.M)
        block = page[head.start():page.index("\n\n", head.start())]
        assert default in block.replace("\n\t", " "), (name, default)


def test_unknown_options_are_refused_with_a_suggestion():
    done = program("--polcy", "x")
    assert done.returncode == 78 and "did you mean 'policy'?" in done.stderr


def test_options_from_file_and_environment(make_warden):
    w = make_warden(start=False)
    file = w.dir / "clawrden.yaml"
    file.write_text(f"socket: {w.dir}/elsewhere/w.sock\nsocket_mode: '0600'\nlog-format: json\n")
    w.options.update({"config": file, "socket": None})
    w.env["CLAWRDEN_SOCKET_MODE"] = "0640"
    w.socket = w.dir / "elsewhere" / "w.sock"
    w.start()
    assert stat.S_IMODE(w.socket.stat().st_mode) == 0o640
    for line in w.log().splitlines():
        assert {"time", "level", "message"} <= set(json.loads(line))


def test_a_fault_in_the_file_has_its_place(make_warden):
    w = make_warden(start=False)
    file = w.dir / "clawrden.yaml"
    file.write_text("log-level: info\nsokcet: /x\n")
    w.options["config"] = file
    refuses_to_start(w, 78, f"{file}:2:1: unknown option 'sokcet'; did you mean 'socket'?")


# ---- refusing to start ----

def test_no_policy_no_warden(make_warden):
    w = make_warden(start=False)
    w.policy.unlink()
    refuses_to_start(w, 78, str(w.policy))
    assert not w.socket.exists()


def test_a_broken_policy_no_warden(make_warden):
    w = make_warden(BROKEN, start=False)
    refuses_to_start(w, 78, f"{w.policy}:3:6")
    assert not w.socket.exists()


@pytest.mark.parametrize("what", ["policy", "state", "audit", "config"])
def test_what_others_can_write_is_refused(make_warden, what):
    w = make_warden(start=False)
    if what == "policy":
        w.policy.chmod(0o666)
    elif what == "state":
        w.state.mkdir()
        w.state.chmod(0o777)
    elif what == "audit":
        w.audit.write_text("")
        w.audit.chmod(0o622)
    else:
        w.options["config"] = w.dir / "c.yaml"
        w.options["config"].write_text("log-level: info\n")
        w.options["config"].chmod(0o666)
    assert w.spawn().wait(20) in (1, 78)
    w.process = None
    assert "others can" in w.log(), w.log()
    assert not w.socket.exists()


@needs_root
def test_a_policy_of_somebody_else_is_refused(make_warden):
    w = make_warden(start=False)
    os.chown(w.policy, 61234, 61234)
    refuses_to_start(w, 78, "belongs to uid 61234")


def test_an_api_that_others_could_reach_is_refused(make_warden):
    w = make_warden(start=False)
    w.options["api"] = "0.0.0.0:0"
    assert w.spawn().wait(20) in (1, 78)
    w.process = None
    assert not w.socket.exists(), "nothing was accepted"


def test_an_address_that_is_taken_is_said_with_what_to_do(make_warden):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        w = make_warden(options={"api": f"127.0.0.1:{port}"}, start=False)
        refuses_to_start(w, 1, f"choose one with --api 127.0.0.1:PORT (0 picks one), or \"none\": cannot listen at 127.0.0.1:{port}")


def test_a_missing_helper_is_said(make_warden):
    w = make_warden(start=False)
    w.options["mirror_binary"] = w.dir / "none"
    assert w.spawn().wait(20) in (1, 78)
    w.process = None
    assert "none" in w.log()


# ---- what stands there ----

def test_state_is_private(warden):
    assert stat.S_IMODE(warden.state.stat().st_mode) == 0o700
    for name in ("token", "api.sock", "lock"):
        assert stat.S_IMODE((warden.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(warden.audit.stat().st_mode) == 0o600


def test_the_address_is_printed_and_answers(warden):
    import urllib.request
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", warden.api_url)
    with urllib.request.urlopen(warden.api_url + "/readyz", timeout=5) as answer:
        assert json.load(answer)["status"] == "ready"
    request = urllib.request.Request(warden.api_url + "/api/status",
                                     headers={"Authorization": f"Bearer {warden.token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def test_its_memory_is_closed_to_its_own_user(make_warden):
    """A warden that is not root runs under the uid of its agents."""
    w = make_warden()
    attach = subprocess.run(["cat", f"/proc/{w.pid}/environ"], capture_output=True,
                            **({"user": 61234, "group": 61234} if os.getuid() == 0 else {}))
    assert attach.returncode != 0
    assert os.stat(f"/proc/{w.pid}/mem").st_uid == 0


# ---- reloading ----

def asks(w, *argv):
    with wire.Conn(w.socket) as c:
        c.send(wire.v2_request(*argv))
        return c.refusal()


def test_a_rename_over_the_policy_is_seen(warden):
    warden.reload_policy(POLICY.replace("no-rm", "other-name"))
    assert "other-name" in asks(warden, "rm", "x")[1]


def test_writing_into_the_policy_is_seen(warden):
    warden.policy.write_text(POLICY.replace("no-rm", "other-name"))
    wait_for(lambda: "other-name" in asks(warden, "rm", "x")[1])


def test_a_config_map_s_swap_is_seen(make_warden):
    """policy.yaml -> ..data/policy.yaml, ..data -> ..1, and ..data is renamed over."""
    w = make_warden(start=False)
    maps = w.dir / "maps"
    maps.mkdir()
    for version, name in (("..1", "first-name"), ("..2", "second-name")):
        (maps / version).mkdir()
        (maps / version / "policy.yaml").write_text(POLICY.replace("no-rm", name))
    (maps / "..data").symlink_to("..1")
    (maps / "policy.yaml").symlink_to("..data/policy.yaml")
    w.policy = maps / "policy.yaml"
    w.start()
    assert "first-name" in asks(w, "rm", "x")[1]
    (maps / "..tmp").symlink_to("..2")
    os.rename(maps / "..tmp", maps / "..data")
    wait_for(lambda: "second-name" in asks(w, "rm", "x")[1])
    (maps / "..2" / "policy.yaml").write_text(POLICY.replace("no-rm", "third-name"))
    wait_for(lambda: "third-name" in asks(w, "rm", "x")[1])


def test_a_directory_put_in_place_of_another_is_seen(make_warden):
    w = make_warden(start=False)
    for n in ("a", "b"):
        (w.dir / n).mkdir()
        (w.dir / n / "policy.yaml").write_text(POLICY.replace("no-rm", f"name-{n}"))
    w.policy = w.dir / "a" / "policy.yaml"
    w.start()
    (w.dir / "a").rename(w.dir / "old")
    (w.dir / "b").rename(w.dir / "a")
    wait_for(lambda: "name-b" in asks(w, "rm", "x")[1])
    w.policy.write_text(POLICY.replace("no-rm", "name-c"))
    wait_for(lambda: "name-c" in asks(w, "rm", "x")[1])


def test_sighup_reads_it_again(warden):
    before = warden.log().count("(SIGHUP)")
    warden.process.send_signal(signal.SIGHUP)
    wait_for(lambda: warden.log().count("(SIGHUP)") > before)
    assert warden.run("true").returncode == 0


def test_a_broken_policy_keeps_the_old_and_says_where(warden):
    warden.set_policy(BROKEN)
    wait_for(lambda: "policy not reloaded" in warden.log())
    assert f"{warden.policy}:3:6" in warden.log()
    assert "no-rm" in asks(warden, "rm", "x")[1]
    status = warden.cli("status", "--json", check=True).stdout
    assert f"{warden.policy}:3:6" in status
    warden.reload_policy(POLICY.replace("no-rm", "mended"))
    assert "mended" in asks(warden, "rm", "x")[1]
    assert f"{warden.policy}:3:6" not in warden.cli("status", "--json", check=True).stdout


def test_a_policy_that_is_removed_keeps_the_old(warden):
    warden.policy.unlink()
    wait_for(lambda: "policy not reloaded" in warden.log())
    assert "no-rm" in asks(warden, "rm", "x")[1]
    warden.reload_policy(POLICY.replace("no-rm", "back"))
    assert "back" in asks(warden, "rm", "x")[1]


def test_a_reload_never_leaves_a_gap(warden):
    """Callers during many reloads are judged by one policy or the other."""
    stop = threading.Event()

    def reload():
        n = 0
        while not stop.is_set():
            warden.set_policy(BROKEN if n % 3 == 2 else POLICY.replace("no-rm", f"name-{n}"))
            n += 1
            time.sleep(0.02)

    t = threading.Thread(target=reload)
    t.start()
    try:
        for _ in range(200):
            assert asks(warden, "rm", "x")[0] == 126
    finally:
        stop.set()
        t.join()


# ---- stopping ----

def test_sigterm_lets_what_runs_end(warden):
    p = warden.popen("sh", "-c", "echo on; sleep 1; echo off")
    assert p.stdout.readline() == b"on\n"
    warden.process.send_signal(signal.SIGTERM)
    assert p.stdout.read() == b"off\n" and p.wait(10) == 0
    p.stdout.close(), p.stderr.close()
    assert warden.process.wait(10) == 0
    assert warden.ends()[-1]["exit_code"] == 0


def test_sigterm_kills_what_does_not_end(make_warden):
    w = make_warden(options={"drain_timeout": "500ms", "kill_grace": "500ms"})
    p = w.popen("sh", "-c", "trap '' TERM; echo on; sleep 60")
    assert p.stdout.readline() == b"on\n"
    start = time.monotonic()
    w.process.send_signal(signal.SIGTERM)
    assert w.process.wait(10) == 0
    assert time.monotonic() - start < 8
    assert p.wait(10) != 0
    p.stdout.close(), p.stderr.close()
    assert w.ends(), "the end is on record"


def test_a_second_sigterm_does_not_wait(make_warden):
    w = make_warden(options={"drain_timeout": "60s", "kill_grace": "500ms"})
    p = w.popen("sh", "-c", "echo on; sleep 60")
    assert p.stdout.readline() == b"on\n"
    w.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in w.log())
    w.process.send_signal(signal.SIGTERM)
    assert w.process.wait(10) == 0
    assert p.wait(10) != 0
    p.stdout.close(), p.stderr.close()


def test_a_stop_is_on_record_and_the_chain_holds(warden):
    assert warden.run("true").returncode == 0
    assert warden.stop() == 0
    done = subprocess.run([str(BIN / "clawrden"), "audit", "verify", str(warden.audit)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert warden.records()[-1]["event"] == "stop"


def test_old_audit_files_go_with_a_record_and_the_chain_holds(make_warden):
    w = make_warden(options={"audit_rotate_size": "64K", "audit_keep_files": "1"})
    rotated = lambda: sorted(w.dir.glob("audit.jsonl.2*"))
    pruned = lambda: w.records_of("prune")
    deadline = time.monotonic() + 60
    while not pruned() and time.monotonic() < deadline:
        w.run("true", "x" * 20000)
    assert pruned()[-1]["first_seq"] == 1 and pruned()[-1]["last_seq"] >= 4
    wait_for(lambda: len(rotated()) == 1, what="the older file is removed")
    done = w.cli("audit", "verify", w.audit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert w.run("true").returncode == 0
    # By hand it is a loss.
    rotated()[0].unlink()
    done = w.cli("audit", "verify", w.audit)
    assert done.returncode == 1, done.stdout


def test_a_waiting_shim_survives_a_restart(warden):
    p = warden.popen("git", "--version")
    entry = warden.wait_queue()[0]
    warden.restart()
    again = warden.wait_queue()[0]
    assert again["id"] == entry["id"]
    assert warden.approve(entry["id"]).returncode == 0
    out, errors = p.communicate(timeout=20)
    assert p.returncode == 0 and out.startswith(b"git version"), errors


@needs_root
def test_what_a_killed_helper_left_does_not_hinder_the_next_of_its_pid():
    """In a pid namespace of its own the helper has the same pid each time, and so a cgroup of the same name."""
    for life in range(2):
        w = Warden(start=False)
        command = w.command()
        w.command = lambda command=command: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]
        try:
            w.start()
            assert "no cgroup of their own" not in w.log()
        finally:
            w.process.kill()  # and with it all of the namespace: nobody tidies up
            w.process.wait()
            w.process = None
            w.close()
