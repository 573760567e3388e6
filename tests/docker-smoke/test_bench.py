# SPDX-License-Identifier: MIT
"""The native mirror's cost in the same run as plain exec and the engine's API; the figures and the bars that are missed are in
docs/benchmarks.md. Here loose ones, that a loaded machine can meet: what they catch is a regression."""
import pytest

import bench


@pytest.mark.timing
def test_the_native_mirror_is_far_faster_than_the_engine(engine, make_warden, make_container):
    w = make_warden(asks_per_minute=0, record_bytes_per_minute=0)
    c = make_container(by=w)
    r = bench.measure(c, engine.socket, rounds=60, engine_rounds=10, big=256 << 20, at_once=32)
    bench.show(r)
    ratio = r["ratio"]
    assert ratio["engine"] > 25 / 3 and ratio["bulk"] > 0.9 / 3, r["ratio"]
    assert ratio["median"] < 12 and ratio["p99"] < 20 and ratio["many"] > 0.04, r["ratio"]
