# SPDX-License-Identifier: MIT
"""`clawrden run --ask tty` while somebody of it is killed, or the terminal is closed, at any moment: nothing starts that was not
decided on, what is held never runs, all of the tree ends, and the terminal is as it was."""
import os
import pathlib
import random
import signal
import termios
import time

import pytest

from conftest import AGENT_UID, wait_for
from runs import POLICY, Run, Terminal, child

ASKS = POLICY.replace("rules:", "rules:\n  - {name: held, command: mkdir, action: ask, approval_timeout: 60s}\n"
                                "  - {name: never, command: touch, args: never, action: deny}", 1)
# Each start leaves something behind under a name of its own: as allowed, asked about, and denied.
AGENT = ("stty -echo raw; n=0; while :; do n=$((n+1)); touch ran-$n; touch never & mkdir held-$n & (touch side-$n &); "
         "[ $((n % 5)) = 0 ] && wait; done")


def victim_of(t, who):
    if who == "run":
        return t.pid()
    if who == "asker":  # the keeper of the terminal's modes has no fd 2
        return child(t.pid(), "clawrden", lambda p: os.path.lexists(p / "fd/2"))
    return child(t.pid(), {"warden": "clawrden-warden", "supervisor": "clawrden-gate"}[who][:15])


def answer_until(t, rng, moment):
    """A person at the terminal, for so long."""
    end = time.monotonic() + moment
    while time.monotonic() < end and t.process.poll() is None:
        t.read(0.02)
        if (at := t.out.find(b"or n and why] ", t.seen)) >= 0:
            t.seen = at + 1
            if rng.random() < 0.7:
                t.type(rng.choice([b"y\r", b"n\r"]))


def hang_up(t):
    os.close(t.master)
    t.master = os.open("/dev/null", os.O_RDWR)


def strike(t, who):
    if who == "terminal":
        hang_up(t)
        return True
    pid = victim_of(t, who)
    if pid:
        os.kill(pid, signal.SIGKILL)
    return bool(pid)


def decided(r):
    """What may have run: (command, its argument) of records that let something go."""
    let = set()
    for session in r.sessions():
        if (session / "audit.jsonl").exists():
            let |= {(d["command"], d["args"][-1]) for d in r.decisions(session)
                    if d["decision"] in ("allow", "ask-approved") and d["args"]}
    return let


def one_round(r, t, who, rng):
    before = termios.tcgetattr(t.slave)
    answer_until(t, rng, rng.uniform(0.0, 1.8))
    if not strike(t, who):  # it was not there yet: as soon as it is
        wait_for(lambda: t.read(0) or strike(t, who) or t.process.poll() is not None, 20, f"no {who}")
    end = time.monotonic() + 40
    # Without the one who asks, what waits can be answered elsewhere: the session goes on, until a person ends it.
    if who == "asker" and t.process.poll() is None:
        t.process.terminate()
    while t.process.poll() is None:
        assert time.monotonic() < end, f"it did not end: {t.out[-2000:]}"
        time.sleep(0.01) if who == "terminal" else t.read(0.05)
    wait_for(lambda: not r.left(), 20, "the tree has ended")
    wait_for(lambda: not [p for p in pathlib.Path("/proc").glob("[0-9]*") if of_session(p, r)], 20, "warden and helpers have ended")
    if who != "terminal":
        wait_for(lambda: termios.tcgetattr(t.slave) == before, 5, "the terminal's modes are back")
    let = decided(r)
    made = {p.name for p in r.work.iterdir()}
    assert not made - {name for _, name in let}, "ran without a record that let it go"
    assert "never" not in made
    return made


def of_session(p, r):
    try:
        return str(r.state).encode() in (p / "cmdline").read_bytes() or os.readlink(p / "cwd").startswith(str(r.dir))
    except OSError:
        return False


@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("who", ["run", "warden", "supervisor", "asker", "terminal"])
def test_at_any_moment_nothing_starts_ungoverned_and_the_terminal_comes_back(who, rounds):
    seed = os.environ.get("CLAWRDEN_TEST_SEED", str(random.randrange(1 << 30)))
    print("CLAWRDEN_TEST_SEED", seed)
    rng = random.Random(f"{seed} {who}")
    made = 0
    for i in range(rounds):
        r = Run(user=AGENT_UID if i % 2 and os.geteuid() == 0 else None, policy=ASKS)
        t = Terminal(r, "bash", "-c", AGENT, options={"ask": "tty"})
        try:
            made += len(one_round(r, t, who, rng))
        finally:
            t.close()
            r.close()
    assert made or rounds < 10, "nothing ever ran"
