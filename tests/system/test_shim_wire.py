# SPDX-License-Identifier: MIT
"""clawrden-shim against a scripted warden: each answer, each way out, nothing left to luck."""
import contextlib
import errno
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from shim_fakes import (BY_SIGNAL, CLAIM, CLOSED0, CODE, EXIT, GO, ID, REFUSED, SHIM, SIGNAL, STOPPED,
                        WAITING, FakeWarden, ended, go, message, refused, wait_until, waiting)

subprocess._USE_POSIX_SPAWN = False  # Python 3.13's takes no empty name of a program


@pytest.fixture
def warden():
    w = FakeWarden()
    yield w
    w.close()


def finish(p, timeout=15):
    out, err = p.communicate(timeout=timeout)
    return p.returncode, out, err


def failed(p, *words):
    """It left with 125 and one line of ours that has these words."""
    code, out, err = finish(p)
    assert code == 125, (code, err)
    assert out == b""
    assert err.startswith(b"clawrden: ") and err.count(b"\n") == 1 and err.endswith(b"\n"), err
    for word in words:
        assert word.encode() in err, err


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0]


# ---- the request ----

def test_the_request_is_what_the_shim_was_called_with(warden, tmp_path):
    where = os.fsencode(tmp_path) + b"/d\xff\xfe"
    os.mkdir(where)
    env = warden.env(FOO="bar", EMPTY="")
    args = [b"push", b"", b"--x=\xff\x80\n", b"\xe2\x80\xae"]
    p = warden.shim("git", *args, cwd=where, env=env, umask=0o027)
    peer = warden.accept()
    q = peer.request()
    assert q.name == b"git"
    assert q.argv == [os.path.join(os.fsencode(warden.bin), b"git"), *args]
    assert q.cwd == where
    assert q.umask == 0o027
    assert (q.flags, q.claim) == (0, bytes(16))
    assert sorted(q.env) == sorted(os.fsencode(f"{k}={v}") for k, v in env.items())
    peer.send(refused(126))
    assert finish(p) == (126, b"", b"")
    assert peer.fds == []


def test_the_tool_name_may_be_any_bytes(warden):
    for name in (b"[", b"a b", b"x\xff\n", b"n" * 255):
        p = warden.shim(name)
        peer = warden.accept()
        assert peer.request().name == name
        peer.send(refused(77))
        assert finish(p)[0] == 77


def test_the_dash_of_a_login_shell_is_no_part_of_the_name(warden):
    p = subprocess.Popen(["-bash"], executable=warden.link("bash"), env=warden.env())
    warden.children.append(p)
    peer = warden.accept()
    q = peer.request()
    assert (q.name, q.argv) == (b"bash", [b"-bash"])
    peer.send(refused(1))
    assert p.wait(10) == 1


def test_a_hundred_thousand_arguments_arrive(warden):
    args = [b"%d" % i for i in range(100_000)]
    p = warden.shim("rm", *args)
    peer = warden.accept()
    assert peer.request().argv[1:] == args
    peer.send(refused(126))
    assert finish(p)[0] == 126


def test_two_mebibytes_of_long_strings_arrive(warden):
    args = [bytes([65 + i % 26]) * 131_071 for i in range(14)]
    room = (2 << 20) - sum(map(len, args)) - sum(len(k) + len(v) + 16 for k, v in os.environ.items())
    args.append(b"r" * (min(room, 131_072) - 20_000))
    p = warden.shim("echo", *args)
    peer = warden.accept()
    time.sleep(0.2)  # the socket's buffer is full by now, and the shim must wait for us
    assert peer.request().argv[1:] == args
    peer.send(refused(126))
    assert finish(p)[0] == 126


def test_a_directory_that_was_deleted_is_sent_as_unknown(warden, tmp_path):
    d = tmp_path / "gone"
    d.mkdir()
    link = warden.link("ls")
    p = subprocess.Popen(["sh", "-c", f"cd {d}; rmdir {d}; exec {os.fsdecode(link)}"], env=warden.env())
    warden.children.append(p)
    peer = warden.accept()
    assert peer.request().cwd == b""
    peer.send(refused(3))
    assert p.wait(10) == 3


# ---- by its own name, by none ----

def own(*args, **kw):
    return subprocess.run([SHIM, *args], capture_output=True, timeout=10, **kw)


def test_by_its_own_name_it_explains_itself():
    for args in ((), ("--help",)):
        p = own(*args, env={"CLAWRDEN_SOCKET": "/run/x.sock"})
        assert p.returncode == 0 and p.stderr == b""
        assert b"ln -s" in p.stdout and b"/run/x.sock" in p.stdout
    p = own(env={"CLAWRDEN_SOCKET": ""})
    assert b"/var/run/clawrden/warden.sock" in p.stdout
    p = own("--version")
    assert p.returncode == 0 and p.stdout.startswith(b"clawrden-shim ")
    for args in (("status",), ("--help", "x"), ("--version", "x"), ("--versio",)):
        p = own(*args)
        assert (p.returncode, p.stdout) == (2, b"") and p.stderr.startswith(b"clawrden: ")


def test_help_that_nobody_can_read_is_a_failure():
    with open("/dev/full", "wb") as full:
        assert subprocess.run([SHIM], stdout=full).returncode == 1


@pytest.mark.parametrize("argv0", ["", "/", "bin/", "other", "-git", "/usr/bin/true"])
def test_the_path_that_was_executed_names_the_command(warden, argv0):
    p = subprocess.Popen([argv0], executable=warden.link("git"), env=warden.env())
    warden.children.append(p)
    request = warden.accept().request()
    assert (request.name, request.argv) == (b"git", [argv0.encode()])


def test_argv0_names_it_where_the_path_does_not(warden, tmp_path):
    link = os.fsdecode(warden.link("python9"))
    script = tmp_path / "script"
    script.write_text(f"#!{link}\n")
    script.chmod(0o755)
    by_fd = f"import os; fd = os.open({link!r}, os.O_RDONLY); os.execve(fd, ['python9'], os.environ)"
    for argv in ([str(script)], [sys.executable, "-c", by_fd]):
        warden.children.append(subprocess.Popen(argv, env=warden.env()))
        assert warden.accept().request().name == b"python9"
    warden.children.append(subprocess.Popen(["git"], executable=SHIM, env=warden.env()))
    assert warden.accept().request().name == b"git"


def test_without_a_name_it_runs_nothing(warden):
    for argv0 in ("", "/", "bin/"):
        p = subprocess.Popen([argv0], executable=SHIM, env=warden.env(), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        failed(p, "without a name")
    code = ("import ctypes, os; libc = ctypes.CDLL(None); empty = (ctypes.c_char_p * 1)(None);"
            f"libc.execve({os.fsencode(SHIM)!r}, empty, empty)")
    p = subprocess.Popen(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    failed(p, "without a name")


# ---- refused ----

def test_a_refusal_is_printed_and_its_code_taken(warden):
    text = b"clawrden: git push is refused\nclawrden: by rule x \xff\x1b[0m\n"
    for code in (126, 124, 127, 75, 125, 1, 255):
        p = warden.shim("git", "push")
        peer = warden.accept()
        peer.request()
        peer.send(refused(code, text))
        peer.close()
        assert finish(p) == (code, b"", text)


def test_a_refusal_with_the_code_of_success_is_none(warden):
    for code in (0, 256, 0xFFFFFFFF):
        p = warden.shim("git")
        peer = warden.accept()
        peer.request()
        peer.send(refused(code, b"text\n"))
        assert finish(p) == (125, b"", b"text\n")


def test_a_refusal_before_the_request_was_read_is_heard(warden):
    p = warden.shim("echo", *[b"x" * 100_000] * 8)
    peer = warden.accept()
    peer.send(refused(126, b"clawrden: too many of you\n"))
    peer.close()
    assert finish(p) == (126, b"", b"clawrden: too many of you\n")


def test_a_text_longer_than_a_full_pipe_is_written_whole(warden):
    r, w = os.pipe()
    os.set_blocking(w, False)
    filler = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filler += os.write(w, b"." * 4096)
    p = warden.shim("git", stderr=w)
    os.close(w)
    peer = warden.accept()
    peer.request()
    text = b"clawrden: " + b"y" * 8000 + b"\n"
    peer.send(refused(126, text))
    time.sleep(0.1)
    assert p.poll() is None
    got = b""
    while len(got) < filler + len(text):
        got += os.read(r, 65536)
    os.close(r)
    assert got[filler:] == text
    assert p.wait(10) == 126


def test_nobody_to_read_the_words_changes_no_code(warden):
    for how in ("closed", "broken"):
        if how == "closed":
            p = subprocess.Popen(["sh", "-c", f"exec {os.fsdecode(warden.link('git'))} 2>&-"],
                                 env=warden.env())
        else:
            r, w = os.pipe()
            os.close(r)
            p = warden.shim("git", stderr=w)
            os.close(w)
        peer = warden.accept()
        peer.request()
        peer.send(refused(126, b"clawrden: no\n"))
        assert p.wait(10) == 126, how


# ---- no warden ----

def test_no_directory_fails_at_once(warden):
    start = time.monotonic()
    failed(warden.shim("git", env=warden.env(CLAWRDEN_SOCKET="/nonexistent/x/w.sock")),
           "/nonexistent/x/w.sock", "no such socket", "CLAWRDEN_SOCKET")
    assert time.monotonic() - start < 0.5


def test_a_warden_that_is_away_fails_after_a_moment(warden):
    warden.stop_listening()
    start = time.monotonic()
    failed(warden.shim("git"), "no such socket")
    assert 0.9 < time.monotonic() - start < 3
    warden.listen()
    warden.stop_listening(unlink=False)
    failed(warden.shim("git"), "nobody listens")


def test_a_warden_that_comes_back_within_the_moment_is_found(warden):
    warden.stop_listening()
    p = warden.shim("git")
    time.sleep(0.3)
    warden.listen()
    peer = warden.accept()
    peer.request()
    peer.send(refused(9))
    assert finish(p)[0] == 9


def test_what_is_no_socket_of_ours_fails(warden, tmp_path):
    plain = tmp_path / "file"
    plain.write_text("")
    failed(warden.shim("git", env=warden.env(CLAWRDEN_SOCKET=str(plain))), "cannot reach")
    failed(warden.shim("git", env=warden.env(CLAWRDEN_SOCKET="/" + "x" * 200)), "too long")
    failed(warden.shim("git", env=warden.env(CLAWRDEN_SOCKET=str(plain / "x"))), "no such socket")
    dgram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dgram.bind(str(tmp_path / "d"))
    failed(warden.shim("git", env=warden.env(CLAWRDEN_SOCKET=str(tmp_path / "d"))), "another kind")


@pytest.mark.skipif(os.geteuid() != 0, reason="switches to another user: needs root")
def test_a_socket_that_is_not_for_us_fails_at_once(warden):
    os.chmod(warden.dir.name, 0o755)
    os.chmod(warden.path, 0o600)
    script = f"exec {os.fsdecode(warden.link('git'))}"
    if subprocess.run(["sh", "-c", f"test -x {SHIM}"], user=61234, group=61234).returncode:
        script = None  # the source tree is not for others: copy the shim
        os.unlink(warden.link("git"))
        with open(SHIM, "rb") as f, open(os.path.join(warden.bin, "git"), "wb") as g:
            g.write(f.read())
        os.chmod(os.path.join(warden.bin, "git"), 0o755)
        script = f"exec {warden.bin}/git"
    failed(subprocess.Popen(["sh", "-c", script], env=warden.env(), user=61234, group=61234,
                            extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE),
           "permission denied")


def test_words_about_a_socket_carry_no_control_bytes(warden):
    failed(warden.shim("g\x1b[31m", env=warden.env(CLAWRDEN_SOCKET="/nonexistent/\x1b]0;x\x07/s")),
           "g?[31m", "?]0;x?")


# ---- wrong answers and hang-ups before V2_GO ----

WRONG = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "reserved": b"\x82\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x7e",
    "too long": struct.pack(">B3xI", REFUSED, 9000) + b"x" * 9000,
    "far too long": struct.pack(">B3xI", REFUSED, 0xFFFFFFFF),
    "unknown type": message(0x99),
    "a client's type": message(1),
    "go too short": message(GO, b"x" * 15),
    "go too long": message(GO, b"x" * 17),
    "waiting too short": message(WAITING, b"x" * 19),
    "refused too short": message(REFUSED, b"\0\0\0"),
    "exit before go": ended(CODE, 0),
    "stopped before go": message(STOPPED, b"\0\0\0\x14"),
    "empty exit": message(EXIT),
    "v1 ack": b"\0",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_runs_nothing(warden, what):
    p = warden.shim("git")
    peer = warden.accept()
    peer.request()
    peer.send(WRONG[what])
    if what == "v1 ack":
        peer.sock.shutdown(socket.SHUT_WR)
    failed(p, "warden", "nothing was run")


@pytest.mark.parametrize("bytes_before", [0, 1, 7, 8, 11])
def test_a_hang_up_before_the_verdict_runs_nothing(warden, bytes_before):
    p = warden.shim("git")
    peer = warden.accept()
    peer.request()
    peer.send(refused(126, b"text")[:bytes_before])
    peer.close()
    failed(p, "hung up", "nothing was run")


def test_an_answer_in_single_bytes_is_understood(warden):
    p = warden.shim("git")
    peer = warden.accept()
    peer.request()
    for byte in waiting() + refused(126, b"clawrden: no\n"):
        peer.send(bytes([byte]))
        time.sleep(0.001)
    assert finish(p) == (126, b"", b"clawrden: no\n")


# ---- waiting ----

def wait_for_person(warden, *args, **kw):
    p = warden.shim("git", *args, **kw)
    peer = warden.accept()
    peer.request()
    peer.send(waiting())
    return p, peer


def test_an_agent_hears_nothing_while_it_waits(warden):
    p, peer = wait_for_person(warden)
    peer.send(waiting(30, b"still"))
    assert peer.quiet(0.7)
    assert peer.streams() == 0
    peer.send(ended(CODE, 5))
    assert finish(p) == (5, b"", b"")


def test_a_refusal_after_waiting_is_a_refusal(warden):
    p, peer = wait_for_person(warden)
    peer.send(refused(126, b"clawrden: nobody answered within 15m\n"))
    assert finish(p) == (126, b"", b"clawrden: nobody answered within 15m\n")


def test_a_restart_of_the_warden_keeps_the_place(warden):
    p, peer = wait_for_person(warden, "push", "\udcff")
    first = None
    for _ in range(3):
        warden.stop_listening()
        peer.close()
        time.sleep(0.3)
        assert p.poll() is None
        warden.listen()
        peer = warden.accept()
        q = peer.request()
        assert q.flags == CLAIM and q.claim == ID
        first = first or q.payload
        assert q.payload == first and q.argv[1:] == [b"push", b"\xff"]
        peer.send(waiting())
    assert peer.streams() == 0
    peer.send(ended(CODE, 0))
    assert finish(p) == (0, b"", b"")


def test_a_claim_may_be_answered_at_once(warden):
    for answer, code in ((refused(126, b"clawrden: no\n"), 126), (go(), 7)):
        p, peer = wait_for_person(warden)
        peer.close()
        peer = warden.accept()
        assert peer.request().claim == ID
        if code == 126:
            peer.send(answer)
        else:
            peer.streams()
            peer.send(ended(CODE, 7))
        assert finish(p)[0] == code


def test_a_warden_that_hangs_up_on_claims_is_tried_again(warden):
    p, peer = wait_for_person(warden)
    for _ in range(4):
        peer.close()
        peer = warden.accept()
        assert peer.request().flags == CLAIM
    peer.send(refused(126))
    assert finish(p)[0] == 126


def test_a_caller_that_left_during_a_restart_is_noticed(warden):
    r, w = os.pipe()
    p, peer = wait_for_person(warden, stdout=w)
    os.close(w)
    warden.stop_listening()
    peer.close()
    time.sleep(0.1)
    os.close(r)
    assert p.wait(5) == 125
    assert p.stderr.read() == b""


@pytest.mark.parametrize("kind", ["pipe", "socket", "socket, unread data", "terminal"])
@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_a_reader_that_goes_withdraws_the_request(warden, kind, which):
    if kind == "pipe":
        r, w = os.pipe()
    elif kind == "terminal":
        r, w = os.openpty()
    else:
        a, b = socket.socketpair()
        r, w = a.detach(), b.detach()
        if kind == "socket, unread data":
            os.write(w, b"x")
    p, peer = wait_for_person(warden, **{which: w})
    os.close(w)
    assert peer.quiet(0.7)
    os.close(r)
    assert peer.hung_up(2)
    assert p.wait(5) == 125
    out, err = p.communicate()
    assert not out and not err


def test_a_reader_that_was_gone_before_is_no_sign(warden):
    r, w = os.pipe()
    os.close(r)
    p, peer = wait_for_person(warden, stdout=w)
    os.close(w)
    assert peer.quiet(0.7)
    peer.send(refused(126))
    assert p.wait(5) == 126


def test_files_whose_poll_means_nothing_are_no_sign(warden, tmp_path):
    with open("/sys/kernel/uevent_seqnum") as f:
        p, peer = wait_for_person(warden, stdout=f)
        assert peer.quiet(0.7)
    peer.send(refused(126))
    assert p.wait(5) == 126


def shim_below(warden, script, **kw):
    """A shim that a shell started; returns the shell, the peer and the shim's pid."""
    link = os.fsdecode(warden.link("git"))
    p = subprocess.Popen(["sh", "-c", script.format(link)], env=warden.env(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    warden.children.append(p)
    peer = warden.accept()
    peer.request()
    pid = struct.unpack("iII", peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    peer.send(waiting())
    return p, peer, pid


def test_a_parent_that_dies_withdraws_the_request(warden):
    p, peer, _ = shim_below(warden, "{} & wait")
    assert peer.quiet(0.7)
    p.kill()
    p.wait()
    assert peer.hung_up(2)


def test_a_session_leader_that_dies_withdraws_the_request(warden):
    # The leader is the outer shell; the shim's parent is the inner one and stays.
    p, peer, pid = shim_below(warden, "sh -c '{} & wait' & wait", start_new_session=True)
    assert os.getsid(pid) == p.pid
    assert peer.quiet(0.7)
    os.kill(p.pid, signal.SIGKILL)  # not yet reaped: only a pidfd tells
    assert peer.hung_up(2)
    p.wait()


def test_a_shim_that_leads_its_session_waits(warden):
    p, peer = wait_for_person(warden, start_new_session=True)
    assert peer.quiet(0.8)
    peer.send(refused(126))
    assert finish(p)[0] == 126


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
                                   signal.SIGUSR1, signal.SIGKILL, signal.SIGALRM])
def test_a_signal_while_waiting_kills_by_that_signal(warden, signo):
    p, peer = wait_for_person(warden, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    p.send_signal(signo)
    assert finish(p) == (-signo, b"", b"")
    assert peer.hung_up(2)


def test_an_ignored_signal_stays_ignored_while_waiting(warden):
    p, peer = wait_for_person(warden, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    p.send_signal(signal.SIGHUP)
    assert peer.quiet(0.5)
    assert peer.streams() == 0
    p.send_signal(signal.SIGHUP)
    assert peer.quiet(0.3)
    p.send_signal(signal.SIGTERM)
    assert peer.number(SIGNAL) == signal.SIGTERM
    peer.send(ended(CODE, 1))
    assert finish(p)[0] == 1


def test_job_control_while_waiting_is_the_ordinary_one(warden):
    p, peer = wait_for_person(warden, process_group=0)
    p.send_signal(signal.SIGTSTP)
    wait_until(lambda: state(p.pid) == "T", what="stopped")
    p.send_signal(signal.SIGCONT)
    wait_until(lambda: state(p.pid) == "S", what="continued")
    peer.send(refused(126))
    assert finish(p)[0] == 126


# ---- running, without a terminal ----

def started(warden, *args, keep=False, **kw):
    p = warden.shim("git", *args, **kw)
    peer = warden.accept()
    peer.request()
    flags = peer.streams(keep)
    return p, peer, flags


def test_the_descriptors_are_the_shims(warden):
    files = [os.memfd_create(n) for n in "abcde"]
    p, peer, flags = started(warden, keep=True, stdin=files[0], stdout=files[1], stderr=files[2], pass_fds=files[3:])
    assert flags == 0 and peer.numbers == files[3:]
    for mine, theirs in zip(files, peer.fds):
        assert os.path.sameopenfile(mine, theirs)
    peer.send(ended(CODE, 0))
    assert p.wait(10) == 0
    for fd in files:
        os.close(fd)


def test_what_was_lent_is_not_held(warden):
    """Who waits for the end of a pipe or for a lock waits for the command, not for the shim."""
    r, w = os.pipe()
    p, peer, _ = started(warden, keep=True, pass_fds=[w])
    os.close(w)
    peer.drop_fds()
    assert select.select([r], [], [], 10)[0] and os.read(r, 1) == b""
    assert p.poll() is None
    os.close(r)
    peer.send(ended(CODE, 0))
    assert p.wait(10) == 0


def test_of_too_many_descriptors_the_lowest_pass(warden):
    link = os.fsdecode(warden.link("git"))
    code = f"import os; [os.dup2(0, n) for n in range(3, 500)]; os.dup2(0, 1500); os.execv({link!r}, ['git'])"
    p = subprocess.Popen([sys.executable, "-c", code], env=warden.env(), stdin=subprocess.DEVNULL,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000)))
    warden.children.append(p)
    peer = warden.accept()
    peer.request()
    peer.streams()
    assert peer.numbers == list(range(3, 243))
    peer.send(ended(CODE, 0))
    assert p.wait(10) == 0


def test_a_low_limit_on_open_files_is_no_hindrance(warden):
    link = os.fsdecode(warden.link("git"))
    p = subprocess.Popen(["bash", "-c", f"exec 9</dev/null; ulimit -n 16; exec {link}"], env=warden.env(),
                         stdin=subprocess.DEVNULL)
    warden.children.append(p)
    peer = warden.accept()
    peer.request()
    peer.streams()
    assert peer.numbers == [9]
    peer.send(ended(CODE, 0))
    assert p.wait(10) == 0


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_closed_descriptor_is_named(warden, closed):
    link = os.fsdecode(warden.link("git"))
    marks = "".join(f" {n}{'<' if n == 0 else '>'}&-" for n in closed)
    p = subprocess.Popen(["sh", "-c", f"exec {link}{marks}"], env=warden.env(), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    warden.children.append(p)
    peer = warden.accept()
    peer.request()
    assert peer.streams(keep=True) == sum(CLOSED0 << n for n in closed)
    assert len(peer.fds) == 3
    for n in closed:
        with pytest.raises(OSError) as e:
            os.read(peer.fds[n], 1) if n == 0 else os.write(peer.fds[n], b"x")
        assert e.value.errno == errno.EBADF
    peer.drop_fds()
    peer.send(ended(CODE, 4, b"text\n"))
    code, out, err = finish(p)
    assert code == 4 and err == (b"" if 2 in closed else b"text\n")


@pytest.mark.parametrize("code", [0, 1, 77, 126, 255])
def test_the_commands_exit_code_is_ours(warden, code):
    p, peer, _ = started(warden)
    peer.send(ended(CODE, code, b"clawrden: words\n" if code else b""))
    assert finish(p) == (code, b"", b"clawrden: words\n" if code else b"")


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE,
                                   signal.SIGABRT, signal.SIGINT, signal.SIGHUP, 64])
def test_the_commands_death_is_ours(warden, signo, tmp_path):
    p, peer, _ = started(warden, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    peer.send(ended(BY_SIGNAL, signo))
    pid, status = os.waitpid(p.pid, 0)
    p.returncode = 0
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signo
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


def test_death_by_a_signal_that_was_blocked_or_ignored_is_still_death(warden):
    def hostile():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCONT])
    p, peer, _ = started(warden, preexec_fn=hostile)
    peer.send(ended(BY_SIGNAL, signal.SIGTERM))
    assert finish(p)[0] == -signal.SIGTERM


def test_death_by_a_signal_that_does_not_kill_is_128_and_it(warden):
    for signo in (signal.SIGCHLD, signal.SIGSTOP, signal.SIGTSTP, signal.SIGWINCH):
        p, peer, _ = started(warden)
        peer.send(ended(BY_SIGNAL, signo))
        assert finish(p)[0] == 128 + signo


WRONG_RUNNING = {
    "garbage": b"\x01\x02\x03\x04\x05\x06\x07\x08",
    "go again": go(),
    "waiting": waiting(),
    "refused": refused(126, b"x"),
    "exit too short": message(EXIT, b"\0" * 7),
    "exit of an unknown kind": ended(2, 0),
    "exit code over 255": ended(CODE, 256),
    "signal 0": ended(BY_SIGNAL, 0),
    "signal 65": ended(BY_SIGNAL, 65),
    "stopped by TERM": message(STOPPED, b"\0\0\0\x0f"),
    "stopped too long": message(STOPPED, b"\0\0\0\x14\0"),
}


@pytest.mark.parametrize("what", WRONG_RUNNING)
def test_a_wrong_message_while_running_is_said(warden, what):
    p, peer, _ = started(warden)
    peer.send(WRONG_RUNNING[what])
    failed(p, "helper", "may have done a part")


def test_a_helper_that_hangs_up_is_said_and_nothing_is_run_again(warden):
    p, peer, _ = started(warden)
    peer.close()
    failed(p, "lost the helper", "may have done a part")
    warden.listener.settimeout(0.5)
    with pytest.raises(TimeoutError):
        warden.accept()


def test_a_hang_up_instead_of_taking_the_descriptors_is_said(warden):
    p, peer = wait_for_person(warden)
    peer.send(go())
    peer.close()
    failed(p, "lost the helper")


def test_the_end_is_read_before_the_hang_up(warden):
    for _ in range(20):
        p, peer, _ = started(warden)
        peer.send(ended(CODE, 3))
        peer.close()
        assert finish(p)[0] == 3


FORWARDED = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGALRM, signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH]


def test_ten_signals_are_forwarded(warden):
    p, peer, _ = started(warden)
    for signo in FORWARDED:
        p.send_signal(signo)
        assert peer.number(SIGNAL) == signo
    peer.send(ended(CODE, 0))
    assert finish(p)[0] == 0


def test_ignored_signals_are_not_forwarded(warden):
    ignored = [s for s in FORWARDED if s != signal.SIGCONT]
    p, peer, _ = started(warden, preexec_fn=lambda: [signal.signal(s, signal.SIG_IGN) for s in ignored])
    for signo in ignored:
        p.send_signal(signo)
    assert peer.quiet(0.3)
    p.send_signal(signal.SIGCONT)
    assert peer.number(SIGNAL) == signal.SIGCONT
    peer.send(ended(CODE, 0))
    assert finish(p)[0] == 0


def test_a_flood_of_signals_ends_nothing(warden):
    p, peer, _ = started(warden)
    for _ in range(20_000):
        p.send_signal(signal.SIGWINCH)
    assert p.poll() is None
    seen = set()

    def drain():
        with contextlib.suppress(EOFError):
            while True:
                seen.add(peer.number(SIGNAL))
    t = threading.Thread(target=drain)
    t.start()
    p.send_signal(signal.SIGTERM)
    wait_until(lambda: signal.SIGTERM in seen)
    assert seen == {signal.SIGWINCH, signal.SIGTERM}
    peer.send(ended(CODE, 0))
    assert finish(p)[0] == 0
    t.join(10)


@pytest.mark.parametrize("signo", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_command_that_stops_stops_the_shim(warden, signo):
    p, peer, _ = started(warden, process_group=0)
    for _ in range(3):
        peer.send(message(STOPPED, struct.pack(">I", signo)))
        pid, status = os.waitpid(p.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signo
        p.send_signal(signal.SIGCONT)
        assert peer.number(SIGNAL) == signal.SIGCONT
    p.send_signal(signal.SIGTSTP)
    assert peer.number(SIGNAL) == signal.SIGTSTP
    assert state(p.pid) != "T"  # not before the command has
    peer.send(ended(CODE, 0))
    assert finish(p)[0] == 0


def test_in_an_orphaned_group_the_command_goes_on(warden):
    """The kernel ignores SIGTSTP there, for a plain command too: nobody could continue it."""
    p, peer, _ = started(warden, start_new_session=True)
    peer.send(message(STOPPED, struct.pack(">I", signal.SIGTSTP)))
    assert peer.number(SIGNAL) == signal.SIGCONT
    peer.send(ended(CODE, 0))
    assert finish(p)[0] == 0


# ---- a real command behind a fake helper ----

def test_bulk_data_passes_byte_for_byte(warden):
    warden.allow_all()
    data = os.urandom(1 << 20) * 20
    p = warden.shim("cat", stdin=subprocess.PIPE)
    out, err = p.communicate(data, timeout=60)
    assert p.returncode == 0 and out == data and err == b""


def test_a_reader_sees_the_end_when_the_command_closes_its_stdout(warden):
    warden.allow_all()
    p = warden.shim("sh", "-c", "echo out; exec >&- 2>/dev/null; read x", stdin=subprocess.PIPE)
    assert p.stdout.read() == b"out\n"
    assert p.poll() is None
    p.stdin.close()
    assert p.wait(10) == 1


def test_a_writer_sees_the_broken_pipe_when_the_command_closes_its_stdin(warden):
    warden.allow_all()
    p = warden.shim("sh", "-c", "exec <&-; echo ready; exec sleep 60", stdin=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    with pytest.raises(BrokenPipeError):
        os.write(p.stdin.fileno(), b"x")
    p.terminate()
    assert p.wait(10) == -signal.SIGTERM


def test_a_closed_stdout_is_closed_for_the_command(warden):
    warden.allow_all()
    link = os.fsdecode(warden.link("echo"))
    done = subprocess.run(["sh", "-c", f"{link} hello >&-"], env=warden.env(), capture_output=True,
                          timeout=15)
    plain = subprocess.run(["sh", "-c", "/bin/echo hello >&-"], capture_output=True)
    assert done.returncode == plain.returncode != 0
    assert b"Bad file descriptor" in done.stderr


def test_signals_reach_the_command_and_its_handler_decides(warden):
    warden.allow_all()
    p = warden.shim("sh", "-c", "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(signal.SIGUSR1)
    assert finish(p)[:2] == (9, b"got\n")


def test_the_commands_own_group_stops_and_continues(warden):
    warden.allow_all()
    p = warden.shim("sh", "-c", "echo ready; read x; echo on; exit 6", stdin=subprocess.PIPE,
                    process_group=0)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(signal.SIGTSTP)
    wait_until(lambda: state(p.pid) == "T", what="the shim stopped with its command")
    p.stdin.write(b"\n")
    p.stdin.close()
    time.sleep(0.2)
    assert p.poll() is None
    p.send_signal(signal.SIGCONT)
    assert p.stdout.read() == b"on\n"
    assert p.wait(10) == 6
