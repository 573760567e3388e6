# SPDX-License-Identifier: MIT
"""clawrden run: an agent on this machine, governed, seen from outside and from inside."""
import contextlib
import ctypes
import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import time

import pytest

from conftest import AGENT_UID, BIN, ROOT, needs_root, wait_for
from runs import POLICY, any_run, child, make_run, make_terminal  # noqa: F401: fixtures

TRY = 'try() { if ( : >"$1" ) 2>/dev/null; then echo "wrote $1"; else echo "refused $1"; fi; }; '


# ---- the agent's side of it ----

def test_stdout_is_the_agents_alone_and_its_status_comes_through(any_run):
    done = any_run.sh("echo out; echo err >&2; exit 7")
    assert done.stdout == b"out\n"
    assert done.returncode == 7
    lines = [x for x in done.stderr.splitlines() if x.startswith("clawrden: ")]
    assert len(lines) == 4, done.stderr  # three lines before, one behind
    assert lines[0].startswith("clawrden: judged: every program") and str(any_run.work) in lines[0]
    assert "network: the host's" in lines[1] and "sudo and debuggers do not work" in lines[1]
    assert "clawrden queue --watch" in lines[2]
    assert re.search(r"1 command, 0 asked, 0 denied; log .*audit\.jsonl$", lines[3]), lines[3]
    assert "err\n" in done.stderr


def test_every_program_is_judged_and_recorded(any_run):
    done = any_run.sh("id -u; /usr/bin/env -i /bin/echo hidden; bash -lc 'rm -r x'; echo $?")
    user = any_run.user if any_run.user is not None else os.geteuid()
    assert done.stdout == f"{user}\nhidden\n126\n".encode()
    assert "refused by no-rm" in done.stderr and "instead: leave it" in done.stderr
    by = {d["command"]: d for d in any_run.decisions()}
    assert by["echo"]["decision"] == "allow" and by["echo"]["door"] == "gate"
    assert by["rm"]["decision"] == "deny" and by["rm"]["executable"]["path"] == "/usr/bin/rm"
    assert by["id"]["executable"]["trust"] == "trusted"
    assert done.stderr.splitlines()[-1].startswith("clawrden: 6 commands, 0 asked, 1 denied") or by, done.stderr


def test_a_killed_agent_gives_the_shells_status(any_run):
    assert any_run.sh("kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_a_command_that_is_not_there_is_127(any_run):
    done = any_run.run("no-such-command")
    assert done.returncode == 127 and "no-such-command" in done.stderr


def test_signals_reach_the_agent(any_run):
    p = any_run.popen("sh", "-c", "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(signal.SIGTERM)
    assert p.stdout.readline() == b"got\n"
    assert p.wait(20) == 9


def test_a_signal_while_it_starts_is_not_lost(make_run):
    """The gate is the first process of its namespace, where the kernel drops what nobody handles yet."""
    for i in range(12):
        r = make_run(user=AGENT_UID if os.geteuid() == 0 else None)
        p = r.popen("sleep", "60")
        while not any((s / "api.sock").exists() for s in r.sessions()):
            time.sleep(0.0005)
        time.sleep(0.001 * (i % 6))
        p.terminate()
        assert p.wait(20) == 128 + signal.SIGTERM


def test_standard_streams_pass_as_they_are(any_run):
    data = os.urandom(300000)
    p = any_run.popen("cat", stdin=subprocess.PIPE)
    out, _ = p.communicate(data, timeout=60)
    assert out == data and p.returncode == 0


# ---- a person ----

def test_what_asks_waits_for_a_person_in_another_terminal(any_run):
    subprocess.run(["git", "init", "-q", "--bare", "remote"], cwd=any_run.work, check=True)
    any_run.own()
    p = any_run.popen("sh", "-c", "git push >/dev/null 2>&1; echo $?; git push; echo $?")
    first = any_run.wait_queue()[0]
    assert first["command"] == "git" and first["rule"] == "push"
    assert any_run.cli("approve", first["id"]).returncode == 0
    assert p.stdout.readline() == b"128\n"  # it ran: there is nowhere to push to
    second = wait_for(lambda: [q for q in any_run.queue() if q["id"] != first["id"]], 20)[0]
    done = any_run.cli("deny", second["id"][-12:], "--comment", "not today")
    assert done.returncode == 0, done.stderr
    out, errors = p.communicate(timeout=20)
    assert out == b"126\n" and b"not today" in errors
    assert re.search(rb"3 commands, 2 asked, 1 denied, waited \d+(ms|s)", errors), errors


def test_several_sessions_are_one_queue(any_run):
    a = any_run.popen("git", "push", options={"name": "alpha"})
    b = any_run.popen("git", "push", options={"name": "beta"})
    waiting = any_run.wait_queue(2)
    for q in waiting:
        assert any_run.cli("deny", q["id"]).returncode == 0
    assert a.wait(20) == 126 and b.wait(20) == 126


def test_of_several_sessions_one_is_named(any_run):
    a = any_run.popen("sleep", "60", options={"name": "alpha"})
    b = any_run.popen("sleep", "60", options={"name": "beta"})
    wait_for(lambda: any_run.cli("--session", "alpha", "status").returncode == 0
             and any_run.cli("--session", "beta", "status").returncode == 0, 20)
    done = any_run.cli("history")
    assert done.returncode == 2 and "--session NAME (alpha beta)" in done.stderr
    done = any_run.cli("--session", "alpha", "status", "--json")
    assert "/alpha/" in json.loads(done.stdout)["audit_file"]
    for p in (a, b):
        p.terminate()
        assert p.wait(20) == 128 + signal.SIGTERM


def test_with_ask_none_what_would_wait_is_refused_at_once(any_run):
    start = time.monotonic()
    done = any_run.run("git", "push", options={"ask": "none"})
    assert done.returncode == 126 and time.monotonic() - start < 20
    assert "nobody is asked here" in done.stderr
    assert any_run.decisions()[-1]["decision"] == "limited"


def test_ask_tty_asks_at_the_real_terminal(any_run, make_terminal):
    t = make_terminal(any_run, "sh", "-c", "git push 2>/dev/null; echo first $?; git push; echo second $?",
                      options={"ask": "tty"})
    t.expect(b"the agent asks to run this")
    shown = t.expect(b"or n and why] ")
    assert b"git push" in shown and b"others see it" in shown
    t.type(b"n not now\r")
    t.expect(b"denied")
    t.expect(b"first 126")
    t.expect(b"or n and why] ")
    t.type(b"y\r")
    t.expect(b"second 128")
    assert t.wait() == 0
    assert [d["decision"] for d in any_run.decisions() if d["command"] == "git"] == ["ask-denied", "ask-approved"]


def test_a_yes_at_the_terminal_is_remembered(any_run, make_terminal):
    """For an unknown program, by path and content; for what a rule asks about it is not, and the question stays."""
    (any_run.work / "own").write_bytes(pathlib.Path("/bin/true").read_bytes())
    (any_run.work / "own").chmod(0o755)
    any_run.policy.write_text(POLICY + "unknown_executable: ask\n")
    any_run.own()
    t = make_terminal(any_run, "sh", "-c", "for i in 1 2 3; do ./own; done; echo own $?; git push 2>/dev/null; echo push $?", options={"ask": "tty"})
    t.expect(b"or n and why] ")
    t.type(b"r\r")
    t.expect(b"approved")
    t.expect(b"own 0")
    t.expect(b"or n and why] ")
    t.type(b"r\r")
    t.expect(b"only programs that are asked about because they are unknown")
    t.expect(b"or n and why] ")
    t.type(b"n\r")
    t.expect(b"push 126")
    assert t.wait() == 0
    assert [d["rule"] for d in any_run.decisions() if d["command"] == "own"] == ["unknown_executable", "remembered", "remembered"]


def test_a_terminal_that_is_not_the_controlling_one_works(any_run):
    """As behind `su -c`, which starts a session without one."""
    master, slave = pty.openpty()
    p = any_run.popen("bash", "--norc", "--noprofile", "-i", env={"TERM": "xterm", "PS1": "ready> "}, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    out = b""
    for see, keys in ((b"ready> ", b"echo $((6*7))\r"), (b"\r42\r", b"exit 3\r")):
        end = time.monotonic() + 20
        while see not in out:
            assert time.monotonic() < end, out
            if select.select([master], [], [], 0.2)[0]:
                out += os.read(master, 65536)
        os.write(master, keys)
    assert p.wait(20) == 3
    os.close(master)


def test_what_was_typed_before_the_question_is_no_answer(any_run, make_terminal):
    t = make_terminal(any_run, "sh", "-c", "echo go; sleep 2; git push; echo $?", options={"ask": "tty"})
    t.expect(b"go")
    t.type(b"y\ry\ry\r")  # to the agent
    t.expect(b"or n and why] ")
    time.sleep(1.5)
    t.read()
    assert b"approved" not in t.out
    t.type(b"n\r")
    t.expect(b"126")
    assert t.wait() == 0


def test_the_agent_cannot_answer_for_the_person(any_run, make_terminal):
    """It draws a question and reads what is typed: that approves nothing."""
    t = make_terminal(any_run, "sh", "-c", "printf 'clawrden: let it run? [y/n] '; read a; echo agent read $a", options={"ask": "tty"})
    t.expect(b"[y/n] ")
    t.type(b"y\r")
    t.expect(b"agent read y")
    assert t.wait() == 0
    assert not any(d["decision"].startswith("ask") for d in any_run.decisions())


# ---- the walls ----

def test_only_the_workspace_can_be_written(any_run):
    outside = any_run.home / "precious"
    outside.write_text("x")
    any_run.own()
    done = any_run.sh(f"{TRY} try here; try {outside}; try {any_run.home}/.profile; try /usr/bin/x; try /etc/x; "
                      f"try /tmp/own; try /dev/shm/own; ls /tmp; cat {outside}")
    assert done.stdout.decode().splitlines() == [
        "wrote here", f"refused {outside}", f"refused {any_run.home}/.profile", "refused /usr/bin/x", "refused /etc/x",
        "wrote /tmp/own", "wrote /dev/shm/own", "own", "x"]
    assert (any_run.work / "here").exists() and not pathlib.Path("/tmp/own").exists()


def test_more_can_be_written_or_hidden_by_name(any_run):
    for name in ("more", "secret"):
        (any_run.home / name).mkdir()
        (any_run.home / name / "file").write_text(name)
    any_run.own()
    done = any_run.sh(f"{TRY} try ../more/x; ls ../secret", options={"write": any_run.home / "more", "hide": any_run.home / "secret"})
    assert done.stdout == b"wrote ../more/x\n"


def test_hooks_and_config_of_the_workspace_cannot_be_changed(any_run):
    subprocess.run(["git", "init", "-q"], cwd=any_run.work, check=True)
    any_run.own()
    done = any_run.sh(f"{TRY} try .git/hooks/pre-commit; try .git/config; try .git/new; mv .git other 2>&1; mv .git/hooks .git/h 2>&1; "
                      "git config user.x y; echo $?")
    out = done.stdout.decode()
    assert "refused .git/hooks/pre-commit" in out and "refused .git/config" in out and "wrote .git/new" in out
    assert out.count("Device or resource busy") == 2 and not out.endswith("\n0\n"), out
    assert not (any_run.work / ".git/hooks/pre-commit").exists()


def test_git_still_works(any_run):
    subprocess.run(["git", "init", "-q"], cwd=any_run.work, check=True)
    any_run.own()
    done = any_run.sh("echo a >a && git add a && git -c user.name=a -c user.email=a@b commit -qm a && git log --oneline | wc -l")
    assert done.stdout.strip() == b"1", done.stderr


def test_a_commondir_left_in_the_repository_is_reported(any_run):
    subprocess.run(["git", "init", "-q"], cwd=any_run.work, check=True)
    any_run.own()
    done = any_run.sh("echo /elsewhere >.git/commondir")
    assert "BEWARE" in done.stderr and ".git/commondir" in done.stderr


def test_state_and_tokens_are_hidden(any_run):
    own = any_run.config if any_run.user is not None else "/etc/clawrden"
    done = any_run.sh(f"ls -A {any_run.state} {own}; cat {any_run.state}/run/*/token; echo end")
    assert not set(done.stdout.decode().split()) - {f"{own}:", f"{any_run.state}:", "end"}, done.stdout


def test_state_of_other_sessions_and_wardens_is_hidden(any_run, make_run):
    """In their usual place though this one's is elsewhere, and wherever a session that runs has it."""
    usual = any_run.home / ".local/state/clawrden"
    usual.mkdir(parents=True)
    (usual / "token").write_text("the-token-of-a-daemon")
    any_run.own()
    other = make_run(user=any_run.user)
    p = other.popen("sleep", "60")
    wait_for(lambda: other.sessions() and (other.sessions()[0] / "api.sock").exists() and other.decisions(), 20, "the other session runs")
    session = other.sessions()[0]
    done = any_run.sh(f"cat {usual}/token {session}/token {session}/audit.jsonl; ls -A {usual} {session}; echo end")
    assert sorted(done.stdout.decode().split()) == sorted([f"{usual}:", f"{session}:", "end"]), done.stdout
    p.terminate()


def test_keys_of_the_persons_session_are_not_the_agents(any_run):
    find = "import ctypes; print(ctypes.CDLL(None).syscall(250, 10, -3, b'user', b'clawrden-test', 0))"
    outer = ("import ctypes, os, sys; k = ctypes.CDLL(None).syscall; k(250, 1, None); "
             "assert k(248, b'user', b'clawrden-test', b'secret', 6, -3) > 0; os.execv(sys.argv[1], sys.argv[1:])")
    for argv, found in ((["/usr/bin/python3", "-c", find], True), (any_run.args(["/usr/bin/python3", "-c", find], {}), False)):
        done = subprocess.run(["/usr/bin/python3", "-c", outer, *argv], env=any_run.env(), cwd=any_run.work, capture_output=True,
                              text=True, timeout=60, **any_run.ids)
        assert (int(done.stdout) > 0) == found, done


def test_a_directory_as_a_stream_is_refused(any_run):
    """openat() through it knows none of the walls."""
    fd = os.open(any_run.work, os.O_RDONLY)
    try:
        done = any_run.run("true", stdin=fd)
    finally:
        os.close(fd)
    assert done.returncode == 125 and "standard input is a directory" in done.stderr, done.stderr


def test_ways_out_are_hidden(any_run):
    """A socket on which somebody listens, keys, and the variables that lead there."""
    path = any_run.home / "engine.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        s.listen()
        ssh = any_run.home / ".ssh"
        ssh.mkdir()
        (ssh / "id_ed25519").write_text("PRIVATE")
        (ssh / "id_ed25519.pub").write_text("PUBLIC")
        (ssh / "known_hosts").write_text("HOSTS")
        any_run.own()
        done = any_run.sh(
            f"test -S {path} && echo socket; cat ~/.ssh/*; ls -A /run; echo $SSH_AUTH_SOCK $DISPLAY $TMUX $CLAWRDEN_STATE; "
            "ls /run/docker.sock /var/run/docker.sock 2>/dev/null; ls /dev/sd* /dev/vd* /dev/mem 2>/dev/null; echo end",
            env={"SSH_AUTH_SOCK": str(path), "DISPLAY": ":0", "TMUX": "/tmp/tmux-0/default,1,0"})
    assert done.stdout.decode() == "PUBLICHOSTSuser\n\nend\n"


def test_abstract_sockets_outside_cannot_be_reached(any_run):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("\0clawrden-test-abstract")
        s.listen()
        done = any_run.run("/usr/bin/python3", "-c", "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0clawrden-test-abstract')")
    assert done.returncode != 0 and "PermissionError" in done.stderr


def test_processes_outside_are_not_seen(any_run):
    done = any_run.sh(f"kill -0 {os.getpid()} 2>/dev/null && echo seen; ls -d /proc/{os.getpid()} 2>/dev/null; echo $$")
    assert int(done.stdout) < 20


def test_without_a_network_there_is_only_loopback(any_run):
    script = "tail -n +3 /proc/net/dev | cut -d: -f1; python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); socket.create_connection(s.getsockname()); print(\"up\")'"
    done = any_run.sh(script, options={"net": "none"})
    assert done.stdout.split() == [b"lo", b"up"], done
    assert "network: none" in done.stderr


def agents_shipped():
    """name: (commands, state, files) of share/agents, but for what all have in common."""
    found = {}
    for path in sorted((ROOT / "share/agents").glob("*.yaml")):
        words = {k: v.split(", ") for k, v in re.findall(r"^(\w+): \[([^]]*)\]", path.read_text(), flags=re.M)}
        if "commands" in words:
            found[path.stem] = (words["commands"], words.get("state", []), words.get("files", []))
    return found


AGENTS = agents_shipped()


@pytest.mark.parametrize("name", AGENTS)
def test_an_agents_own_state_can_be_written(make_run, name):
    """By each name of its command; another command's state cannot. Directories are made, files must be there."""
    commands, state, files = AGENTS[name]
    others = [p for n, (_, paths, _) in AGENTS.items() if n != name for p in paths]
    assert state and others
    r = make_run(user=AGENT_UID if os.geteuid() == 0 else None)
    for path in others:
        (r.home / path[2:]).mkdir(parents=True, exist_ok=True)
    for path in files:
        (r.home / path[2:]).write_text("{}")
    r.own()
    with tempfile.TemporaryDirectory(prefix="clawrden-test-", dir="/opt") as opt:
        os.chmod(opt, 0o755)
        r.policy.write_text(POLICY.replace("trusted_paths: [", f"trusted_paths: [{opt}, "))
        for command in commands:
            tool = pathlib.Path(opt) / command
            shutil.copy("/bin/sh", tool)
            own = [f"{p}/x" for p in state] + files
            # Caches are everybody's.
            script = "; ".join(f"try {p}" for p in own + [f"{p}/x" for p in others if "/.cache/" not in p])
            done = r.run(tool, "-c", f"{TRY} {script}")
            shown = done.stdout.decode().splitlines()
            assert shown[:len(own)] == [f"wrote {r.home}{p[1:]}" for p in own], (shown, done.stderr)
            assert len(shown) > len(own) and all(line.startswith("refused ") for line in shown[len(own):]), shown
            assert f"what belongs to {name}," in done.stderr


def test_a_terminal_of_its_own(any_run, make_terminal):
    """Not the person's: another device, another session, no way to push keys into the real one."""
    real = make_terminal(any_run, "sh", "-c", "tty; ls /dev/pts; stty size; echo end")
    shown = real.expect(b"end").decode()
    assert "/dev/pts/0" in shown and re.search(r"^0\s+ptmx|0\r?\nptmx", shown, re.M), shown
    assert real.wait() == 0


def test_job_control_and_resizing_work(any_run, make_terminal):
    t = make_terminal(any_run, "bash", "--norc", "-i", env={"PS1": "$ "})
    t.expect(b"$ ")
    t.type(b"sleep 30\r")
    time.sleep(0.5)
    t.type(b"\x1a")
    t.expect(b"Stopped")
    t.type(b"kill %1; wait; trap 'stty size' WINCH; echo re\"\"ady\r")
    t.expect(b"ready")
    import fcntl
    import struct
    fcntl.ioctl(t.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    t.type(b"\rstty size\r")
    t.expect(b"33 77")
    t.type(b"sleep 30\r")
    time.sleep(0.5)
    t.type(b"\x03")
    t.type(b"exit 4\r")
    assert t.wait() == 4


# ---- refusals ----

@pytest.mark.parametrize("options, words", [
    ({"net": "all"}, "--net: 'all' is none of its values"),
    ({"ask": "me"}, "--ask: 'me' is none of its values"),
    ({"ask": "tty"}, "--ask tty needs a terminal"),
    ({"require": "much"}, "--require: say landlock or namespaces"),
    ({"name": "../x"}, "--name: letters, digits"),
    ({"workspace": "/"}, "the workspace '/' holds the home directory"),
    ({"workspace": "/no/such"}, "the workspace '/no/such'"),
    ({"write": "/no/such"}, "--write: there is no '/no/such'"),
    ({"policy": "/no/such"}, "the policy '/no/such'"),
])
def test_what_cannot_be_done_is_refused_before_anything_starts(make_run, options, words):
    r = make_run()
    done = r.run("touch", "started", options=options)
    assert done.returncode == 125 and words in done.stderr, done
    assert not (r.work / "started").exists() and done.stdout == b""


def test_a_policy_in_the_workspace_is_refused(any_run):
    (any_run.work / "policy.yaml").write_text(POLICY)
    any_run.own()
    done = any_run.run("true", options={"policy": "policy.yaml"})
    assert done.returncode == 125 and "the policy would lie where the agent can write" in done.stderr


def test_a_policy_in_tmp_is_refused(make_run, tmp_path):
    r = make_run()
    policy = pathlib.Path("/tmp") / f"clawrden-test-{os.getpid()}.yaml"
    policy.write_text(POLICY)
    try:
        done = r.run("true", options={"policy": policy})
    finally:
        policy.unlink()
    assert done.returncode == 125 and "the policy would lie where the agent can write" in done.stderr


def test_state_in_the_workspace_is_refused(any_run):
    done = any_run.run("true", env={"CLAWRDEN_STATE": str(any_run.work / "state")})
    assert done.returncode == 125 and "state and audit would lie where the agent can write" in done.stderr


def test_a_broken_policy_stops_the_start_with_its_place(any_run):
    any_run.policy.write_text("rules: 7\n")
    any_run.own()
    done = any_run.run("true", options={"policy": any_run.policy})
    assert done.returncode == 125 and "policy.yaml:1:8" in done.stderr, done.stderr


def test_inside_of_a_session_no_other_is_started(any_run):
    done = any_run.run(BIN / "clawrden", "run", "true")
    assert done.returncode == 125 and "inside of one all is governed already" in done.stderr
    done = any_run.run("env", "CLAWRDEN_STATE=/tmp/state", BIN / "clawrden", "run", "true")
    assert done.returncode == 125, done.stderr


def test_a_name_is_one_sessions_at_a_time(any_run):
    p = any_run.popen("sleep", "60", options={"name": "one"})
    wait_for(lambda: any_run.sessions() and (any_run.sessions()[0] / "audit.jsonl").exists() and any_run.decisions(), 20, "it was judged")
    done = any_run.run("true", options={"name": "one"})
    assert done.returncode == 125 and "a session 'one' runs already" in done.stderr
    p.terminate()
    assert p.wait(20) == 128 + signal.SIGTERM
    again = any_run.run("true", options={"name": "one"})  # the same log goes on
    assert again.returncode == 0 and "1 command," in again.stderr
    assert len(any_run.decisions()) == 2


def test_the_first_policy_is_the_starter(make_run):
    r = make_run(user=AGENT_UID if os.geteuid() == 0 else None, policy=None)
    done = r.sh("ls >/dev/null; rm -rf /usr; echo $?", options={"ask": "none"})
    assert done.stdout == b"126\n" and "the starter policy" in done.stderr
    assert "remove-system" in done.stderr


def test_nothing_of_a_session_runs_outside(make_run):
    """Neither by a rule that says so, nor by the door for shims from outside of the tree."""
    policy = POLICY.replace("rules:", "rules:\n  - {name: out, command: touch, action: allow, executor: local}", 1)
    r = make_run(policy=policy)
    done = r.run("touch", "made")
    assert done.returncode == 125 or done.returncode == 126, done
    assert "names the executor 'local'" in done.stderr and not (r.work / "made").exists()
    p = r.popen("sleep", "60")
    wait_for(lambda: r.cli("status").returncode == 0, 20)
    link = r.dir / "echo"
    link.symlink_to(BIN.resolve() / "clawrden-shim")
    shim = subprocess.run([link, "hi"], env={"CLAWRDEN_SOCKET": str(r.sessions()[-1] / "warden.sock"), "PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True, timeout=30)
    assert shim.returncode != 0 and shim.stdout == "", shim
    p.terminate()
    p.wait(20)


# ---- somebody dies ----

def test_when_run_is_killed_nothing_is_left(any_run):
    p = any_run.popen("sh", "-c", "sleep 300 & (setsid sleep 300 &) ; echo ready; wait")
    assert p.stdout.readline() == b"ready\n"
    p.kill()
    p.wait()
    wait_for(lambda: not any_run.left(), 10, "the tree has ended")
    wait_for(lambda: any_run.cli("status").returncode == 3, 20, "its warden has ended")


@pytest.mark.parametrize("who", ["clawrden-warden", "clawrden-gate"])
def test_when_a_part_is_killed_the_tree_ends(any_run, who):
    p = any_run.popen("sh", "-c", "echo ready; (setsid sleep 300 &); while :; do date >last; sleep 0.1; done")
    assert p.stdout.readline() == b"ready\n"
    os.kill(wait_for(lambda: child(p.pid, who[:15]), 10), signal.SIGKILL)
    code = p.wait(30)
    assert code == (125 if who == "clawrden-warden" else 128 + signal.SIGKILL), p.stderr.read()
    wait_for(lambda: not any_run.left(), 10, "the tree has ended")
    if who == "clawrden-warden":
        assert b"the warden ended, and the agent with it" in p.stderr.read()


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
def test_the_terminals_modes_come_back(any_run, make_terminal, signo):
    t = make_terminal(any_run, "sh", "-c", "stty -echo raw; echo ready; exec sleep 300")
    before = termios.tcgetattr(t.slave)
    t.expect(b"ready")
    wait_for(lambda: termios.tcgetattr(t.slave) != before, 5, "the modes have changed")
    os.kill(t.pid(), signo)
    t.process.wait(20)
    wait_for(lambda: termios.tcgetattr(t.slave) == before, 5, "the modes are back")


@contextlib.contextmanager
def held(pid):
    """Traced and stopped: SIGSTOP would be undone, as the kernel continues what is left of an orphaned group."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (0x4206, 0x4207):  # PTRACE_SEIZE, PTRACE_INTERRUPT
        assert ptrace(request, pid, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(pid, 0x40000000)  # __WALL
    yield
    assert ptrace(17, pid, None, None) == 0  # PTRACE_DETACH


@needs_root
def test_modes_that_a_shell_has_made_its_own_stay(any_run, make_terminal):
    """A shell that reads its next line before the keeper of the modes has its turn is not taken out of its line editor."""
    command = shlex.join(any_run.args(["sh", "-c", "echo rea''dy; exec sleep 300"], {}))
    t = make_terminal(any_run, env={"PS1": "prompt> "}, args=["/bin/bash", "--norc", "--noprofile", "-i"])
    t.expect(b"prompt> ")
    before = termios.tcgetattr(t.slave)
    t.type(command.encode() + b"\r")
    t.expect(b"ready")
    pid = child(t.pid(), "clawrden")
    keeper = wait_for(lambda: child(pid, "clawrden", lambda p: os.listdir(p / "fd") == ["0", "1"]), 5, "no keeper")
    wait_for(lambda: termios.tcgetattr(t.slave)[3] & termios.ISIG == 0, 5, "the modes have changed")
    with held(keeper):
        os.kill(pid, signal.SIGKILL)
        t.expect(b"prompt> ")
        wait_for(lambda: termios.tcgetattr(t.slave) == before, 5, "the shell edits its line")
    wait_for(lambda: not os.path.exists(f"/proc/{keeper}"), 10, "the keeper has ended")
    assert termios.tcgetattr(t.slave) == before


# ---- weaker hosts ----

def without_namespaces(*argv):
    """As in a container: no user namespaces and no right to mount."""
    return ["unshare", "--user", "--map-root-user", "sh", "-c",
            'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"', "sh", *argv]


@needs_root
def test_without_namespaces_landlock_keeps_writes_in_and_says_what_is_missing(make_run):
    r = make_run()
    args = r.args(["sh", "-c", f"{TRY} try here; try ../precious; try /proc/self/comm; id -u"], {"policy": r.policy})
    done = subprocess.run(without_namespaces(*args), env=r.env(), cwd=r.work, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["wrote here", "refused ../precious", "refused /proc/self/comm", "0"], done.stderr
    assert "NO NAMESPACES HERE" in done.stderr and "approvals are not protected from the agent" in done.stderr
    assert "weaker than it could be: user, mount and pid namespaces" in done.stderr


@needs_root
def test_a_required_wall_that_is_not_to_be_had_refuses(make_run):
    r = make_run()
    args = r.args(["touch", "started"], {"policy": r.policy, "require": "namespaces"})
    done = subprocess.run(without_namespaces(*args), env=r.env(), cwd=r.work, capture_output=True, text=True, timeout=60)
    assert done.returncode == 125 and "no wall can be built" in done.stderr, done.stderr
    assert not (r.work / "started").exists()


@needs_root
def test_under_landlock_the_agent_cannot_approve_itself(make_run):
    """It sees the socket and even the token, and is known by its place in the tree."""
    r = make_run()
    script = (f"git push & sleep 1; API=$(ls {r.state}/run/*/api.sock); T=$(ls {r.state}/run/*/token); "
              f"{BIN}/clawrden --api unix:$API --token-file $T queue; echo queue $?; kill %1")
    args = r.args(["bash", "-c", script], {"policy": r.policy})
    done = subprocess.run(without_namespaces(*args), env=r.env(), cwd=r.work, capture_output=True, text=True, timeout=60)
    assert "queue 3" in done.stdout and "does not know who you are" in done.stderr, done
