# SPDX-License-Identifier: MIT
"""Floods: one user takes all it can get, and another is served nearly as fast as before. "Nearly" is measured against
a control, where the same attacker does the same to somebody else, so that the processor it eats does not count
(floods.py). The bars here are for a loaded machine; the figures and how to get them: docs/attacks.md."""
import os
import pathlib
import time

import pytest

import floods
import hostile
import wire
from conftest import AGENT_UID, needs_root, wait_for

pytestmark = needs_root

MANY = """
conns = []
for i in range(600):
    c = ask('sleep', '77020')
    kind, payload = c.message()
    if kind != wire.GO:
        break
    conns.append(c.hand_over([null] * 3))
print(len(conns), payload[4:], flush=True)
c = wire.Conn(path).send(wire.v1_request('sleep', ['77020'], cwd='/tmp'))
print(c.v1_refusal(), flush=True)
sys.stdin.read()
"""


def test_one_user_cannot_take_all_of_the_helper(make_warden):
    w = hostile.open_door(make_warden, flight_max_per_caller=600)
    p = hostile.attacker(MANY, w)
    try:
        count, words = p.stdout.readline().split(" ", 1)
        assert int(count) == 256 and "too many commands of this user run at once" in words
        assert p.stdout.readline().startswith("(125, 'clawrden: too many commands of this user")
        for _ in range(10):
            start = time.monotonic()
            assert w.run("true").returncode == 0
            assert time.monotonic() - start < 1
        assert w.run("true", uid=AGENT_UID + 1).returncode == 0
        assert w.run("true", uid=AGENT_UID).returncode == 125
    finally:
        p.kill()
        p.communicate()
    wait_for(lambda: w.run("true", uid=AGENT_UID).returncode == 0, what="there is room again")


def test_a_flood_of_denials_fills_the_log_no_faster_than_it_may(make_warden):
    """Small ones and large ones; another user's are recorded meanwhile, one by one."""
    deny = 'default_action: deny\nallowed_paths: ["/*"]\n'
    w = hostile.open_door(make_warden, deny, record_bytes_per_minute="1M", log_level="info")
    out = hostile.run_attacker("""
codes = {}
for i in range(3000):
    code, text = ask('no', *(['x' * 100000] * 2 if i % 100 == 99 else ['x'])).refusal()
    key = 'cap' if 'this is a cap' in text else 'rule'
    codes[key] = codes.get(key, 0) + 1
print(codes['rule'], codes['cap'])
""", w, timeout=60)
    judged, capped = map(int, out.split())
    assert judged + capped == 3000 and 100 < judged < 1500
    assert w.audit.stat().st_size < 6 << 20  # 1M, the last one, and ten that were capped
    recorded = [r["decision"] for r in w.decisions()]
    assert recorded.count("deny") == judged and recorded.count("limited") == 10
    assert w.run("no").returncode == 126
    last = w.decisions()[-1]
    assert last["decision"] == "deny" and last["uid"] == 0
    assert w.stop() == 0
    counted = w.records_of("limited")
    assert sum(r["refusals"] for r in counted) == capped - 10


# ---- another caller's latency ----

@pytest.fixture(scope="module")
def pair():
    """Two wardens that all floods of this file share: what one leaves behind, the next must bear."""
    wardens = floods.wardens()
    yield wardens
    for w in wardens:
        w.close()


def near(times, q, factor, seconds):
    """`seconds` more than the control are nothing to a machine on which a quiet request takes 0.2 ms; a slower one gets more."""
    flood, control = (floods.quantile(times[k], q) for k in ("flood", "control"))
    slowness = max(1, floods.quantile(times["quiet"], 0.5) / 0.0002)
    return flood < factor * control or flood < control + seconds * slowness


@pytest.mark.timing
@pytest.mark.parametrize("name", floods.FLOODS)
def test_another_caller_is_served_nearly_as_fast(pair, name):
    for rounds in (2, 4, 8):  # a machine that others use too is believed at the third time only
        times = floods.measure(pair, name, rounds, 0.3)
        if near(times, 0.5, 4, 0.002) and near(times, 0.9, 4, 0.02):
            return
    report = {k: [f"{floods.quantile(v, q) * 1e6:.0f} us" for q in (0.5, 0.9, 0.99)] for k, v in times.items()}
    raise AssertionError(f"p50, p90, p99: {report}")


def test_who_is_alone_is_not_slowed(make_warden):
    """Large requests are paid for only while somebody else is about."""
    w = hostile.open_door(make_warden, floods.POLICY)
    begin = time.monotonic()
    out = hostile.run_attacker(f"""
request = wire.v2_request('no', *['x' * 100000] * 15)
print(sum(wire.Conn(path).send(request).refusal()[0] for i in range(30)))
""", w)
    assert int(out) == 30 * 126
    alone = time.monotonic() - begin
    p = hostile.attacker(f"""
request = wire.v2_request('no', *['x' * 100000] * 15)
print('ready', flush=True)
print(sum(wire.Conn(path, 60).send(request).refusal()[0] for i in range(30)))
""", w)
    assert p.stdout.readline() == "ready\n"
    begin = time.monotonic()
    while p.poll() is None and time.monotonic() - begin < 60:
        floods.ask(w)
        time.sleep(0.05)
    beside = time.monotonic() - begin
    out, errors = p.communicate(timeout=10)
    assert out and int(out) == 30 * 126, errors  # later, and each of them
    assert beside > 1.5 and alone < beside, (alone, beside)


def test_a_user_that_owes_is_heard_when_it_hangs_up(make_warden):
    """What it sent is paid for by waiting, but its withdrawal must not wait: nobody may approve what is gone."""
    w = hostile.open_door(make_warden, floods.POLICY)
    p = hostile.attacker("""
waiting = [ask('git', 'push') for i in range(5)]
large = [wire.Conn(path) for i in range(40)]
for c in large:
    c.sock.setblocking(False)
    c.sock.send(wire.v2_request('no', *['x' * 100000] * 2))
print('ready', flush=True)
sys.stdin.readline()
for c in waiting:
    c.close()
print('gone', flush=True)
sys.stdin.read()
""", w)
    try:
        assert p.stdout.readline() == "ready\n"
        w.wait_queue(5)
        floods.ask_for(w, 0.3)
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline() == "gone\n"
        wait_for(lambda: w.queue() == [], 1, "the queue is empty")
    finally:
        p.kill()
        p.communicate()


# ---- the processor ----

def nice_of(pid, tid=None):
    path = pathlib.Path(f"/proc/{pid}/task/{tid or pid}/stat")
    return int(path.read_text().rsplit(")", 1)[1].split()[16])


def test_the_warden_goes_before_programs_and_commands_do_not(make_warden):
    """Its loop and its helper; not the threads of log and index; a command has its caller's nice value."""
    w = hostile.open_door(make_warden)
    own = os.nice(0)
    assert nice_of(w.pid) == -10
    tasks = [int(t) for t in os.listdir(f"/proc/{w.pid}/task") if int(t) != w.pid]
    assert tasks and min(nice_of(w.pid, t) for t in tasks) >= own
    for caller in (0, 5):
        p = w.popen("sh", "-c", "nice; cat /proc/self/autogroup", uid=AGENT_UID, preexec_fn=lambda n=caller: os.nice(n))
        out, errors = p.communicate(timeout=20)
        assert out.split()[0] == str(own + caller).encode(), (out, errors)
        assert b"nice -" not in out, out


def test_a_warden_that_shall_not_or_may_not_go_before_others_runs_all_the_same(make_warden):
    w = make_warden(options={"priority": "0"})
    assert nice_of(w.pid) == os.nice(0) and w.run("echo", "x").stdout == b"x\n"
    w = make_warden(user=AGENT_UID)
    assert nice_of(w.pid) == os.nice(0) and w.run("echo", "x", uid=AGENT_UID).stdout == b"x\n"
