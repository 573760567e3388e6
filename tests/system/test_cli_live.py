# SPDX-License-Identifier: MIT
"""`clawrden` on feed and history: filters and exports, the watching screen, completions in real shells."""
import csv
import io
import json
import os
import re
import signal
import subprocess
import termios

import pytest

from conftest import BIN, ROOT, wait_for
from test_api import finish, get, held, post
from test_cli import NASTY, cli, names, options, terminal

CLAWRDEN = str(BIN / "clawrden")


# ---- history ----

@pytest.fixture
def used(warden):
    warden.run("echo", "hello", "=1+1")
    warden.run("sh", "-c", "exit 7")
    warden.run("rm", "-rf", "x")
    p, id = held(warden, "git", "push")
    post(warden, f"/api/queue/{id}/deny")
    finish(p)
    wait_for(lambda: len([r for r in get(warden, "/api/history").json["history"] if r["end_seq"] or r["decision"] != "allow"]) == 4)
    return warden


def test_history_takes_the_filters(used):
    me = get(used, "/api/history?decision=ask-denied").json["history"][0]["approver"]
    user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    for args, commands in ((["--text", "hello"], ["echo"]), (["-x", "7"], ["sh"]), (["--rule", "no-rm"], ["rm"]),
                           (["--approver", me], ["git"]), (["--arg", "push"], ["git"]), (["--container", ""], ["git", "rm", "sh", "echo"]),
                           (["--user", user, "-c", "rm"], ["rm"]), (["--user", str(os.getuid()), "-d", "deny"], ["rm"]),
                           (["--signal", "9"], []), (["--since", "1h", "--until", "1s", "--text", "nothing"], [])):
        done = used.cli("history", "--json", *args, check=True)
        assert [x["command"] for x in json.loads(done.stdout)] == commands, args
    for args in (["--user", "no such user"], ["--user", "0", "--uid", "0"], ["--export", "xml"], ["--export", "csv", "--limit", "3"],
                 ["--text", "---"], ["--exit-code", "x"]):
        assert used.cli("history", *args).returncode in (1, 2), args


def test_history_exports(used):
    table = list(csv.DictReader(io.StringIO(used.cli("history", "--export", "csv", check=True).stdout)))
    assert [r["command"] for r in table] == ["git", "rm", "sh", "echo"]
    assert [x["command"] for x in json.loads(used.cli("history", "--export", "json", "-c", "sh", check=True).stdout)] == ["sh"]
    lines = used.cli("history", "--export", "jsonl", "--since", "1h", check=True).stdout.splitlines()
    assert [json.loads(x)["command"] for x in lines] == ["git", "rm", "sh", "echo"]
    used.stop()
    done = used.cli("history", "--export", "csv")
    assert done.returncode == 3 and done.stdout == "" and "no warden answers" in done.stderr


def test_an_export_that_nobody_takes_is_no_success(used):
    with open("/dev/full", "w") as full:
        done = subprocess.run([CLAWRDEN, "history", "--export", "json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20,
                              env={**os.environ, "CLAWRDEN_API": f"unix:{used.api_socket}"})
    assert done.returncode == 1 and "cannot write the output" in done.stderr


def test_reindex(used):
    assert "made anew" in used.cli("audit", "reindex", check=True).stdout
    wait_for(lambda: len(get(used, "/api/history").json["history"]) == 4)


# ---- queue --watch ----

def listeners(w):
    return int(re.search(r"^clawrden_feed_listeners (\d+)$", w.metrics(), re.M)[1])


def test_watch_hears_the_feed(warden):
    t = terminal(warden, "queue", "--watch", columns=100)
    t.wait_for("0 waiting")
    wait_for(lambda: listeners(warden) == 1, what="it listens")
    with warden.popen("git", *NASTY) as p:
        t.wait_for("1 waiting")
        assert not re.search(r"\x1b(?!\[(H|2J|\d+;1H|\?1049[hl]|\?25[hl]))", t.seen)
        warden.deny(warden.queue()[0]["id"])
        t.seen = ""
        t.wait_for("0 waiting")
        assert p.wait(10) == 126
    t.send("q")
    assert t.end() == 0
    wait_for(lambda: listeners(warden) == 0, what="it listens no more")


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV])
def test_watch_leaves_the_terminal_as_it_was(warden, signo):
    t = terminal(warden, "queue", "--watch")
    t.wait_for("0 waiting")
    assert not termios.tcgetattr(t.fd)[3] & termios.ECHO
    os.kill(t.pid, signo)
    wait_for(lambda: (t.read(), "\x1b[?25h\x1b[?1049l" in t.seen)[1], what="cursor and screen are back")
    wait_for(lambda: termios.tcgetattr(t.fd)[3] & termios.ECHO, what="keys are echoed again")
    fatal = signo in (signal.SIGABRT, signal.SIGSEGV)
    assert t.end() == (-signo if fatal else 0)


def test_watch_comes_back_after_a_stop(warden):
    t = terminal(warden, "queue", "--watch")
    t.wait_for("0 waiting")
    os.kill(t.pid, signal.SIGSTOP)
    state = termios.tcgetattr(t.fd)
    state[3] |= termios.ECHO | termios.ICANON  # as a shell would set it
    termios.tcsetattr(t.fd, termios.TCSANOW, state)
    t.seen = ""
    os.kill(t.pid, signal.SIGCONT)
    t.wait_for("\x1b[?1049h")
    wait_for(lambda: not termios.tcgetattr(t.fd)[3] & termios.ECHO)
    t.send("q")
    assert t.end() == 0


# ---- completions ----

def complete(shell, *words, env=None, script=None):
    """What `shell` would offer behind these words."""
    script = script or cli("completion", shell).stdout
    if shell == "bash":
        quoted = " ".join(f"'{w}'" for w in words)
        program = script + f"\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _clawrden; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        argv = ["bash", "--norc", "-c", program]
    else:
        argv = ["fish", "--no-config", "-c", script + f"\ncomplete -C '{' '.join(words)}'\n"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30,
                          env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": "/nonexistent", **(env or {})})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completions_know_the_command_table(shell):
    script = cli("completion", shell).stdout
    top = {n.split()[0] for n in names()}
    assert complete(shell, "clawrden", "", script=script) >= top
    for group in {n.split()[0] for n in names() if " " in n}:
        assert complete(shell, "clawrden", group, "", script=script) >= {n.split()[1] for n in names() if n.startswith(group + " ")}
    for name in ("history", "queue", "audit tail", "token create"):
        assert complete(shell, "clawrden", *name.split(), "--", script=script) >= {"--" + o for o in options(*name.split())}, name
    assert complete(shell, "clawrden", "--api", "queue", "hist", script=script) == {"history"}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completions_offer_ids_and_nothing_of_an_agent(warden, shell):
    with warden.popen("git", "$(touch pwned)", "`id`", "\n\"id\":\"evil\"") as p:
        id = warden.wait_queue()[0]["id"]
        env = {"CLAWRDEN_API": f"unix:{warden.api_socket}"}
        assert complete(shell, "clawrden", "approve", "", env=env) == {id}
        warden.deny(id)
        p.wait(10)


def test_zsh_reads_its_script_and_others_are_refused():
    script = cli("completion", "zsh").stdout
    done = subprocess.run(["zsh", "-n", "/dev/stdin"], input=script, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stderr and script.startswith("#compdef clawrden clawrden-cli\n")
    for name in names():
        assert f"'{name}'|'{name} '*)" in script
    assert cli("completion", "csh").returncode == 2
