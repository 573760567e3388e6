# SPDX-License-Identifier: MIT
"""Two containers at work at once: more than a thousand commands, more than a hundred answers of two people who race
each other, callers that go, answers that do not come, and containers that are paused and go on at random moments.
Afterwards what the agents saw, what the people were told, what the commands did and what is on record must agree.

CLAWRDEN_FLEET_SEED repeats the choices of a run (not its timing); a failure names its seed."""
import collections
import http.client
import json
import os
import pathlib
import random
import re
import socket
import sqlite3
import subprocess
import threading
import time
import traceback

import pytest

from conftest import wait_for

AGENT = pathlib.Path(__file__).with_name("fleet_agent.py")
POLICY = """\
default_action: deny
allowed_paths: ["/*"]
env: {pass: ["*"]}
rules:
  - {name: never, command: rm, action: deny}
  - {name: free, command: sh, action: allow}
  - {name: person, command: bash, action: ask, approval_timeout: 5m}
  - {name: soon, command: dash, action: ask, approval_timeout: 2s}
"""
TOOL = {"free": "sh", "slow": "sh", "ask": "bash", "leaver": "bash", "brief": "dash"}
MARK = re.compile(r"\bm\d+\b")


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(w, method, target, body=None):
    c = Unix(w.api_socket)
    try:
        c.request(method, target, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
        answer = c.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        c.close()


class Fleet:
    def __init__(self, warden, containers, plan, seed):
        self.w, self.seed, self.random = warden, seed, random.Random(seed)
        self.containers = containers
        self.work = [[] for _ in containers]
        self.kind, self.code, self.seen = {}, {}, {}
        self.twice, self.faults = [], []
        self.answers, self.pauses, self.figures = [], [], collections.Counter()
        self.over, self.awake = threading.Event(), set()
        for kind, count in plan.items():
            for _ in range(count * len(containers)):
                self.add(kind)
        for work in self.work:
            self.random.shuffle(work)

    def add(self, kind):
        n = len(self.kind)
        mark = f"m{n}"
        self.kind[mark] = kind
        self.code[mark] = self.random.choice([0, 0, 0, 1, 3, 42])
        nap = "/usr/bin/sleep 0.3; " if kind == "slow" else ""
        argv = ["rm", "-f", f"/tmp/kept/{mark}"] if kind == "denied" else \
            [TOOL[kind], "-c", f"echo {mark} >>/tmp/trace; {nap}exit {self.code[mark]}"]
        leave = self.random.uniform(0, 1) if kind == "leaver" else None
        self.work[n % len(self.work)].append((mark, kind, argv, leave))

    def guard(self, fn, *args):
        def body():
            try:
                fn(*args)
            except BaseException:  # a thread's failure is the test's
                self.faults.append(traceback.format_exc())
        return threading.Thread(target=body, name=fn.__name__, daemon=True)

    # ---- agents ----

    def agent(self, c, work):
        argv = c.argv("/usr/bin/python3", "-c", AGENT.read_text(), env=c.ENV)
        p = self.w.keep(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        p.stdin.write(json.dumps(work))
        p.stdin.close()
        for line in p.stdout:
            mark, *rest = json.loads(line)
            self.awake.add(c.name)
            if mark in self.seen:
                self.twice.append(mark)
            self.seen[mark] = rest
        assert p.wait(30) == 0

    # ---- people ----

    def answer(self, how, id, verb):
        """Whether it counted."""
        if how == "cli":
            done = self.w.cli(verb, id)
            assert done.returncode in (0, 1), done
            return done.returncode == 0
        status, said = call(self.w, "POST", f"/api/queue/{id}/{verb}", {"comment": "api"})
        assert status in (200, 404, 409), (status, said)
        return status == 200

    def person(self, how, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            rows = call(self.w, "GET", "/api/queue")[1]
            for row in rng.sample(rows, min(len(rows), 3)):
                if row["command"] == "dash" and int(row["id"][-2:], 16) % 3:
                    continue  # two of three find nobody
                verb = rng.choice(["approve", "approve", "deny"])
                self.answers.append((row["id"], verb, self.answer(how, row["id"], verb)))
            time.sleep(rng.uniform(0.01, 0.1))

    # ---- pauses ----

    def order(self, *args):
        done = self.w.cli(*args, timeout=60)
        self.figures[f"{args[0]} {'taken' if done.returncode == 0 else 'refused'}"] += 1
        # What is not paused cannot be resumed, and a resume may overtake a pause.
        assert done.returncode == 0 or "not paused" in done.stderr or "paused, and it with" in done.stderr \
            or "meanwhile" in done.stderr, done
        return done

    def operator(self, seed, rounds):
        rng = random.Random(seed)
        for _ in range(rounds):
            if self.over.wait(rng.uniform(0, 1)):
                return
            target = rng.choice([["--all"], *(["--container", c.name] for c in self.containers)])
            begun = time.monotonic()
            later = ["--resume-after", "1s"] if rng.random() < 0.4 else []
            self.order("pause", "--yes", *later, *target)
            if not later or rng.random() < 0.5:
                self.over.wait(rng.choice([0, 0, 0.05, 0.2, 0.5]))
                self.order("resume", "--yes", *target)
            self.pauses.append((begun, time.monotonic() + (2 if later else 0)))

    # ---- all of it ----

    def run(self, limit, rounds):
        agents = [self.guard(self.agent, c, work) for c, work in zip(self.containers, self.work)]
        people = [self.guard(self.person, how, self.random.random()) for how in ("cli", "api", "api")]
        operators = [self.guard(self.operator, self.random.random(), rounds) for _ in range(2)]
        begun = time.monotonic()
        for t in agents + people:
            t.start()
        # The engine starts nothing new in what is paused: its own exec of the agent comes first.
        wait_for(lambda: len(self.awake) == len(agents) or self.faults, 60, "both agents work")
        for t in operators:
            t.start()
        for t in agents:
            t.join(max(0.1, begun + limit - time.monotonic()))
        hung = [t.name for t in agents if t.is_alive()]
        self.figures["seconds"] = round(time.monotonic() - begun)
        if hung:
            self.faults.append(f"hangs: {len(self.kind) - len(self.seen)} without an end\n" + self.picture())
        self.over.set()
        for t in people + operators:
            t.join(60)
            if t.is_alive():
                self.faults.append(f"{t.name} hangs")
        self.w.cli("resume", "--yes", "--all")
        assert not self.faults, f"seed {self.seed}\n" + "\n".join(self.faults)

    def picture(self):
        """Of a hang, for whoever has to find out."""
        parts = [self.w.cli(*args).stdout for args in (("status", "--json"), ("queue", "--json"), ("running", "--json"))]
        for c in self.containers:
            parts.append(f"{c.name}: " + c.engine.text("inspect", "-f", "{{json .State}}", c.id))
            for p in c.processes():
                with_stack = [pathlib.Path(f"/proc/{p}/{f}") for f in ("cmdline", "wchan", "stack")]
                try:
                    parts.append(f"{p} " + " | ".join(f.read_bytes()[:400].decode(errors="replace").replace("\0", " ")
                                                      for f in with_stack))
                except OSError:
                    continue
        missing = sorted(m for m in self.kind if m not in self.seen)
        parts.append(f"missing: {[(m, self.kind[m]) for m in missing[:40]]}")
        parts += [json.dumps({k: r.get(k) for k in ("time", "event", "scope", "container", "by", "error")})
                  for r in self.w.records()[-400:] if r["event"] in ("pause", "resume")]
        parts += [self.w.log()[-5000:], (self.containers[0].engine.dir / "log").read_text()[-8000:]]
        return "\n".join(parts)


class Accounts:
    """The witnesses, compared."""

    def __init__(self, f):
        self.f = f
        records = f.w.records()
        self.decisions, self.ends, self.of = {}, {}, collections.defaultdict(list)
        for r in records:
            if r["event"] == "decision":
                assert r["id"] not in self.decisions, f"decided twice: {r}"
                self.decisions[r["id"]] = r
                self.of[MARK.search(json.dumps(r["args"]))[0]].append(r)
            elif r["event"] == "end":
                assert r["id"] not in self.ends, f"ended twice: {r}"
                self.ends[r["id"]] = r
        self.ran = collections.Counter(m for c in f.containers for m in c.exec("/usr/bin/cat", "/tmp/trace").stdout.decode().split())

    def nothing_is_lost_or_doubled(self):
        f = self.f
        assert not f.twice and set(f.seen) == set(f.kind)
        wrong = {m: [d["decision"] for d in self.of[m]] for m in f.kind if len(self.of[m]) != 1}
        # Who goes before the warden has read what it asks has not asked.
        assert all(f.kind[m] == "leaver" and not ds for m, ds in wrong.items()), wrong
        assert len(self.decisions) == len(f.kind) - len(wrong)
        assert set(self.ends) == {i for i, d in self.decisions.items() if d["decision"] in ("allow", "ask-approved")}

    def each_ended_as_was_decided(self):
        for mark, (code, _, _, words) in self.f.seen.items():
            if not self.of[mark]:
                continue
            (d,) = self.of[mark]
            kind, decision, ran = self.f.kind[mark], d["decision"], self.ran[mark]
            what = (mark, kind, code, words, d, self.ends.get(d["id"]))
            if decision in ("allow", "ask-approved"):
                assert kind != "denied", what
                if code == -9:
                    assert kind == "leaver" and ran <= 1, what
                else:
                    assert code == self.f.code[mark] == self.ends[d["id"]]["exit_code"] and ran == 1, what
            else:
                assert ran == 0, what
                # What is allowed and paused waits in the queue, and may be denied there.
                # Who goes in the very moment after a yes has no facts any more that could be compared.
                allowed = {"deny": ("denied",), "ask-denied": TOOL, "ask-expired": ("brief",),
                           "withdrawn": ("leaver",), "error": ("leaver",)}
                assert kind in allowed.get(decision, ()), what
                assert code == (-9 if decision == "withdrawn" else 126) or (kind, code) == ("leaver", -9), what

    def answers_count_once(self):
        taken = collections.defaultdict(list)
        for id, verb, counted in self.f.answers:
            if counted:
                taken[id].append(verb)
        for id, verbs in taken.items():
            # A yes that is kept while it is paused can still be taken back by a no.
            assert len(verbs) == 1 or sorted(verbs) == ["approve", "deny"], (id, verbs)
            decision = self.decisions[id]["decision"]
            gone = self.f.kind[MARK.search(json.dumps(self.decisions[id]["args"]))[0]] == "leaver" and decision in ("withdrawn", "error")
            assert decision == ("ask-denied" if "deny" in verbs else "ask-approved") or gone, (self.decisions[id], verbs)
        asked = {i for i, d in self.decisions.items() if d["decision"] in ("ask-approved", "ask-denied")}
        assert asked <= set(taken)
        return len(taken)

    def the_index_says_the_same(self):
        wait_for(lambda: call(self.f.w, "GET", "/api/status")[1].get("index_behind") is False, 60, "the index is whole")
        db = sqlite3.connect(f"file:{self.f.w.state}/index.db?mode=ro", uri=True)
        rows = db.execute("SELECT id, decision FROM requests").fetchall()
        db.close()
        assert sorted(rows) == sorted((i, d["decision"]) for i, d in self.decisions.items())

    def denied_files_are_there(self):
        for c, work in zip(self.f.containers, self.f.work):
            kept = set(c.exec("/usr/bin/ls", "/tmp/kept").stdout.decode().split())
            assert kept == {m for m, kind, _, _ in work if kind == "denied"}

    def times(self):
        """By kind; those apart over which something was paused."""
        kinds = collections.defaultdict(list)
        for mark, (_, begin, end, _) in self.f.seen.items():
            paused = any(a < end and begin < b for a, b in self.f.pauses)
            kinds[self.f.kind[mark] + (", paused" if paused else "")].append((end - begin) * 1000)
        for kind, all in sorted(kinds.items()):
            all.sort()
            p50, p90, p99 = (all[min(len(all) - 1, int(len(all) * q))] for q in (0.5, 0.9, 0.99))
            print(f"{kind:16} {len(all):5}  p50 {p50:7.1f}  p90 {p90:7.1f}  p99 {p99:7.1f}  max {all[-1]:7.1f} ms")


@pytest.mark.parametrize("times, limit", [# Half a minute, and more where the machine is busy.
                                          pytest.param(1, 150, id="short"),
                                          pytest.param(10, 900, id="long", marks=pytest.mark.slow)])
def test_two_containers_a_thousand_commands_a_hundred_answers(engine, make_warden, make_container, times, limit):
    seed = int(os.environ.get("CLAWRDEN_FLEET_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CLAWRDEN_FLEET_SEED={seed}")
    w = make_warden(POLICY, asks_per_minute=0, waiting_max_per_caller=1000, log_level="info", audit_rotate_size="1G")
    containers = [make_container(by=w, name=n) for n in ("fleet-a", "fleet-b")]
    plan = {"free": 380, "slow": 10, "denied": 40, "ask": 65, "brief": 12, "leaver": 10}
    f = Fleet(w, containers, {k: n * times for k, n in plan.items()}, seed)
    for c, work in zip(containers, f.work):
        c.add_shim("dash")
        c.exec("/usr/bin/bash", "-c", "mkdir /tmp/kept; : >/tmp/trace; while read -r m; do : >/tmp/kept/$m; done",
               input="".join(f"{m}\n" for m, kind, _, _ in work if kind == "denied").encode())
    f.run(limit, 10 * times)
    assert w.queue() == [] and json.loads(w.cli("running", "--json", check=True).stdout) == []
    assert json.loads(w.cli("status", "--json", check=True).stdout)["paused"] == []
    for c in containers:
        assert not json.loads(engine.text("inspect", c.id))[0]["State"]["Paused"]
    a = Accounts(f)
    a.nothing_is_lost_or_doubled()
    a.each_ended_as_was_decided()
    a.denied_files_are_there()
    answered = a.answers_count_once()
    assert len(f.kind) > 1000 * times and answered > 100 * times
    a.the_index_says_the_same()
    wait_for(lambda: w.cli("audit", "verify", "--head", w.state / "audit.head", w.audit).returncode == 0, what="the log is sound")
    counted = collections.Counter(d["decision"] for d in a.decisions.values())
    print(f"{len(f.kind)} commands, {answered} answered of {len(f.answers)} tries, {dict(counted)}, {dict(f.figures)}")
    a.times()
