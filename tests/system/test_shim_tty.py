# SPDX-License-Identifier: MIT
"""clawrden-shim at a terminal, with real commands: nothing may betray that somebody stands between."""
import os
import signal
import struct
import subprocess
import termios
import time

import pytest
from conftest import Warden
from shim_fakes import (BY_SIGNAL, CODE, FG, FOREGROUND, PTY, PTY0, PTY1, PTY2, SIGNAL, STOPPED, TTY0, TTY1,
                        TTY2, SHIM, FakeWarden, Terminal, ended, message, refused, wait_until, waiting)

GOVERNED = ("sh", "cat", "stty", "seq", "less", "bash", "sleep", "vi", "env", "tty", "python3", "tee")


class RealWarden:
    """The whole chain, with the face of the fake: warden, policy, helper."""

    def __init__(self):
        rules = "".join(f'  - {{command: "{name}", action: allow, env: [TERM, PS1, LESS]}}\n' for name in GOVERNED)
        self.warden = Warden(f'default_action: deny\nallowed_paths: ["/*"]\nrules:\n{rules}')
        self.bin = str(self.warden.shims)
        self.dir = self.warden.dir

    def link(self, name):
        return os.fsencode(self.warden.shim(name))

    def env(self, **more):
        return {**os.environ, "CLAWRDEN_SOCKET": str(self.warden.socket), **more}

    def allow_all(self):
        pass

    def close(self):
        self.warden.close()


@pytest.fixture
def warden(request):
    w = RealWarden() if getattr(request, "param", "fake") == "real" else FakeWarden()
    for name in GOVERNED:
        w.link(name)
    yield w
    w.close()


# Where the command is a real one, it is started by the fake helper, which does what docs/protocol.md
# asks for and no more, and by the real one.
both = pytest.mark.parametrize("warden", ["fake", "real"], indirect=True)


@pytest.fixture
def at_terminal(warden, tmp_path):
    """at_terminal("cat", "x"): that governed command alone at a terminal."""
    open_ones = []

    def start(name, *args, argv=None, env=None, **kw):
        argv = argv or [os.fsdecode(warden.link(name)), *args]
        base = warden.env(PATH=f"{warden.bin}:/usr/bin:/bin", TERM="xterm", PS1="ready> ", LC_ALL="C",
                          HISTFILE="/dev/null", LESS="", INPUTRC=str(tmp_path / "inputrc"),
                          **(env or {}))
        with open(base["INPUTRC"], "w") as f:
            f.write("set enable-bracketed-paste off\n")
        t = Terminal(argv, base, **kw)
        open_ones.append(t)
        return t
    yield start
    for t in open_ones:
        t.close()


@pytest.fixture
def shell(warden, at_terminal):
    """An interactive shell with job control that is not governed; its commands are."""
    warden.allow_all()
    t = at_terminal(None, argv=["/bin/bash", "--norc", "--noprofile", "-i"])
    t.expect("ready> ")
    t.type("stty -echo\n")  # governed, and still it changes this terminal
    t.expect("ready> ")
    return t


def shim_of(peer):
    import socket
    return struct.unpack("iII", peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0]


# ---- what the helper is told ----

def accepted(warden):
    peer = warden.accept()
    return peer, peer.request()


def test_a_terminal_is_lent_as_a_pty_in_its_place(warden, at_terminal):
    t = at_terminal("cat", rows=41, cols=77)
    peer, q = accepted(warden)
    assert q.flags == TTY0 | TTY1 | TTY2
    flags = peer.streams(keep=True)
    assert flags == PTY0 | PTY1 | PTY2 | PTY | FG
    users = os.readlink(f"/proc/{t.pid}/fd/2")
    names = {os.ttyname(fd) for fd in peer.fds}
    assert len(names) == 1 and users.startswith("/dev/pts/") and users not in names
    assert tuple(termios.tcgetwinsize(peer.fds[0])) == (41, 77)
    assert t.raw()
    peer.drop_fds()
    peer.send(ended(CODE, 3))
    assert t.wait() == 3


def test_only_what_is_a_terminal_is_replaced(warden, at_terminal, tmp_path):
    out = tmp_path / "out"
    link = os.fsdecode(warden.link("cat"))
    at_terminal(None, argv=["/bin/sh", "-c", f"exec {link} >{out}"])
    peer, q = accepted(warden)
    assert q.flags == TTY0 | TTY2
    assert peer.streams(keep=True) == PTY0 | PTY2 | PTY | FG
    assert [os.isatty(fd) for fd in peer.fds] == [True, False, True, True]
    os.write(peer.fds[1], b"file")
    peer.drop_fds()
    peer.send(ended(CODE, 0))
    wait_until(lambda: out.read_bytes() == b"file")


def test_a_terminal_that_is_not_the_controlling_one_is_lent_as_it_is(warden, at_terminal):
    other_master, other = os.openpty()
    link = os.fsdecode(warden.link("cat"))
    name = os.ttyname(other)
    at_terminal(None, argv=["/bin/sh", "-c", f"exec {link} 2>{name}"])
    peer, _ = accepted(warden)
    assert peer.streams(keep=True) == PTY0 | PTY1 | PTY | FG
    assert os.ttyname(peer.fds[2]) == name
    peer.drop_fds()
    peer.send(ended(CODE, 0))
    os.close(other)
    os.close(other_master)


def test_in_a_pipeline_the_terminal_is_taken_when_the_command_asks(warden, at_terminal):
    link = os.fsdecode(warden.link("cat"))
    t = at_terminal(None, argv=["/bin/bash", "-c", f"{link} | /usr/bin/sleep 30"])
    peer, _ = accepted(warden)
    assert peer.streams() == PTY0 | PTY2 | PTY
    assert not t.raw()
    peer.send(message(STOPPED, struct.pack(">I", signal.SIGTTIN)))
    assert peer.number(FOREGROUND) == 1
    assert peer.number(SIGNAL) == signal.SIGCONT
    assert t.raw()
    peer.send(ended(CODE, 0))
    wait_until(lambda: not t.raw())


def test_while_waiting_the_terminal_is_left_alone(warden, at_terminal):
    t = at_terminal("cat")
    before = t.modes()
    peer, _ = accepted(warden)
    peer.send(waiting(900))
    t.expect(r"clawrden: cat: waits for a person's answer for at most 15m \(request "
             r"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf\)[^\n]*\r\n")
    peer.send(waiting(0))
    peer.send(waiting(30))
    assert t.modes() == before
    t.type("\x03")
    assert peer.hung_up(3)
    assert t.wait() == -signal.SIGINT


def test_a_text_brings_no_control_bytes_to_a_terminal(warden, at_terminal):
    t = at_terminal("cat")
    peer, _ = accepted(warden)
    peer.send(refused(126, b"clawrden: a\x1b[2J\x07\x9b\tb\xc2\x9bc\r\xe2\x82\xacd\x7f\n"))
    assert t.until_end() == b"clawrden: a[2J\x9b\tbc\xe2\x82\xacd\r\n"
    assert t.status == 126


# ---- ways out ----

@pytest.mark.parametrize("how", ["exit", "death", "hang-up", "wrong", "TERM", "SEGV", "XCPU", "text"])
def test_the_terminal_is_restored_on_every_way_out(warden, at_terminal, how):
    t = at_terminal("cat")
    before = t.modes()
    peer, _ = accepted(warden)
    peer.streams()
    assert t.raw() and t.modes() != before
    if how == "exit":
        peer.send(ended(CODE, 0))
    elif how == "death":
        peer.send(ended(BY_SIGNAL, signal.SIGTERM))
    elif how == "text":
        peer.send(ended(CODE, 124, b"clawrden: out of time\n"))
    elif how == "hang-up":
        peer.close()
    elif how == "wrong":
        peer.send(b"12345678")
    elif how == "TERM":
        os.kill(t.pid, signal.SIGTERM)
        assert peer.number(SIGNAL) == signal.SIGTERM
        peer.send(ended(BY_SIGNAL, signal.SIGTERM))
    else:
        os.kill(t.pid, getattr(signal, "SIG" + how))
    want = {"exit": 0, "death": -15, "TERM": -15, "SEGV": -11, "XCPU": -24, "text": 124}.get(how, 125)
    assert t.wait() == want
    assert t.modes() == before
    if how == "text":
        assert t.until_end() == b"clawrden: out of time\r\n"


@both
def test_a_hang_up_of_the_terminal_reaches_the_command(warden, at_terminal, tmp_path):
    warden.allow_all()
    mark = tmp_path / "mark"
    t = at_terminal("sh", "-c", f"trap 'echo hup >{mark}; exit' HUP; echo ready; while :; do sleep 0.05; done")
    t.expect("ready")
    os.close(t.fd)
    t.fd = os.open("/dev/null", os.O_RDONLY)
    wait_until(mark.exists)
    t.wait()


@both
def test_nothing_written_is_lost_at_the_end(warden, at_terminal):
    warden.allow_all()
    want = b"".join(b"%d\r\n" % i for i in range(1, 30001))
    for _ in range(5):
        assert at_terminal("seq", "30000").until_end(30) == want


@both
def test_a_slow_terminal_gets_all_of_it(warden, at_terminal):
    warden.allow_all()
    t = at_terminal("seq", "30000")
    time.sleep(1)
    assert t.until_end(30) == b"".join(b"%d\r\n" % i for i in range(1, 30001))


@both
def test_a_daemon_that_keeps_the_terminal_does_not_hold_the_shim(warden, at_terminal):
    warden.allow_all()
    t = at_terminal("sh", "-c", "(trap '' HUP; while echo more; do :; done) & sleep 0.3; exit 5")
    start = time.monotonic()
    t.until_end(20)
    assert t.status == 5 and time.monotonic() - start < 10


# ---- a faithful terminal ----

@both
def test_every_descriptor_is_a_terminal_and_has_its_size(warden, at_terminal):
    warden.allow_all()
    t = at_terminal("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size && stty size </dev/tty")
    assert t.until_end() == b"33 101\r\n33 101\r\n"
    assert t.status == 0


@both
def test_modes_are_those_of_the_users_terminal(warden, at_terminal):
    warden.allow_all()
    plain = at_terminal(None, argv=["/usr/bin/stty", "-a"]).until_end()
    assert at_terminal("stty", "-a").until_end() == plain


@both
def test_a_new_size_is_passed_on(warden, at_terminal):
    warden.allow_all()
    t = at_terminal("bash", "-c", "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done")
    t.expect("ready")
    t.resize(50, 60)
    t.expect("50 60")
    assert t.wait() == 0


@both
def test_typed_bytes_are_echoed_once_and_end_of_file_is_one(warden, at_terminal):
    warden.allow_all()
    t = at_terminal("cat")
    wait_until(t.raw)
    t.type("hello\n")
    t.expect("hello\r\nhello\r\n")
    t.type("\x04")
    assert t.until_end() == b"" and t.status == 0


@both
def test_an_interrupt_typed_kills_the_command(warden, at_terminal):
    warden.allow_all()
    for key, signo in (("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)):
        t = at_terminal("python3", "-c", "import signal,time,resource\n"
                        "resource.setrlimit(resource.RLIMIT_CORE,(0,0))\n"
                        "signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready'); time.sleep(60)")
        t.expect("ready\r\n")
        t.type(key)
        assert t.wait() == -signo


@both
def test_an_interrupt_is_never_too_early(warden, at_terminal):
    """Whoever is in front when it is typed: the shim, the helper that leads the pty's session, the command."""
    warden.allow_all()
    for ms in range(0, 40, 2):
        t = at_terminal("sleep", "60")
        wait_until(lambda: os.path.samefile(f"/proc/{t.pid}/exe", SHIM), what="the shim")
        time.sleep(ms / 1000)
        t.type("\x03")
        assert t.wait() == -signal.SIGINT, ms


@both
def test_a_command_finds_the_terminal_whatever_its_streams_are(shell):
    shell.type("sh -c 'echo question > /dev/tty; read x < /dev/tty; echo got $x > /dev/tty' < /dev/null > /dev/null 2>&1\n")
    shell.expect("question\r\n")
    shell.type("answer\n")
    shell.expect("got answer\r\n")
    shell.expect("ready> ")
    assert not shell.raw() or shell.modes()[3] & termios.ISIG  # the shell's own, not the shim's


@both
def test_a_further_descriptor_on_the_terminal_is_the_pty(shell):
    shell.type("exec 5>&1; sh -c 'test -t 5 && echo on5 >&5; [ $(tty) = $(tty <&5) ] && echo same'\n")
    shell.expect("on5\r\nsame\r\nready> ")
    shell.type("sh -c 'echo only5 >&5' </dev/null >/dev/null 2>&1\n")
    shell.expect("only5\r\n")


@both
def test_a_command_may_change_the_modes_for_good(shell):
    shell.type("/usr/bin/stty -a\n")
    assert b" ixon" in shell.expect(r"(?s)speed.*ready> ").group()
    shell.type("stty -ixon\n")
    shell.expect("ready> ")
    shell.type("/usr/bin/stty -a\n")
    assert b" -ixon" in shell.expect(r"(?s)speed.*ready> ").group()


@both
def test_a_stopped_command_is_a_stopped_job(shell):
    shell.type("cat\n")
    wait_until(shell.raw)
    shell.type("one\n")
    shell.expect("one\r\n")
    for _ in range(3):
        shell.type("\x1a")
        shell.expect(r"Stopped.*cat\r\nready> ")
        shell.type("jobs\n")
        shell.expect(r"Stopped.*cat\r\nready> ")
        shell.type("fg\n")
        shell.expect("cat\r\n")
        time.sleep(0.2)
        shell.type("two\n")
        shell.expect("two\r\n")
    shell.type("\x04")
    shell.expect("ready> ")


@both
def test_a_background_command_that_reads_stops_and_goes_on_in_front(shell):
    shell.type("cat &\n")
    shell.expect("ready> ")
    for _ in range(50):
        shell.type("jobs\n")
        if b"Stopped" in shell.expect(r"(Running|Stopped).*cat").group():
            break
        time.sleep(0.1)
    shell.type("fg\n")
    shell.expect("cat\r\n")
    time.sleep(0.3)
    shell.type("typed\n")
    shell.expect("typed\r\n")
    shell.type("\x03")
    shell.expect("ready> ")
    shell.type("echo code $?\n")
    shell.expect("code 130\r\n")


@both
def test_a_background_command_writes_with_one_carriage_return(shell):
    shell.type("seq 3 & wait\n")
    shell.expect("(?<!\r)\r\n1\r\n2\r\n3\r\n")


@both
def test_a_running_job_brought_to_the_front_can_be_interrupted(shell):
    shell.type("sleep 60 &\n")
    shell.expect("ready> ")
    time.sleep(0.5)
    shell.type("fg\n")
    shell.expect("sleep 60\r\n")
    time.sleep(0.2)
    shell.type("\x03")
    shell.expect("ready> ")
    shell.type("echo code $?\n")
    shell.expect("code 130\r\n")


@both
def test_a_pager_at_the_end_of_a_pipeline_reads_the_keys(shell):
    shell.type("seq 500 | less\n")
    shell.expect("32\r\n:")
    shell.type(" ")
    shell.expect("64\r\n:")
    shell.type("q")
    shell.expect("ready> ")
    shell.type("seq 2 | cat | tee /dev/null\n")
    shell.expect("1\r\n2\r\nready> ")


@both
def test_a_pager_can_be_stopped_with_its_pipeline(shell):
    shell.type("seq 50000 | less\n")
    shell.expect("32\r\n:")
    time.sleep(0.3)  # it shows its page before it asks for the terminal
    shell.type("\x1a")
    shell.expect(r"Stopped.*\r\nready> ")
    shell.type("fg\n")
    shell.expect("less\r\n")
    time.sleep(0.5)
    shell.type("G")
    shell.expect("50000\r\n", 30)
    shell.type("q")
    shell.expect("ready> ")


@both
def test_a_command_in_a_pipeline_may_ask_on_the_terminal(shell):
    shell.type("sh -c 'echo name? >/dev/tty; read x </dev/tty; echo \"hi $x\"' | /bin/cat\n")
    shell.expect("name[?]\r\n")
    time.sleep(0.5)
    shell.type("ana\n")
    shell.expect("hi ana\r\nready> ")


@both
def test_an_editor_works(shell, tmp_path):
    path = tmp_path / "file"
    shell.type(f"vi -u NONE -N {path}\n")
    shell.expect("~")
    time.sleep(0.5)
    shell.type("ihello\x1b\x1a")
    shell.expect(r"Stopped.*\r\nready> ")
    shell.type("fg\n")
    shell.expect("~")
    time.sleep(0.3)
    shell.type(":wq\r")
    shell.expect("ready> ")
    assert path.read_text() == "hello\n"


@both
def test_a_shell_inside_has_job_control(shell):
    shell.type("PS1='inner> ' bash --norc --noprofile -i\n")
    shell.expect("inner> ")
    shell.type("/bin/cat\n")
    time.sleep(0.3)
    shell.type("\x1a")
    shell.expect(r"Stopped.*/bin/cat\r\n.*inner> ")
    shell.type("fg\n")
    time.sleep(0.3)
    shell.type("\x03")
    shell.expect("inner> ")
    shell.type("exit 7\n")
    shell.expect("ready> ")
    shell.type("echo code $?\n")
    shell.expect("code 7\r\n")


@both
def test_a_script_of_governed_commands_stops_as_one_job(shell, tmp_path):
    script = tmp_path / "s"
    script.write_text("#!/bin/sh\ncat\necho after\n")
    script.chmod(0o755)
    shell.type(f"{script}\n")
    wait_until(shell.raw)
    shell.type("x\n")
    shell.expect("x\r\n")
    shell.type("\x1a")
    shell.expect(r"Stopped.*\r\nready> ")
    shell.type("fg\n")
    time.sleep(0.3)
    shell.type("\x04")
    shell.expect("after\r\nready> ")


def test_without_devpts_the_terminal_itself_is_lent(warden, at_terminal):
    if os.geteuid() != 0:
        pytest.skip("hides /dev/ptmx in a mount namespace: needs root")
    link = os.fsdecode(warden.link("cat"))
    t = at_terminal(None, argv=["/usr/bin/unshare", "-m", "/bin/sh", "-c",
                                f"mount --bind /dev/null /dev/ptmx && exec {link}"])
    peer, _ = accepted(warden)
    assert peer.streams(keep=True) == 0
    assert [os.isatty(fd) for fd in peer.fds] == [True] * 3
    peer.drop_fds()
    peer.send(ended(CODE, 0))
    assert t.wait() == 0


@both
def test_output_of_a_session_without_a_controlling_terminal_passes(warden):
    warden.allow_all()
    master, slave = os.openpty()
    p = subprocess.Popen([warden.link("sh"), "-c", "test -t 1 && echo yes"], stdin=slave, stdout=slave,
                         stderr=slave, env=warden.env(), start_new_session=True)
    assert p.wait(15) == 0
    assert os.read(master, 100) == b"yes\r\n"
    os.close(slave)
    os.close(master)
