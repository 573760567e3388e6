# SPDX-License-Identifier: MIT
"""Dialogs at a terminal, each held with plain tools and with governed ones: the same must be answered. A dialog is
what is typed and awaited in an interactive shell."""
import fcntl
import os
import statistics
import struct
import subprocess
import sys
import termios
import time

import pytest

from conftest import Warden
from shim_fakes import Terminal, wait_until

TOOLS = ["bash", "cat", "find", "git", "less", "ls", "mkdir", "nohup", "python3", "rm", "script", "seq", "setsid", "sh",
         "sleep", "stty", "tee", "timeout", "top", "touch", "tput", "tty", "vi", "watch", "wc"]
POLICY = 'default_action: deny\nallowed_paths: ["/*"]\nenv: [PS1, INPUTRC, TERM]\nrules:\n' + "".join(
    f'  - {{command: "{t}", action: allow, timeout: 120s}}\n' for t in TOOLS)

READY = "ready> "
INNER = 'PS1="ready> " bash --norc --noprofile -i'


def line(text):
    return ("type", text + "\n")


def key(text):
    return ("type", text)


def see(pattern):
    return ("see", pattern)


def pause(seconds):
    return ("pause", seconds)


def size(rows, cols):
    return ("size", rows, cols)


def shows(command, pattern):
    """A command that asks nothing."""
    return [line(command), see(pattern + r"(?s:.*)" + READY)]


DIALOGS = {
    "top": [line("top -d 1"), see("load average"), see("PID"), size(20, 70), pause(0.4), key("q"), see(READY)],
    "watch": [line("watch -n 0.2 tty"), see(r"Every 0.2s"), key("\x03"), see(READY)],
    "a pager of git": [line("git -C repo log --format=%s"), see("commit 60"), see("\x1b|:"), key(" "), see("commit 35"),
                       key("q"), see(READY), *shows("echo code $?", "code 0")],
    "a short log needs no keys": shows("git -C repo log -3 --format=%s", r"commit 60\S*\r\ncommit 59\S*\r\ncommit 58"),
    "an editor of git": [line("GIT_EDITOR=vi git -C repo commit --allow-empty"), see("Please enter"), pause(0.5),
                         key("ifrom vi\x1b:wq\r"), see("from vi"), see(READY),
                         *shows("git -C repo log -1 --format=got:%s", "got:from vi")],
    "a password is not shown": [line("python3 -c 'import getpass; print(\"got\", getpass.getpass(\"word? \"))'"),
                                see("word\\? "), pause(0.3), line("secret"), see("\r\ngot secret\r\n"), see(READY)],
    "a password with streams elsewhere": [
        line("python3 -c 'import getpass; open(\"f\", \"w\").write(getpass.getpass(\"word? \"))' </dev/null >/dev/null 2>&1"),
        see("word\\? "), pause(0.3), line("secret"), see("\r\n"), see(READY), *shows("cat f; echo", "secret\r\n")],
    "interrupt of a pipeline": [line("sleep 30 | cat | tee /dev/null"), pause(0.4), key("\x03"), see(READY),
                                *shows("echo ${PIPESTATUS[@]}", "130 130 130")],
    "quit of a pipeline": [line("ulimit -c 0; sleep 30 | cat"), pause(0.4), key("\x1c"), see(READY),
                           *shows("echo ${PIPESTATUS[@]}", "131 131")],
    "stop, background and end of a pipeline": [line("sleep 1 | cat"), pause(0.3), key("\x1a"), see("Stopped"), see(READY),
                                               line("bg"), see(READY), line("wait; echo waited"), see("waited"), see(READY)],
    "stop and foreground of a pipeline": [line("cat | tee out"), pause(0.3), line("one"), see("one\r\none"), key("\x1a"),
                                          see("Stopped"), see(READY), line("fg"), see("tee out"), pause(0.4),
                                          line("two"), see("two\r\ntwo"), key("\x04"), see(READY),
                                          *shows("cat out", "one\r\ntwo\r\n")],
    "end of file in the middle of a line": [line("cat"), pause(0.3), key("abc\x04"), see("abcabc"), key("\x04"), see(READY)],
    "line editing": [line("cat"), pause(0.3), key("wrong\x15right\x7f\x7fX\n"), see("rigX\r\n"), key("\x04"), see(READY)],
    "literal next": [line("cat | od -c | head -1"), pause(0.3), key("\x16\x03\n\x04"), see(r"003"), see(READY)],
    "read, read -s, read -n": [line("bash -c 'read -p \"a? \" a; read -s -p \"b? \" b; read -n 1 -p \"c? \" c; echo; echo $a-$b-$c'"),
                               see("a\\? "), line("x"), see("b\\? "), pause(0.2), line("y"), see("c\\? "), pause(0.2),
                               key("z"), see("x-y-z"), see(READY)],
    "read with a time limit": shows("bash -c 'read -t 0.3 x; echo code $?'", "code 142"),
    "rm -i and find -ok ask": [line("touch q; rm -i q"), see(r"remove.*\? "), line("y"), see(READY),
                               line("touch r; find r -ok rm {} \\;"), see(r"\? "), line("y"), see(READY),
                               *shows("ls q r 2>&1 | wc -l", "2")],
    "a shell in a script in a shell": [line(f"script -qc \'{INNER}\' /dev/null"), see(READY), line("cat"), pause(0.4), line("in"),
                                       see("in\r\nin\r\n"), key("\x03"), see(READY), *shows("stty size", "33 101"),
                                       line("exit 5"), see(READY)],
    "the nested terminal is resized": [line(f"script -qc \'{INNER}\' /dev/null"), see(READY), size(44, 111), pause(0.4),
                                       *shows("stty size", "44 111"), line("exit"), see(READY)],
    "sizes that are odd": [step for rows, cols in ((2, 40), (500, 1000), (1, 80)) for step in
                           [size(rows, cols), *shows("stty size", f"{rows} {cols}")]],
    "WINCH is told": [line("python3 -uc 'import signal, os, time; signal.signal(28, lambda *a: print(os.get_terminal_size()));"
                           " print(\"go\")\nfor _ in range(30): time.sleep(0.1)'"), see("go\r\n"), size(50, 120),
                      see("columns=120, lines=50"), key("\x03"), see(READY)],
    "a repl": [line("python3 -q"), see(">>> "), line("6 * 7"), see("42\r\n"), see(">>> "), pause(0.3), key("x = 1\x03"),
               see("KeyboardInterrupt"), see(">>> "), key("\x04"), see(READY)],
    "a background job wants the terminal": [line("cat &"), see(READY), pause(0.4), line(""), see(r"Stopped"), line("fg"),
                                            see("cat"), pause(0.4), line("text"), see("text\r\ntext"), key("\x04"), see(READY)],
    "timeout and the terminal": [*shows("timeout 0.3 sleep 5; echo code $?", "code 124"),
                                 *shows("timeout 0.3 cat; echo code $?", "code 124"),
                                 *shows("timeout --foreground 0.3 cat; echo code $?", "code 124")],
    "nohup speaks": shows("nohup sh -c 'tty; test -t 1 || echo no' ; cat nohup.out", "ignoring input"),
    "setsid takes no terminal": shows("setsid -w sh -c 'echo x > /dev/tty || echo none' 2>&1", "none"),
    "colours and columns": [*shows("ls --color=auto -d /tmp", r"\x1b\[0m\x1b\["), *shows("tput cols", "101"),
                            *shows("ls -C /usr /etc | wc -l", r"\d+")],
    "less follows a file": [line("seq 100 > f; less +F f"), see("100"), see("Waiting|interrupt"), pause(0.3), key("\x03"),
                            pause(0.3), key("q"), see(READY)],
    "an editor is resized and stopped": [line("vi -u NONE -N file"), see("~"), pause(0.4), size(20, 60), pause(0.3),
                                         key("ione\x1b"), pause(0.2), key("\x1a"), see("Stopped"), see(READY), line("fg"),
                                         see("one"), pause(0.3), key(":wq\r"), see(READY), *shows("cat file", "one\r\n")],
    "raw and back": [*shows("stty raw -echo; stty sane; stty -a", r"icanon"), *shows("stty -icanon; stty -a; stty icanon", "-icanon")],
    "output after a command that changed nothing": [*shows("seq 3", "1\r\n2\r\n3\r\n"), *shows("printf 'a\\tb\\n' | cat", "a\tb\r\n|a +b\r\n")],
    "xon and xoff": [line("seq 1 4; sleep 0.5; echo end"), pause(0.2), key("\x13"), pause(0.2), key("\x11"), see("end\r\n"),
                     see(READY)],
    "a paste of 300 lines": [line("cat > pasted"), pause(0.4), key("".join(f"line {i}\n" for i in range(300))), pause(0.5),
                             key("\x04"), see(READY), *shows("wc -l < pasted", "300\r\n")],
    "a trapped interrupt": [line("sh -c 'trap \"echo caught\" INT; echo go; sleep 20; echo after'"), see("go\r\n"),
                            pause(0.2), key("\x03"), see("caught\r\n"), see("after\r\n"), see(READY)],
    "a shell that waits in the background": [line("sh -c 'sleep 0.4; echo late' & sleep 0.1"), see(READY),
                                             line("wait"), see("late\r\n"), see(READY)],
    "two jobs change places": [line("sleep 5 &"), see(READY), line("cat"), pause(0.3), key("\x1a"), see("Stopped"), see(READY),
                               line("fg %1"), see("sleep 5"), pause(0.2), key("\x03"), see(READY), line("fg"), see("cat"),
                               pause(0.3), key("\x04"), see(READY)],
    "a job is killed while stopped": [line("cat"), pause(0.3), key("\x1a"), see("Stopped"), see(READY), line("kill -9 %1; while kill -0 %1 2>/dev/null; do sleep 0.05; done"),
                                      see("Killed"), see(READY), *shows("jobs; echo over", "over\r\n")],
    "an interrupted loop stops": [line("for i in 1 2 3; do sleep 10; done; echo not $?"), pause(0.4), key("\x03"), see(READY),
                                  *shows("echo code $?", "code 130")],
}


@pytest.fixture(scope="module")
def warden():
    w = Warden(POLICY)
    for t in TOOLS:
        w.shim(t)
    yield w
    w.close()


@pytest.fixture(params=["plain", "governed"])
def shell(request, warden, tmp_path):
    tmp_path.chmod(0o755)
    inputrc = tmp_path / "inputrc"
    inputrc.write_text("set enable-bracketed-paste off\n")
    path = f"{warden.shims}:/usr/bin:/bin" if request.param == "governed" else "/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(tmp_path), "TERM": "xterm", "PS1": READY, "LC_ALL": "C.UTF-8", "SHELL": "/bin/bash",
           "INPUTRC": str(inputrc), "CLAWRDEN_SOCKET": str(warden.socket), "HISTFILE": "", "LANG": "C.UTF-8"}
    t = Terminal(["/bin/bash", "--norc", "--noprofile", "-i"], env, cwd=tmp_path)
    t.expect(READY)
    t.kind = request.param
    yield t
    t.close()


def make_repository(where):
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    subprocess.run(["git", "init", "-q", "-b", "main", "repo"], cwd=where, env=env, check=True)
    commits = "".join(f"commit refs/heads/main\ncommitter a <a@b> {i} +0000\ndata <<E\ncommit {i}\nE\n\n" for i in range(1, 61))
    subprocess.run(["git", "fast-import", "--quiet"], input=commits.encode(), cwd=where / "repo", env=env, check=True)
    with open(where / "repo/.git/config", "a") as f:
        f.write("[user]\n\tname = a\n\temail = a@b\n")


@pytest.mark.parametrize("steps", DIALOGS.values(), ids=DIALOGS.keys())
def test_dialog(shell, steps, tmp_path):
    make_repository(tmp_path)
    for what, *args in steps:
        if what == "type":
            shell.type(*args)
        elif what == "see":
            shell.expect(*args)
        elif what == "size":
            shell.resize(*args)
        else:
            time.sleep(*args)
    assert not shell.raw() or b"ready" in shell.all  # the shell's own editing is raw, too


def echo_times(t, keys, n):
    """Seconds from a key to its echo."""
    times = []
    for i in range(n):
        c = keys[i % len(keys)]
        begin = time.perf_counter()
        t.type(c)
        t.expect(c, 5)
        times.append(time.perf_counter() - begin)
        if i % 50 == 49:
            time.sleep(0.01)
    return times


@pytest.mark.timing
@pytest.mark.parametrize("mode", ["echoed by the terminal", "echoed by the program"])
def test_keys_are_echoed_at_once(warden, mode, tmp_path):
    """No person sees 20 ms; a key takes two hops more than without us, a few hundred microseconds."""
    figures = {}
    for kind, tool in (("plain", "/usr/bin/sh"), ("governed", str(warden.shims / "sh"))):
        script = "echo go; exec cat" if mode == "echoed by the terminal" else "stty raw -echo; echo go; exec cat"
        t = Terminal([tool, "-c", script], {**warden.agent_env(), "TERM": "xterm"})
        t.expect("go")
        time.sleep(0.2)
        times = sorted(echo_times(t, "abcdefgh", 400))
        t.close()
        figures[kind] = (statistics.median(times), times[len(times) * 99 // 100])
    print(mode, {k: [f"{x * 1e6:.0f} us" for x in v] for k, v in figures.items()}, file=sys.stderr)
    assert figures["governed"][0] < 0.005 + 3 * figures["plain"][0], figures
    assert figures["governed"][1] < 0.020 + 3 * figures["plain"][1], figures
