# SPDX-License-Identifier: MIT
"""`clawrden`, the program for people: each command with a real warden, help and man page, errors, and what
an agent may write into a reviewer's terminal (nothing)."""
import http.server
import json
import os
import pty
import re
import select
import socketserver
import stat
import subprocess
import threading
import time

import pytest

from conftest import AGENT_GID, AGENT_UID, BIN, ROOT, needs_root, wait_for

CLAWRDEN = str(BIN / "clawrden")
NASTY = ["a\nb", "\x1b[2J\x1b[H", "\u202etxt.exe", "z\u200bw", "\u2028", "\r", "\x07", "\x9b31m", "e" + "\u0301" * 50,
         "tab\there", "back\\slash", ""]


def cli(*args, env=None, **kw):
    """`clawrden ARGS` with no warden named by the environment."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("CLAWRDEN_", "XDG_"))}
    return subprocess.run([CLAWRDEN, *map(str, args)], capture_output=True, text=True, timeout=20,
                          env={**base, **(env or {})}, **kw)


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *argv, env=None, rows=24, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(env or {})
            subprocess.run(["stty", "rows", str(rows), "columns", str(columns)], check=False)
            os.execv(argv[0], argv)
        self.seen = ""

    def read(self, timeout=0.1):
        """Takes what is there; False at the end."""
        while select.select([self.fd], [], [], timeout)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.seen += data.decode(errors="replace")
            timeout = 0
        return True

    def wait_for(self, text, timeout=10):
        wait_for(lambda: (self.read(), text in self.seen)[1], timeout, f"{text!r} in {self.seen!r}")

    def send(self, keys):
        self.seen = ""
        os.write(self.fd, keys.encode())

    def end(self, timeout=10):
        """Reads to the end; the exit status."""
        stop = time.monotonic() + timeout
        while self.read():
            assert time.monotonic() < stop, self.seen
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


def terminal(w, *args, **kw):
    return Terminal(CLAWRDEN, *args, env={"CLAWRDEN_API": f"unix:{w.api_socket}"}, **kw)


# ---- help, options, the man page ----

def names():
    """Every command, as the help lists them."""
    out = cli("--help").stdout
    part = out.split("commands (each takes --help):\n")[1].split("\n\n")[0]
    return [re.match(r"  (\S+(?: \S+)?)  +\S", line).group(1) for line in part.splitlines()]


def options(*command):
    return set(re.findall(r"^  (?:-\w,|   ) --([a-z-]+)", cli(*command, "--help").stdout, re.M))


def test_every_command_has_help():
    for name in ["status", "queue", "approve", "deny", "running", "history", "kill", "pause", "resume", "panic", "init", "policy check",
                 "policy explain", "policy show", "policy reload", "audit verify", "audit tail", "audit export"]:
        assert name in names()
    for name in names():
        for words in ([*name.split(), "--help"], ["--help", *name.split()], ["help", *name.split()]):
            done = cli(*words)
            assert done.returncode == 0, words
            assert done.stdout.startswith(f"usage: clawrden {name} "), words
            assert "--json" in done.stdout and done.stderr == ""
    for group in ("policy", "audit", "token", "user", "session", "context"):
        assert f"  {group} " in cli(group, "--help").stdout
        assert cli(group).returncode == 2


def test_the_man_page_names_every_command_and_option():
    page = (ROOT / "docs/man/clawrden.1.scd").read_text()
    heads = re.findall(r"^## (.*)$", page, re.M)
    for name in names():
        section = next((h for h in heads if h == name or h.startswith(name + " ")), None)
        assert section, f"{name} has no section"
        text = page.split(f"## {section}\n")[1].split("\n## ")[0].split("\n# ")[0]
        own = options(*name.split()) - options()
        described = set(re.findall(r"\*--([a-z-]+)\*", text))
        assert own <= described, (name, own - described)
    everything = options().union(*(options(*n.split()) for n in names()))
    assert set(re.findall(r"\*--([a-z-]+)\*", page)) <= everything


def test_version_and_no_command():
    assert re.fullmatch(r"clawrden \d+\.\d+\.\d+\S*\n", cli("--version").stdout)
    done = cli()
    assert done.returncode == 2 and "commands (each takes --help)" in done.stdout


@pytest.mark.parametrize("args, words", [
    (["aprove", "x"], "did you mean 'approve'?"),
    (["policy", "chekc", "x"], "did you mean 'check'?"),
    (["queue", "--wach"], "did you mean '--watch'?"),
    (["approve"], "an argument is missing"),
    (["status", "x"], "unexpected argument 'x'"),
    (["history", "--limit"], "--limit needs a value"),
    (["history", "--limit", "0"], "a number from 1 to 1000"),
    (["history", "--since", "tomorrow"], "neither a duration"),
    (["kill", "--signal", "NOPE", "abcd"], "is no signal"),
    (["kill", "--yes"], "kill what?"),
    (["kill", "--yes", "--all", "abcd"], "kill what?"),
    (["pause", "--container", "x", "--all"], "pause what?"),
    (["pause", "--all", "--resume-after", "soon"], "is no time"),
    (["resume"], "resume what?"),
    (["panic", "x"], "unexpected argument 'x'"),
    (["queue", "--watch"], "needs a terminal"),
    (["--api", "ftp://x", "status"], "is no address"),
    (["--token-file", "/nonexistent", "status"], "cannot read the token"),
    (["\x1b[2J"], "unknown command '\\e[2J'"),
])
def test_wrong_usage_is_2(args, words):
    done = cli(*args)
    assert done.returncode == 2, done
    assert words in done.stderr and "\x1b" not in done.stderr


def test_what_cannot_be_written_is_no_success():
    with open("/dev/full", "w") as full:
        done = subprocess.run([CLAWRDEN, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "cannot write the output" in done.stderr


# ---- finding the warden ----

def test_a_warden_that_is_not_there_is_3(tmp_path):
    done = cli("status", env={"CLAWRDEN_STATE": str(tmp_path)})
    assert done.returncode == 3
    assert f"unix:{tmp_path}/api.sock" in done.stderr and "is the warden running?" in done.stderr
    done = cli("queue", env={"CLAWRDEN_API": f"unix:{tmp_path}/env.sock"})
    assert done.returncode == 3 and "env.sock" in done.stderr and "given by CLAWRDEN_API" in done.stderr
    done = cli("queue", "--api", f"unix:{tmp_path}/opt.sock", env={"CLAWRDEN_API": f"unix:{tmp_path}/env.sock"})
    assert done.returncode == 3 and "opt.sock" in done.stderr and "given by --api" in done.stderr


def test_by_tcp_a_token_is_needed(warden):
    file = warden.dir / "token"
    file.write_text(warden.token + "\n")
    assert cli("--api", warden.api_url, "--token-file", file, "status").returncode == 0
    assert cli("status", "--token", warden.token, "--api", warden.api_url).returncode == 0
    env = {"CLAWRDEN_API": warden.api_url, "CLAWRDEN_TOKEN": warden.token}
    assert cli("status", env=env).returncode == 0
    done = cli("status", "--api", warden.api_url)
    assert done.returncode == 3 and "--token-file" in done.stderr
    assert cli("status", "--api", warden.api_url, "--token", "0" * 64).returncode == 3


# ---- status, queue, answers ----

def test_status(warden):
    done = warden.cli("status", check=True)
    assert re.search(r"^waiting +0$", done.stdout, re.M)
    assert str(warden.policy) in done.stdout and str(warden.socket) in done.stdout
    status = json.loads(warden.cli("--json", "status", check=True).stdout)
    assert status["waiting"] == 0 and status["policy"]["rules"] == 9


def test_an_empty_queue(warden):
    assert warden.cli("queue", check=True).stdout == "nothing waits\n"
    assert warden.cli("queue", "--json", check=True).stdout == "[]\n"
    assert warden.cli("running", check=True).stdout == "nothing runs\n"
    assert warden.cli("running", "--json", check=True).stdout == "[]\n"


def test_the_queue_as_json_begins_with_string_ids(warden):
    with warden.popen("git", "status"), warden.popen("git", "log"):
        queue = warden.wait_queue(2)
        text = warden.cli("queue", "--json", check=True).stdout
        for entry in queue:
            assert next(iter(entry)) == "id" and isinstance(entry["id"], str)
            assert text.count(f'{{"id":"{entry["id"]}"') == 1
            assert entry["command"] == "git" and len(entry["args"]) == 1
            assert warden.deny(entry["id"]).returncode == 0


def test_approve_by_the_end_of_an_id(warden):
    with warden.popen("git", "--version") as p:
        id = warden.wait_queue()[0]["id"]
        done = warden.approve(id[-8:], "--comment", "fine")
        assert done.returncode == 0 and done.stdout == f"approved {id}: git --version\n"
        assert p.communicate(timeout=10)[0].startswith(b"git version")
    record = warden.decisions()[-1]
    assert record["decision"] == "ask-approved" and record["comment"] == "fine" and record["channel"] == "cli"
    assert record["approver"] and record["id"] == id


def test_the_agent_reads_why_it_was_denied(warden):
    with warden.popen("git", "push") as p:
        id = warden.wait_queue()[0]["id"]
        done = warden.deny(id, "-m", "use a branch")
        assert done.returncode == 0 and done.stdout.startswith(f"denied {id}")
        errors = p.communicate(timeout=10)[1]
    assert p.returncode == 126 and b"use a branch" in errors and id.encode() in errors
    assert warden.decisions()[-1]["comment"] == "use a branch"


def test_an_answered_id_is_1_and_says_what_became_of_it(warden):
    with warden.popen("git", "push") as p:
        id = warden.wait_queue()[0]["id"]
        assert warden.deny(id).returncode == 0
        p.communicate(timeout=10)
    for command in ("approve", "deny", "queue"):
        done = wait_for(lambda c=command: (d := warden.cli(c, id)) and "it was denied" in d.stderr and d)
        assert done.returncode == 1 and done.stdout == ""
        assert f"request {id} does not wait any more" in done.stderr and "git push" in done.stderr


def test_an_expired_id_is_1_and_says_that_nobody_answered(make_warden):
    w = make_warden("default_action: deny\nallowed_paths: ['/*']\n"
                    "rules:\n  - {command: git, action: ask, approval_timeout: 1s}\n")
    with w.popen("git", "push") as p:
        id = w.wait_queue()[0]["id"]
        p.communicate(timeout=10)
    done = wait_for(lambda: (d := w.approve(id)) and "nobody answered" in d.stderr and d)
    assert done.returncode == 1 and id in done.stderr


@pytest.mark.parametrize("id", ["01234567-89ab-7cde-8f01-23456789abcd", "dead", "\x1b[2J\x1b[2J", "x" * 3000])
def test_an_unknown_id_is_1(warden, id):
    for command in ("approve", "deny", "queue"):
        done = warden.cli(command, id)
        assert done.returncode == 1 and "no request" in done.stderr and "\x1b" not in done.stderr
    done = warden.cli("kill", "--yes", id)
    assert done.returncode == 1 and "no request" in done.stderr


def test_an_id_that_names_several_is_refused(warden):
    with warden.popen("git", "a"), warden.popen("git", "b"):
        ids = [q["id"] for q in warden.wait_queue(2)]
        # Their beginning is the time: what two neighbours share of it.
        shared = os.path.commonprefix(ids)
        assert len(shared) >= 4
        done = warden.approve(shared)
        assert done.returncode == 1 and "names 2 requests" in done.stderr
        done = warden.approve(ids[0][-2:])
        assert done.returncode == 1 and "too short" in done.stderr
        assert len(warden.queue()) == 2
        assert warden.deny(*ids).returncode == 0
    assert {d["id"] for d in warden.decisions()} == set(ids)


def test_an_answer_to_many_goes_on_behind_a_stale_one(warden):
    with warden.popen("git", "a") as p:
        id = warden.wait_queue()[0]["id"]
        done = warden.deny("00000000-0000-7000-8000-000000000000", id)
        assert done.returncode == 1 and f"denied {id}" in done.stdout and "no request" in done.stderr
        assert p.wait(10) == 126


def test_one_request_in_full(warden):
    with warden.popen("git", "push", "a b"):
        id = warden.wait_queue()[0]["id"]
        out = warden.cli("queue", id, check=True).stdout
        for line in (r"command +git push 'a b'", rf"id +{id}", rf"directory +{warden.work}", r"program +/\S*git",
                     r"rule +ask-git", r"policy line +\d+", r"digest +[0-9a-f]{64}", r"environment .*HOME"):
            assert re.search(f"^{line}", out, re.M), line
        one = json.loads(warden.cli("queue", id, "--json", check=True).stdout)
        assert one["id"] == id and next(iter(one)) == "id"
        warden.deny(id)


def test_on_a_terminal_a_single_answer_shows_all_of_it_first(warden):
    with warden.popen("git", "push", "x" * 200) as p:
        id = warden.wait_queue()[0]["id"]
        t = terminal(warden, "deny", id)
        assert t.end() == 0
        shown = t.seen.replace("\r\n", "").replace(" ", "")
        assert "gitpush" + "x" * 200 in shown and re.search(r"digest[0-9a-f]{64}", shown)
        assert t.seen.rstrip().split("\r\n")[-1].startswith(f"denied {id}")
        assert p.wait(10) == 126


# ---- what an agent writes into a terminal ----

def assert_harmless(text):
    for ch in text:
        assert ch == "\n" or (ord(ch) >= 0x20 and ord(ch) != 0x7f and not 0x80 <= ord(ch) < 0xa0), repr(ch)
    for ch in "\u202e\u200b\u2028\ufeff":
        assert ch not in text
    assert "\u0301" * 3 not in text


def test_no_argument_acts_on_the_terminal_or_forges_a_row(warden):
    row = "\n0123456789ab  0s   59s   0    ask-git  git status"
    with warden.popen("git", *NASTY, row) as p:
        id = warden.wait_queue()[0]["id"]
        for args in (["queue"], ["queue", id]):
            out = warden.cli(*args, check=True).stdout
            assert_harmless(out)
        out = warden.cli("queue", check=True).stdout
        assert len(out.splitlines()) == 2 # the titles and one row
        for ch in ("\\n", "\\e[2J", "\\342\\200\\256", "\\r", "\\007", "\\t"):
            assert ch in out
        t = terminal(warden, "queue", columns=60)
        assert t.end() == 0
        assert_harmless(t.seen.replace("\r\n", "\n"))
        assert sum(not line.startswith("    ") for line in t.seen.splitlines()) == 2
        json_text = warden.cli("queue", "--json", check=True).stdout
        assert_harmless(json_text)
        assert json.loads(json_text)[0]["args"] == [*NASTY, row]
        assert_harmless(warden.deny(id).stdout)
        p.communicate(timeout=10)
    wait_for(lambda: "ask-denied" in warden.cli("history", check=True).stdout)
    assert_harmless(warden.cli("history", check=True).stdout)
    assert_harmless(warden.cli("history", "--json", check=True).stdout)
    assert_harmless(warden.approve(id).stderr)


def test_the_quoted_command_reads_back_the_same(warden):
    args = [*NASTY, "\udcff\udcfe", "it's", "$(id)", "`id`", "*", "~", "-n"]
    with warden.popen("git", *args):
        id = warden.wait_queue()[0]["id"]
        out = warden.cli("queue", check=True).stdout.splitlines()[1]
        command = out[out.index("  git ") + 2:]
        # Piled-up marks are told apart for the eye; all else a shell reads back.
        command = re.sub(r"\\u\{0301\}", "\u0301", command)
        back = subprocess.run(["bash", "-c", f"printf '%s\\0' {command[4:]}"], capture_output=True, timeout=10,
                              env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}, check=True).stdout
        assert back == b"".join(os.fsencode(a) + b"\0" for a in args)
        warden.deny(id)


def test_a_long_command_is_whole(warden):
    big = "".join(f"[{i}]" for i in range(9000)) # about 50 KB
    with warden.popen("git", big, "end"):
        id = warden.wait_queue()[0]["id"]
        assert f"'{big}' end" in warden.cli("queue", check=True).stdout
        t = terminal(warden, "queue", columns=100)
        assert t.end() == 0
        assert big in t.seen.replace("\r\n", "").replace(" ", "")
        warden.deny(id)


def test_a_command_too_long_for_a_list_says_so_and_is_whole_by_its_id(warden):
    words = ["w" * 1000] * 120
    with warden.popen("git", *words, "--end"):
        id = warden.wait_queue()[0]["id"]
        out = warden.cli("queue", check=True).stdout
        assert "121 arguments, too long for a list" in out and id[-12:] in out
        assert " ".join(words) + " --end\n" in warden.cli("queue", id, check=True).stdout
        warden.deny(id)


# ---- an answer is bound to what was read ----

class FakeApi:
    """An API that keeps what it is sent."""

    def __init__(self, path, answers):
        self.posted = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def address_string(self):
                return "unix"

            def log_message(self, *args):
                pass

            def reply(self):
                status, body = answers.get(f"{self.command} {self.path.split('?')[0]}", (404, {}))
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.reply()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.posted.append((self.path, json.loads(body)))
                self.reply()

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.server = Server(str(path), Handler)
        self.address = f"unix:{path}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


ID = "01a20c44-c2d8-702e-b3c7-9b2448e5f44d"
ENTRY = {"id": ID, "command": "git", "args": ["push"], "digest": "ab" * 32, "state": "waiting"}


@pytest.fixture
def fake(tmp_path):
    made = []

    def make(answers):
        made.append(FakeApi(tmp_path / "api.sock", answers))
        return made[-1]
    yield make
    for f in made:
        f.close()


def test_approve_sends_the_digest_that_it_read(fake):
    f = fake({"GET /api/queue": (200, [ENTRY]), f"GET /api/queue/{ID}": (200, {**ENTRY, "digest": "cd" * 32}),
              f"POST /api/queue/{ID}/approve": (200, {"id": ID})})
    assert cli("approve", ID, "-m", "ok", "--api", f.address).returncode == 0
    assert f.posted == [(f"/api/queue/{ID}/approve", {"digest": "cd" * 32, "comment": "ok", "channel": "cli"})]


def test_what_changed_meanwhile_is_not_approved(fake):
    f = fake({"GET /api/queue": (200, [ENTRY]), f"GET /api/queue/{ID}": (200, ENTRY),
              f"POST /api/queue/{ID}/approve": (409, {"error": {"code": "stale", "message": "look \x1b[2Jagain"}})})
    done = cli("approve", ID, "--api", f.address)
    assert done.returncode == 1 and "look \\e[2Jagain" in done.stderr and done.stdout == ""


def test_an_answer_without_digest_is_not_given(fake):
    entry = {k: v for k, v in ENTRY.items() if k != "digest"}
    f = fake({"GET /api/queue": (200, [entry]), f"GET /api/queue/{ID}": (200, entry)})
    assert cli("approve", ID, "--api", f.address).returncode == 3
    assert f.posted == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"hello", b"null", b'{"queue":5}'])
def test_what_is_no_warden_is_not_an_empty_queue(fake, body):
    f = fake({"GET /api/queue": (200, body)})
    done = cli("queue", "--api", f.address)
    assert done.returncode == 3 and "nothing waits" not in done.stdout


# ---- running, kill, history ----

def test_running_and_kill(warden):
    with warden.popen("sleep", "60") as p:
        entry = wait_for(lambda: json.loads(warden.cli("running", "--json", check=True).stdout))[0]
        out = warden.cli("running", check=True).stdout
        assert entry["id"][-12:] in out and "sleep 60" in out
        done = warden.cli("kill", entry["id"])
        assert done.returncode == 2 and "--yes" in done.stderr
        assert p.poll() is None
        done = warden.cli("kill", "--yes", "--signal", "KILL", entry["id"][-10:], "--reason", "enough now")
        assert done.returncode == 0 and done.stdout == f"sent SIGKILL to {entry['id']} (sleep 60): 1 commands, 0 containers\n"
        p.communicate(timeout=10)
        assert p.returncode == -9
    end = warden.wait_ends()[-1]
    assert end["signal"] == 9 and "enough now" in json.dumps(end)
    done = wait_for(lambda: (d := warden.cli("kill", "--yes", entry["id"])) and "any more" in d.stderr and d)
    assert done.returncode == 1


def test_kill_sends_term(warden):
    with warden.popen("sleep", "60") as p:
        id = wait_for(lambda: json.loads(warden.cli("running", "--json", check=True).stdout))[0]["id"]
        assert warden.cli("kill", "--yes", id).returncode == 0
        p.communicate(timeout=10)
        assert p.returncode == -15


def test_kill_all(warden):
    ps = [warden.popen("sleep", "600") for _ in range(3)]
    wait_for(lambda: len(json.loads(warden.cli("running", "--json").stdout)) == 3)
    done = warden.cli("kill", "--all")
    assert done.returncode == 2 and "--yes" in done.stderr  # nobody is asked here
    done = warden.cli("kill", "--yes", "--all", "--signal", "9", "--reason", "enough of it")
    assert (done.returncode, done.stdout) == (0, "sent SIGKILL to everything: 3 commands, 0 containers\n"), done.stderr
    assert [p.wait(10) for p in ps] == [-9] * 3
    assert all(r["killed_by"] for r in warden.wait_ends(3))
    assert warden.cli("kill", "--yes", "--all").stdout == "sent SIGTERM to everything: 0 commands, 0 containers\n"


def test_kill_of_what_waits(warden):
    with warden.popen("git", "push") as p:
        id = warden.wait_queue()[0]["id"]
        assert warden.cli("kill", "--yes", id, "--reason", "no").returncode == 0
        p.communicate(timeout=10)
        assert p.returncode == 126
    assert warden.queue() == []


def test_on_a_terminal_kill_asks(warden):
    with warden.popen("sleep", "60") as p:
        id = wait_for(lambda: json.loads(warden.cli("running", "--json", check=True).stdout))[0]["id"]
        t = terminal(warden, "kill", id)
        t.wait_for("send SIGTERM? [y/N]")
        assert "sleep 60" in t.seen
        t.send("n\n")
        assert t.end() == 1 and p.poll() is None
        t = terminal(warden, "kill", id)
        t.wait_for("[y/N]")
        t.send("y\n")
        assert t.end() == 0
        assert p.wait(10) == -15


@pytest.mark.parametrize("args, asks", [(["pause", "--all"], "pause?"), (["panic"], "pause everything?"), (["resume", "--all"], "let go on?")])
def test_on_a_terminal_the_kill_switch_asks(warden, args, asks):
    resume = args[0] == "resume"
    if resume:
        warden.cli("panic", "--yes", check=True)
    for answer, status, changed in (("n", 1, False), ("y", 0, True)):
        t = terminal(warden, *args)
        t.wait_for(f"{asks} [y/N]")
        assert "everything: every governed container" in t.seen
        t.send(answer + "\n")
        assert t.end() == status
        paused = json.loads(warden.cli("status", "--json", check=True).stdout)["paused"] != []
        assert paused == (resume != changed)
    done = warden.cli(*args)  # elsewhere nobody can be asked
    assert done.returncode == 2 and "needs --yes" in done.stderr, done


def history(w, *args):
    return json.loads(w.cli("history", "--json", *args, check=True).stdout)


def test_history_with_filters_and_pages(warden):
    for i in range(5):
        assert warden.run("echo", str(i)).returncode == 0
    assert warden.run("rm", "x").returncode == 126
    assert warden.run("sh", "-c", "exit 7").returncode == 7
    wait_for(lambda: len(history(warden)) == 7 and history(warden)[0]["exit_code"] == 7)
    assert [h["command"] for h in history(warden)] == ["sh", "rm"] + ["echo"] * 5
    assert [h["args"] for h in history(warden, "--command", "echo", "--limit", "2")] == [["4"], ["3"]]
    assert [h["command"] for h in history(warden, "-d", "deny")] == ["rm"]
    assert history(warden, "--uid", "12345") == []
    assert len(history(warden, "--since", "1h")) == 7 and history(warden, "--until", "1h") == []
    assert history(warden, "--since", "2099-01-01T00:00:00Z") == []
    assert warden.cli("history", "--decision", "maybe").returncode == 1

    seen, cursor = [], []
    for _ in range(9):
        out = warden.cli("history", "-n", "3", *cursor, check=True).stdout
        seen += re.findall(r"echo \d|rm x|sh -c 'exit 7'", out)
        more = re.search(r"^more: (--before) (\S+)$", out, re.M)
        if not more:
            break
        cursor = [more.group(1), more.group(2)]
    assert seen == ["sh -c 'exit 7'", "rm x", "echo 4", "echo 3", "echo 2", "echo 1", "echo 0"]
    table = warden.cli("history", check=True).stdout.splitlines()
    assert re.match(r"TIME +ID +DECISION +END +UID +COMMAND$", table[0])
    assert re.search(r" allow +exit 7 .* sh -c 'exit 7'$", table[1])
    assert re.search(r" deny +- .* rm x$", table[2])


def test_an_empty_history(warden):
    assert warden.cli("history", check=True).stdout == "nothing recorded that matches\n"
    assert warden.cli("history", "--json", check=True).stdout == "[]\n"


def test_audit_without_a_warden(warden):
    assert warden.run("echo", "x").returncode == 0
    warden.stop()
    done = cli("audit", "verify", warden.audit)
    assert done.returncode == 0 and "sound" in done.stdout
    assert "echo x" in cli("audit", "tail", warden.audit).stdout
    assert any(r.get("command") == "echo" for r in json.loads(cli("audit", "export", warden.audit).stdout))
    warden.audit.write_bytes(warden.audit.read_bytes().replace(b'"echo"', b'"ecoh"', 1))
    assert cli("audit", "verify", warden.audit).returncode == 1


# ---- queue --watch ----

def test_watch_answers_what_is_selected(warden):
    with warden.popen("git", "--version") as first, warden.popen("git", "push") as second:
        warden.wait_queue(2)
        ids = {q["args"][0]: q["id"] for q in warden.queue()}
        t = terminal(warden, "queue", "--watch", columns=100)
        t.wait_for("2 waiting")
        t.send("a") # nothing is selected: nothing happens
        t.wait_for("select one")
        assert len(warden.queue()) == 2
        order = [q["args"][0] for q in warden.queue()]
        t.send("j" * (1 + order.index("--version")))
        t.wait_for(f"> {ids['--version'][-12:]}")
        t.send("a")
        t.wait_for(f"approved {ids['--version']}")
        assert first.wait(10) == 0
        t.send("j")
        t.wait_for(f"> {ids['push'][-12:]}")
        t.send("d")
        t.wait_for(f"denied {ids['push']}")
        assert second.wait(10) == 126
        t.wait_for("0 waiting")
        t.send("q")
        assert t.end() == 0
        assert t.seen.endswith("\x1b[?25h\x1b[?1049l")


def test_watch_never_approves_what_is_not_whole_on_the_screen(warden):
    with warden.popen("git", "x" * 5000) as p:
        warden.wait_queue()
        t = terminal(warden, "queue", "--watch", rows=12)
        t.wait_for("1 waiting")
        t.send("j")
        t.wait_for("> ")
        t.send("a")
        t.wait_for("too long for this screen")
        assert len(warden.queue()) == 1 and p.poll() is None
        t.send("d")
        t.wait_for("denied")
        assert p.wait(10) == 126
        t.send("q")
        assert t.end() == 0


def test_watch_selects_nothing_when_the_selected_one_has_gone(warden):
    with warden.popen("git", "a") as first:
        id = warden.wait_queue()[0]["id"]
        t = terminal(warden, "queue", "--watch")
        t.wait_for("1 waiting")
        t.send("j")
        t.wait_for(f"> {id[-12:]}")
        with warden.popen("git", "b") as second:
            warden.wait_queue(2)
            warden.deny(id)
            t.wait_for("the selected request is gone")
            t.send("a")
            t.wait_for("select one")
            assert len(warden.queue()) == 1 and second.poll() is None
            assert first.wait(10) == 126
            warden.deny(warden.queue()[0]["id"])
        t.send("\x03")
        assert t.end() == 0


def test_watch_waits_for_a_warden_that_starts_anew(warden):
    t = terminal(warden, "queue", "--watch")
    t.wait_for("0 waiting")
    warden.stop()
    t.wait_for("no warden answers; trying again")
    warden.start()
    t.seen = ""
    t.wait_for("0 waiting")
    wait_for(lambda: (setattr(t, "seen", ""), t.wait_for("0 waiting"), "trying again" not in t.seen)[2])
    t.send("q")
    assert t.end() == 0


def test_no_argument_acts_on_the_watching_terminal(warden):
    with warden.popen("git", *NASTY):
        id = warden.wait_queue()[0]["id"]
        t = terminal(warden, "queue", "--watch", columns=100)
        t.wait_for("1 waiting")
        t.send("j")
        t.wait_for("> ")
        t.send("q")
        assert t.end() == 0
        # Only our own sequences: home, clear, cursor to the last line, screens.
        text = re.sub(r"\x1b\[(H|2J|\d+;1H|\?25[lh]|\?1049[lh])", "", t.seen)
        assert_harmless(text.replace("\r\n", "\n").replace("\r", ""))
        warden.deny(id)


# ---- policy ----

GOOD = "default_action: deny\nallowed_paths: ['/*']\nrules:\n  - {name: see, command: ls, action: allow}\n"


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def test_policy_check(policy):
    done = cli("policy", "check", policy)
    assert done.returncode == 0 and re.match(r"ok: 1 rule, version [0-9a-f]{12}\n", done.stdout)
    assert json.loads(cli("policy", "check", "--json", policy).stdout)["rules"] == 1
    policy.write_text(GOOD.replace("command", "comand"))
    done = cli("policy", "check", policy)
    assert done.returncode == 1 and done.stdout == ""
    assert re.match(rf"{policy}:4:\d+: .*comand.*did you mean 'command'", done.stderr)
    done = cli("policy", "check", policy.with_name("none.yaml"))
    assert done.returncode == 1 and "none.yaml" in done.stderr
    assert cli("policy", "check", policy.parent).returncode == 1


def explain(policy, *argv, options=(), **kw):
    done = cli("policy", "explain", "--policy", policy, "--json", *options, "--", *argv, **kw)
    assert done.returncode == 0, done
    assert done.stdout.startswith('{"verdict":')
    return json.loads(done.stdout)


def test_policy_explain_needs_no_warden(policy):
    why = explain(policy, "ls", "-l")
    assert why["verdict"] == "allow" and why["rule"] == "see" and why["line"] == 4
    assert why["timeout"] == "2m" and "environment" in why and "PATH" in why["environment"]["passed"]
    why = explain(policy, "git", "push")
    assert why["verdict"] == "deny" and why["rule"] == "default_action"
    text = cli("policy", "explain", "--policy", policy, "--", "git", "push").stdout
    assert text.startswith("deny: git push\n")


def test_policy_explain_of_a_request_that_waits(warden):
    p = warden.popen("git", "push", "evil\x1b[2Jname")
    id = warden.wait_queue()[0]["id"]
    done = warden.cli("policy", "explain", "--request", id[-8:])
    assert done.returncode == 0 and done.stdout.startswith("ask: git push "), done.stdout + done.stderr
    assert re.search(r"^rule +ask-git \(.*policy.yaml:\d+\)$", done.stdout, re.M) and "\x1b" not in done.stdout
    assert re.search(r"^program +trusted, /usr/bin/git$", done.stdout, re.M)
    why = json.loads(warden.cli("policy", "explain", "--json", "-r", id).stdout)
    assert why["id"] == id and why["verdict"] == "ask" and why["supposed"] == []
    warden.deny(id)
    p.communicate(timeout=20)
    done = warden.cli("policy", "explain", "--request", id)
    assert done.returncode == 1 and "was denied" in done.stderr
    for wrong in (["--request", id, "--", "ls"], ["--request", id, "--uid", "0"], []):
        done = warden.cli("policy", "explain", *wrong)
        assert done.returncode == 2 and "--request" in done.stderr, wrong


def test_policy_explain_takes_options_of_the_command_for_its_own(policy):
    why = explain(policy, "ls", "--json", "--help", "-p", "x")
    assert why["argv"] == ["ls", "--json", "--help", "-p", "x"]
    done = cli("policy", "explain", "-p", policy, "ls", "--json")
    assert done.returncode == 0 and done.stdout.startswith("allow: ls --json\n")


def test_policy_explain_finds_the_policy(policy, tmp_path):
    env = {"HOME": str(tmp_path), "CLAWRDEN_POLICY": str(policy)}
    assert cli("policy", "explain", "--", "ls", env=env).stdout.startswith("allow: ls")


@needs_root
def test_policy_explain_without_a_policy_says_what_to_do(tmp_path):
    os.chmod(tmp_path, 0o755)
    env = {"HOME": str(tmp_path)}
    done = cli("policy", "explain", "--", "ls", env=env, user=AGENT_UID, group=AGENT_GID, cwd="/")
    if not os.path.exists("/etc/clawrden/policy.yaml"):
        assert done.returncode == 2 and "clawrden init" in done.stderr and ".config/clawrden" in done.stderr


def test_policy_explain_sees_a_copy_as_unknown(policy, tmp_path):
    copy = tmp_path / "ls"
    copy.write_bytes(open("/bin/ls", "rb").read())
    copy.chmod(0o755)
    why = explain(policy, str(copy), options=("--uid", "12345"))
    assert why["verdict"] != "allow" and why["program"]["trust"] == "unknown" and why["program"]["why_unknown"]
    assert explain(policy, str(tmp_path / "nothing"))["program"]["trust"] == "not found"


def test_policy_explain_looks_past_shims(policy, tmp_path):
    shim = tmp_path / "ls"
    shim.symlink_to(BIN / "clawrden-shim")
    why = explain(policy, str(shim))
    assert why["verdict"] == "allow" and why["program"]["path"].endswith("/ls")
    assert str(tmp_path) not in why["program"]["path"]


def test_policy_explain_finds_scripts(policy, tmp_path):
    policy.write_text(GOOD.replace("command: ls", "command: [ls, bash, tool.sh]"))
    script = tmp_path / "tool.sh"
    script.write_text("#!/bin/bash\necho\n")
    script.chmod(0o755)
    for argv in (["bash", "-e", "tool.sh"], ["./tool.sh"], ["bash", "--", str(script)]):
        why = explain(policy, *argv, options=("--uid", "12345", "--cwd", tmp_path))
        assert why["program"]["script"] == str(script), argv
        assert why["verdict"] != "allow", argv
    why = explain(policy, "bash", "-c", "true", options=("--uid", "12345"))
    assert why["program"]["script"] is None and why["verdict"] == "allow"


def test_policy_explain_resolves_paths_where_it_is_told(policy, tmp_path):
    policy.write_text("default_action: deny\nallowed_paths: ['/*']\nrules:\n"
                      f"  - {{command: rm, match: {{paths_within: ['{tmp_path}/*']}}, action: allow}}\n")
    (tmp_path / "link").symlink_to("/etc")
    def verdict(path):
        return explain(policy, "rm", path, options=("-C", tmp_path))["verdict"]
    assert verdict("file") == "allow" and verdict("new/deep") == "allow"
    assert verdict("link/passwd") == "deny" and verdict("../x") == "deny" and verdict("/etc/passwd") == "deny"
    done = cli("policy", "explain", "-p", policy, "-C", tmp_path / "none", "--", "ls")
    assert done.returncode == 1 and "none" in done.stderr
    assert cli("policy", "explain", "-p", policy, "-u", "-1", "--", "ls").returncode == 2


def test_explain_says_what_the_warden_does(warden):
    """The same verdict and rule from explain, which looks itself, and from the warden and its helper."""
    for argv in (["echo", "x"], ["rm", "-rf", "/nowhere"], ["ls", "/"], ["curl", "x"], ["npm", "test"], ["true"]):
        why = explain(warden.policy, *argv, options=("--cwd", warden.work, "--uid", os.getuid()))
        warden.run(*argv)
        record = warden.decisions()[-1]
        assert (record["verdict"], record["rule"]) == (why["verdict"], why["rule"]), argv
        assert record["executable"]["path"] == why["program"]["path"], argv
        assert record["executable"]["names"] == why["program"]["names"], argv


def test_policy_show_and_reload(warden):
    out = warden.cli("policy", "show", check=True).stdout
    assert re.search(r"^\d+ +deny +rm +no-rm +nothing is deleted here$", out, re.M)
    assert len(json.loads(warden.cli("policy", "show", "--json", check=True).stdout)["rules"]) == 9
    warden.reload_policy(GOOD)
    done = warden.cli("policy", "reload", check=True)
    assert re.match(r"loaded: 1 rules?, version [0-9a-f]{12}\n", done.stdout)
    warden.set_policy("rulez: []\n")
    done = warden.cli("policy", "reload")
    assert done.returncode == 1 and f"{warden.policy}:1:1:" in done.stderr and "stays in force" in done.stderr
    assert "rulez" in wait_for(lambda: (s := warden.cli("status").stdout) and "policy error" in s and s)
    assert warden.run("ls").returncode == 0


# ---- init ----

def test_init_writes_a_policy_for_the_workspace(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    target = tmp_path / "new" / "policy.yaml"
    done = cli("init", target, cwd=work)
    assert done.returncode == 0 and str(target) in done.stdout and "clawrden policy explain" in done.stdout
    assert stat.S_IMODE(target.stat().st_mode) == (0o644 if os.geteuid() == 0 else 0o600)
    text = target.read_text()
    assert f"- {work}/*" in text and "/workspace" not in text
    assert cli("policy", "check", target).returncode == 0
    for argv, verdict in ((["git", "status"], "allow"), (["git", "push"], "ask"), (["rm", "-rf", "/"], "deny"),
                          (["rm", "-rf", "dist"], "allow"), (["rm", "-rf", "/opt/x"], "ask"), (["ssh", "h"], "ask"),
                          (["npm", "publish"], "ask"), (["npm", "test"], "allow"), (["cat", "x"], "allow")):
        assert explain(target, *argv, options=("--cwd", work))["verdict"] == verdict, argv


def test_init_never_replaces_without_force(tmp_path):
    target = tmp_path / "policy.yaml"
    target.write_text("mine\n")
    done = cli("init", target, cwd=tmp_path)
    assert done.returncode == 1 and "--force" in done.stderr and target.read_text() == "mine\n"
    assert cli("init", "--force", target, cwd=tmp_path).returncode == 0
    assert cli("policy", "check", target).returncode == 0
    target.unlink()
    target.symlink_to("nowhere")
    assert cli("init", target, cwd=tmp_path).returncode == 1


def test_init_strict_and_workspace(tmp_path):
    work = tmp_path / "other"
    work.mkdir()
    target = tmp_path / "policy.yaml"
    assert cli("init", "--strict", "--workspace", work, target, cwd="/").returncode == 0
    assert str(work) in target.read_text()
    assert explain(target, "unheard-of", options=("--cwd", work))["verdict"] == "deny"
    for bad in ("/", tmp_path / "none"):
        assert cli("init", "-w", bad, tmp_path / "x.yaml").returncode == 1
    for name in ("star*", "quote\"s", "new\nline", "brace{"):
        (tmp_path / name).mkdir()
        done = cli("init", "-w", tmp_path / name, tmp_path / "x.yaml")
        assert done.returncode == 1 and not (tmp_path / "x.yaml").exists(), name


@needs_root
def test_init_as_an_ordinary_user_goes_to_the_users_place(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, AGENT_UID, AGENT_GID)
    for p in [tmp_path, *tmp_path.parents]:
        if p.stat().st_uid == os.geteuid() and p != p.parent and str(p).startswith("/tmp"):
            p.chmod(p.stat().st_mode | 0o055)
    done = cli("init", env={"HOME": str(home)}, cwd=home, user=AGENT_UID, group=AGENT_GID, extra_groups=[])
    target = home / ".config/clawrden/policy.yaml"
    assert done.returncode == 0, done
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
