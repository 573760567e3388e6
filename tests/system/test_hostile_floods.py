# SPDX-License-Identifier: MIT
"""Floods: one user takes all it can get, and another is served nearly as fast as before. "Nearly" is measured against
a control, where the same attacker does the same to somebody else, so that the processor it eats does not count."""
import time

import pytest

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
