# SPDX-License-Identifier: MIT
"""The native mirror's cost in the same run as plain exec and the engine's API; the figures and the bars that are missed are in
docs/benchmarks.md. Others load this machine, and that hits a command that passes through several processes more than one of them: the bars
are held to the best tenth of each way, which took turns, and to the best of four turns of 32 at once."""
import pytest

import bench


@pytest.mark.timing
def test_the_native_mirror_is_far_faster_than_the_engine(engine, make_warden, make_container):
    w = make_warden(asks_per_minute=0, record_bytes_per_minute=0)
    c = make_container(by=w)
    r = bench.measure(c, engine.socket, rounds=100, engine_rounds=20, big=256 << 20, at_once=32)
    bench.show(r)
    low = r["low"]
    assert low["engine"] > 25 and low["plain"] < 5 and low["bulk"] > 0.6 and low["many"] > 0.15, r["ratio"] | {"low": low}
    assert r["ratio"]["engine"] > 25 / 3 and r["ratio"]["p99"] < 20, r["ratio"]
