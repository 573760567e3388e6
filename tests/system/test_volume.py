# SPDX-License-Identifier: MIT
"""A day's work in a minute: three agents, each a user of its own, more than a thousand commands at once and more
than a hundred answers of two people, with everything counted afterwards."""
import collections
import json
import statistics
import subprocess
import threading
import time


import pytest

from conftest import needs_root, wait_for

AGENTS = (61301, 61302, 61303)
COMMANDS = 350  # of each
ASKED = 40      # of these
DENIED = 30

POLICY = """\
default_action: deny
allowed_paths: ["/*"]
rules:
  - {name: free, command: ["true", cat], action: allow}
  - {name: asked, command: git, args: [--version], action: ask, approval_timeout: 5m}
  - {name: never, command: rm, action: deny}
"""

# One agent: its commands one behind the other, by their shims; the exit statuses counted on stdout. `jobs -p` would not
# name those that ended while others were still being started.
AGENT = """\
for i in $(seq {free}); do true $i; s="$s $?"; done
for i in $(seq {denied}); do rm -rf /nowhere/$i 2>/dev/null; s="$s $?"; done
for i in $(seq {asked}); do git --version >/dev/null 2>&1 & all="$all $!"; done
for p in $all; do wait $p; s="$s $?"; done
echo $s
"""


class Person(threading.Thread):
    """Answers whatever waits, until it is told to stop: each third is refused."""

    def __init__(self, w, name):
        super().__init__(daemon=True)
        self.w, self.who, self.done, self.answered = w, name, threading.Event(), collections.Counter()

    def run(self):
        while not self.done.is_set():
            for r in self.w.queue():
                verb = "deny" if int(r["id"][-2:], 16) % 3 == 0 else "approve"
                if self.w.cli(verb, "--comment", self.who, r["id"]).returncode == 0:
                    self.answered[verb] += 1
            time.sleep(0.02)


@needs_root
def test_three_agents_a_thousand_commands_a_hundred_answers(make_warden):
    w = make_warden(POLICY, options={"socket_mode": "0666", "log_level": "info"})
    for name in ("true", "rm", "git", "cat"):
        w.shim(name)
    free = COMMANDS - ASKED - DENIED
    script = AGENT.format(free=free, denied=DENIED, asked=ASKED)
    people = [Person(w, "ana"), Person(w, "bob")]
    for p in people:
        p.start()
    begin = time.monotonic()
    # `enable -n true`: the shell's own would be no command.
    agents = [subprocess.Popen(["bash", "-c", "enable -n true\n" + script], env=w.agent_env(), cwd=w.work, user=uid, group=uid,
                               extra_groups=[], stdout=subprocess.PIPE, text=True) for uid in AGENTS]
    seen = collections.Counter()
    for a in agents:
        out, _ = a.communicate(timeout=300)
        assert a.returncode == 0
        seen.update(out.split())
    took = time.monotonic() - begin
    for p in people:
        p.done.set()
        p.join(20)

    answers = sum((p.answered for p in people), collections.Counter())
    total, asked = len(AGENTS) * COMMANDS, len(AGENTS) * ASKED
    assert total > 1000 and asked > 100 and answers["approve"] + answers["deny"] == asked
    # What the agents saw, what was answered and what is on record is one and the same.
    assert seen == {"0": len(AGENTS) * free + answers["approve"],
                    "126": len(AGENTS) * DENIED + answers["deny"]}
    decided = collections.Counter((d["uid"], d["decision"]) for d in w.decisions())
    for uid in AGENTS:
        assert decided[uid, "allow"] == free and decided[uid, "deny"] == DENIED
        assert decided[uid, "ask-approved"] + decided[uid, "ask-denied"] == ASKED
    assert sum(decided.values()) == total
    ends = w.wait_ends(len(AGENTS) * free + answers["approve"])
    assert len({e["id"] for e in ends}) == len(ends) and all(e["exit_code"] == 0 for e in ends)
    assert w.queue() == [] and json.loads(w.cli("running", "--json").stdout) == []
    metrics = w.metrics()
    assert sum(int(float(x.split()[-1])) for x in metrics.splitlines() if x.startswith("clawrden_requests_total{")) == total
    assert all(x.endswith(" 0") for x in metrics.splitlines() if x.startswith("clawrden_errors_total{")), metrics
    wait_for(lambda: w.cli("audit", "verify", "--head", w.state / "audit.head", w.audit).returncode == 0, what="sound")
    print(f"{total} commands of {len(AGENTS)} agents in {took:.1f} s, {answers}")


@pytest.mark.timing
def test_interception_costs_less_than_ten_milliseconds(warden):
    """The median of what a governed command takes longer than the same command by itself; measured in turns."""
    governed, plain = [], []
    for _ in range(60):
        for times, argv in ((governed, [warden.shim("true")]), (plain, ["/usr/bin/true"])):
            begin = time.monotonic()
            subprocess.run(argv, env=warden.agent_env(), cwd=warden.work, check=True)
            times.append(time.monotonic() - begin)
    more = (statistics.median(governed) - statistics.median(plain)) * 1000
    print(f"governed {statistics.median(governed) * 1000:.2f} ms, plain {statistics.median(plain) * 1000:.2f} ms, {more:.2f} ms more")
    assert more < 10
