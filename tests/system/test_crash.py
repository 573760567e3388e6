# SPDX-License-Identifier: MIT
"""Warden and helper die by SIGKILL, again and again, under a crowd of agents and a person who answers.
Afterwards three witnesses are compared that know nothing of each other: what the callers saw, what
the audit log says, and what the commands themselves wrote into a file when they ran.

    test_crashes[short]     half a minute, in `make check`
    test_crashes[long]      10,000 requests, 1,000 of them asked about; `make check-long`

CLAWRDEN_CRASH_SEED repeats the choices of a run (not its timing); a failure names its seed.
CLAWRDEN_CRASH_REPORT names a file for the figures."""
import collections
import http.client
import json
import os
import pathlib
import queue
import random
import re
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import traceback

import pytest

from conftest import BIN, needs_root, wait_for

SHIM = (BIN / "clawrden-shim").resolve()
POLICY = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {name: plain, command: sh, action: allow}
  - {name: person, command: bash, action: ask, approval_timeout: 20s}
  - {name: never, command: rm, action: deny}
"""
# What a command does: it leaves its mark when it begins and when it ends.
SCRIPT = 'echo "$1 start" >>"$2"; sleep "$3"; echo "$1 end" >>"$2"'
FOREVER = "600"  # of these none may ever write its second mark
MARK = re.compile(r"m\d+")


class Request:
    def __init__(self, mark, kind, nap, tty=False):
        self.mark, self.kind, self.nap, self.tty = mark, kind, nap, tty
        self.process = None
        self.told = None         # the id that the caller was told when it began to wait
        self.code = None
        self.text = ""
        self.abandoned_at = None  # lines in the trace when its caller was killed, the warden being dead


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=5)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(path, method, target, body=None):
    """(status, object), or (None, None) when nobody is there."""
    c = UnixHttp(path)
    try:
        c.request(method, target, json.dumps(body) if body is not None else None,
                  {"Content-Type": "application/json"} if body is not None else {})
        answer = c.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException, ValueError):
        return None, None
    finally:
        c.close()


def processes():
    """(pid, ppid, exe, command line) of all that can be seen."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            yield (int(entry.name), int(stat.rsplit(")", 1)[1].split()[1]), os.readlink(entry / "exe"),
                   (entry / "cmdline").read_bytes())
        except OSError:
            continue


def is_helper(pid):
    try:
        return "mirror" in os.readlink(f"/proc/{pid}/exe")
    except OSError:  # gone, or going
        return False


class Crash:
    def __init__(self, warden, requests, asks, seed):
        self.w = warden
        self.seed = seed
        self.random = random.Random(seed)
        self.trace = warden.dir / "trace"
        self.trace.touch(mode=0o666)
        self.todo = {"plain": queue.Queue(), "ask": queue.Queue()}
        self.done = []
        self.asking = {}            # mark -> Request, waiting or about to
        self.lock = threading.Lock()
        self.answered = threading.Event()
        self.over = threading.Event()
        self.answers = []           # (id, verdict, status)
        self.lives = collections.defaultdict(set)  # id -> lives of the warden in which it was in the queue
        self.life = 0
        self.figures = collections.Counter()
        self.faults = []
        self.restarts = []
        self.plan(requests, asks)

    def fault(self, who):
        self.faults.append(f"{who}, in life {self.life}:\n{traceback.format_exc()}")

    # ---- agents ----

    def plan(self, requests, asks):
        kinds = ["ask"] * asks + ["plain"] * (requests - asks)
        self.random.shuffle(kinds)
        for n, kind in enumerate(kinds):
            if kind == "ask":
                r = Request(f"m{n}", "ask", self.random.choice(["0", "0.02", "0.3"]), self.random.random() < 0.4)
            else:
                x = self.random.random()
                nap = "0" if x < 0.8 else "0.1" if x < 0.97 else "1" if x < 0.995 else FOREVER
                r = Request(f"m{n}", "deny" if self.random.random() < 0.1 else "plain", nap)
            self.todo["ask" if kind == "ask" else "plain"].put(r)

    def argv(self, r):
        if r.kind == "deny":
            return ["rm", r.mark]
        name = "bash" if r.kind == "ask" else "sh"
        return [name, "-c", SCRIPT, name, r.mark, str(self.trace), r.nap]

    def read_tty(self, r, master):
        """What a person at the terminal reads, until the other end is closed."""
        while True:
            ready, _, _ = select.select([master], [], [], 0.2)
            if not ready:
                if r.process.poll() is not None:
                    return
                continue
            try:
                data = os.read(master, 65536)
            except OSError:
                return
            if not data:
                return
            r.text += data.decode(errors="replace")
            if (found := re.search(r"\(request ([0-9a-f-]{36})\)", r.text)) and not r.told:
                r.told = found[1]

    def ask(self, r):
        if not r.tty:
            with self.lock:
                r.process = self.w.popen(*self.argv(r), stdout=subprocess.DEVNULL)
            r.text = r.process.communicate()[1].decode(errors="replace")
        else:
            master, slave = os.openpty()
            with self.lock:
                r.process = self.w.popen(*self.argv(r), stdout=subprocess.DEVNULL, stderr=slave)
            os.close(slave)
            self.read_tty(r, master)
            os.close(master)
        r.code = r.process.wait()

    def agent(self, kind):
        try:
            while True:
                r = self.todo[kind].get_nowait()
                if r.kind == "ask":
                    self.asking[r.mark] = r
                self.ask(r)
                self.asking.pop(r.mark, None)
                self.done.append(r)
                if r.code == 125:  # as agents do when a tool fails
                    time.sleep(0.3)
        except queue.Empty:
            return
        except Exception:  # a thread's failure is the test's
            self.fault("agent")

    # ---- the person ----

    def answer(self, rng, entry):
        id, x = entry["id"], rng.random()
        if x < 0.15:
            return  # perhaps next time; some are left until nobody has answered
        verdict = "approve" if x < 0.65 else "deny"
        if rng.random() < 0.1:
            status = {0: 200, 1: 409}.get(self.w.cli(verdict, id).returncode)
        else:
            status, _ = call(self.w.api_socket, "POST", f"/api/queue/{id}/{verdict}", {"digest": entry["digest"]})
        self.answers.append((id, verdict, status))
        self.answered.set()

    def person(self):
        rng = random.Random(self.random.random())
        try:
            while not self.over.is_set():
                life = self.life
                status, entries = call(self.w.api_socket, "GET", "/api/queue")
                if status == 200:
                    for e in entries:
                        self.lives[e["id"]].add(life)
                    for e in rng.sample(entries, min(len(entries), 4)):
                        self.answer(rng, e)
                time.sleep(0.05)
        except Exception:
            self.fault("person")

    # ---- death ----

    def helpers(self):
        """The helper, and those that it started to be helpers too."""
        all = list(processes())
        mine = [p for p, parent, exe, _ in all if self.w.process and parent == self.w.pid and "mirror" in exe]
        return mine, [p for p, parent, exe, _ in all if parent in mine and "mirror" in exe]

    def governed(self):
        """Commands of ours that run, the shims not counted."""
        trace = str(self.trace).encode()
        return [p for p, _, exe, line in processes() if trace in line and pathlib.Path(exe) != SHIM]

    def verify(self):
        head = self.w.state / "audit.head"  # not there in the first half second of a log
        done = self.w.cli("audit", "verify", self.w.audit, *(["--head", head] if head.exists() else []), timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        self.figures["verified"] += 1

    def kill_helper(self):
        first, others = self.helpers()
        victims = others if others and self.random.random() < 0.3 else first
        if not victims:
            return
        try:
            os.kill(self.random.choice(victims), signal.SIGKILL)
        except ProcessLookupError:  # a worker that had just come to its end
            return
        self.figures["helper killed" if victims is first else "worker killed"] += 1

    def abandon_some(self):
        """Callers that go while the warden is dead: it cannot see them go."""
        lines = len(self.marks())
        waiting = [r for r in list(self.asking.values()) if r.process and r.process.poll() is None]
        for r in self.random.sample(waiting, min(len(waiting), 2)):
            r.abandoned_at = lines
            r.process.kill()
            self.figures["callers that went"] += 1

    def kill_warden(self):
        first, others = self.helpers()
        self.w.kill()
        self.figures["warden killed"] += 1
        wait_for(lambda: not any(map(is_helper, first + others)), 30, "the helper goes with its warden")
        wait_for(lambda: not self.governed(), 30, "commands go with their warden")
        if self.random.random() < 0.3:
            self.abandon_some()
        time.sleep(self.random.choice([0, 0, 0.1, 0.5, 1.5]))
        self.life += 1
        begun = time.monotonic()
        self.w.start()
        self.restarts.append(time.monotonic() - begun)
        self.verify()

    def killer(self):
        try:
            while not self.over.is_set():
                self.answered.clear()
                if self.random.random() < 0.5:
                    self.over.wait(self.random.uniform(0.05, 0.8))
                else:  # between an answer and what follows from it
                    self.answered.wait(2)
                    time.sleep(self.random.choice([0, 0.001, 0.003, 0.01]))
                if self.over.is_set():
                    return
                if self.random.random() < 0.35:
                    self.kill_helper()
                else:
                    self.kill_warden()
        except BaseException:
            self.fault("killer")

    # ---- all of it ----

    def run(self, limit):
        agents = [threading.Thread(target=self.agent, args=("plain",)) for _ in range(8)]
        agents += [threading.Thread(target=self.agent, args=("ask",)) for _ in range(16)]
        others = [threading.Thread(target=self.person), threading.Thread(target=self.killer)]
        begun = time.monotonic()
        for t in agents + others:
            t.start()
        for t in agents:
            t.join(max(1, limit - (time.monotonic() - begun)))
        self.over.set()
        late = [t for t in agents if t.is_alive()]
        if late:
            with self.lock:
                for r in self.asking.values():
                    r.process.kill()
        for t in others:
            t.join(60)
        assert not self.faults, f"seed {self.seed}\n" + "\n".join(self.faults)
        assert not late, f"{len(late)} callers were left without an end"
        self.figures["seconds"] = round(time.monotonic() - begun)

    def marks(self):
        return self.trace.read_text().splitlines()

    def all_records(self):
        names = [p for p in self.w.audit.parent.glob("audit.jsonl.*-*") if re.search(r"Z-\d+$", p.name)]
        names.sort(key=lambda p: int(p.name.rsplit("-", 1)[1]))
        for name in [*names, self.w.audit]:
            for line in name.read_bytes().splitlines():
                yield json.loads(line)


# ---- the three witnesses ----

class Witnesses:
    def __init__(self, crash):
        self.c = crash
        self.decisions = collections.defaultdict(list)   # by id
        self.ends = collections.defaultdict(list)
        self.by_mark = collections.defaultdict(list)     # decisions
        self.seen = {r.mark: r for r in crash.done}
        for r in crash.all_records():
            if r["event"] == "decision":
                self.decisions[r["id"]].append(r)
                text = json.dumps(r.get("args") or r)
                if found := MARK.search(text):
                    self.by_mark[found[0]].append(r)
            elif r["event"] == "end":
                self.ends[r["id"]].append(r)
        self.started, self.finished = collections.Counter(), collections.Counter()
        for line in crash.marks():
            mark, what = line.split()
            (self.started if what == "start" else self.finished)[mark] += 1

    def decisions_are_single(self):
        twice = {i: [d["decision"] for d in ds] for i, ds in self.decisions.items() if len(ds) != 1}
        assert not twice, f"requests with more than one decision: {twice}"

    def ends_are_single(self):
        for id, (d,) in self.decisions.items():
            n = len(self.ends[id])
            assert n == (1 if d["decision"] in ("allow", "ask-approved") else 0), (d, self.ends[id])
        assert not [i for i in self.ends if self.ends[i] and i not in self.decisions]

    def what_callers_saw(self):
        """Accepted means: an answer that only a decision can have caused, or a place in the queue."""
        for r in self.seen.values():
            ds = self.by_mark[r.mark]
            if r.told:
                assert len(self.decisions[r.told]) == 1, f"{r.mark} was told that {r.told} waits: {ds}"
            if r.code == 0:
                ran = [d for d in ds if d["decision"] in ("allow", "ask-approved")
                       and self.ends[d["id"]][0].get("exit_code") == 0]
                assert len(ran) == 1 and self.finished[r.mark] == 1, (r.mark, r.text, ds)
            elif r.code == 126:
                assert [d for d in ds if d["decision"] in ("deny", "ask-denied", "ask-expired")], (r.mark, r.text, ds)
                assert self.started[r.mark] == 0, (r.mark, r.text)
            elif r.abandoned_at is None:
                assert r.code == 125, (r.mark, r.code, r.text, ds)
                assert "clawrden:" in r.text, (r.mark, r.text)

    def what_ran(self):
        for mark, n in self.started.items():
            assert n == 1, f"{mark} ran {n} times"
            assert [d for d in self.by_mark[mark] if d["decision"] in ("allow", "ask-approved")], \
                f"{mark} ran without a decision: {self.by_mark[mark]}"
        assert not [m for m in self.finished if self.seen[m].nap == FOREVER]

    def nobody_ran_for_who_had_gone(self):
        lines = self.c.marks()
        for r in self.seen.values():
            if r.abandoned_at is not None and f"{r.mark} start" not in lines[:r.abandoned_at]:
                assert self.started[r.mark] == 0, f"{r.mark} ran without its caller"

    def answers_count(self):
        for id, verdict, status in self.c.answers:
            if status != 200:
                continue
            (d,) = self.decisions[id]
            if verdict == "deny":
                assert d["decision"] == "ask-denied", d
            else:  # until the approval was checked and recorded, a crash can still undo it
                assert d["decision"] in ("ask-approved", "error", "withdrawn", "ask-denied", "ask-expired"), d

    def waiting_came_back(self):
        """Over a restart with the same id. A place is given up only when its caller has gone, or came
        back and ended otherwise, or was not yet told of it when the warden died."""
        for ds in self.decisions.values():
            if ds[0]["decision"] == "withdrawn":
                r = self.seen[MARK.search(json.dumps(ds[0]))[0]]
                came = "its caller came back, and it ended there" in (ds[0]["error"] or "")
                assert (r.abandoned_at is not None or (came and len(self.by_mark[r.mark]) > 1)
                        or (r.told is None and "no verdict from the warden" in r.text)), (ds[0], r.text)
        assert self.c.figures["waited over a restart"] > 0

    def the_index_says_the_same(self):
        db = sqlite3.connect(f"file:{self.c.w.state}/index.db?mode=ro", uri=True)
        rows = dict(db.execute("SELECT id, decision FROM requests"))
        db.close()
        for id, (d,) in self.decisions.items():
            assert rows.pop(id) in (d["decision"], "interrupted"), d
        assert not rows

    def check(self):
        self.decisions_are_single()
        self.ends_are_single()
        self.what_callers_saw()
        self.what_ran()
        self.nobody_ran_for_who_had_gone()
        self.answers_count()
        self.waiting_came_back()


def places(w):
    """How many are kept for callers that wait."""
    db = sqlite3.connect(f"file:{w.state}/index.db?mode=ro", uri=True)
    n = db.execute("SELECT count(*) FROM queue").fetchone()[0]
    db.close()
    return n


def report(c, witnesses):
    f = c.figures
    f.update({"requests": len(c.done), "decisions": len(witnesses.decisions), "commands that ran": len(witnesses.started),
              "answers": len(c.answers), "answers that counted": sum(s == 200 for _, _, s in c.answers)})
    f.update({f"decision {k}": n for k, n in collections.Counter(
        ds[0]["decision"] for ds in witnesses.decisions.values()).items()})
    f.update({f"exit {k}": n for k, n in collections.Counter(r.code for r in c.done).items()})
    f["waited over a restart"] = sum(len(x) > 1 for x in c.lives.values())
    f["interrupted"] = sum(e[0].get("decision") == "interrupted" for e in witnesses.ends.values() if e)
    text = "".join(f"{k}: {n}\n" for k, n in sorted(f.items()))
    text += f"restart, median: {sorted(c.restarts)[len(c.restarts) // 2]:.3f} s, longest {max(c.restarts):.3f} s\n"
    print(text)
    if path := os.environ.get("CLAWRDEN_CRASH_REPORT"):
        pathlib.Path(path).write_text(text)


@needs_root
@pytest.mark.parametrize("requests, asks, limit", [
    pytest.param(2000, 300, 240, id="short"),
    pytest.param(10000, 1000, 1500, id="long", marks=pytest.mark.slow),
])
def test_crashes(make_warden, requests, asks, limit):
    seed = int(os.environ.get("CLAWRDEN_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CLAWRDEN_CRASH_SEED={seed}")
    w = make_warden(POLICY, options={"asks_per_minute": 0, "waiting_max_per_caller": 1000, "log_level": "info",
                                     "audit_rotate_size": "1M", "claim_grace": "5s"})
    c = Crash(w, requests, asks, seed)
    c.run(limit)
    wait_for(lambda: call(w.api_socket, "GET", "/api/status")[1].get("index_behind") is False, 60, "the index is whole")
    assert call(w.api_socket, "GET", "/api/queue") == (200, [])
    wait_for(lambda: places(w) == 0, 20, "places of callers that went are given up")
    assert w.stop(60) == 0
    c.verify()
    witnesses = Witnesses(c)
    report(c, witnesses)
    witnesses.check()
    witnesses.the_index_says_the_same()
