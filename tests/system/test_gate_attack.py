# SPDX-License-Identifier: MIT
"""Races against the gate, in short; `make attack` runs 1,000 rounds of each."""
import pytest

import attacks
from conftest import needs_root

pytestmark = needs_root


@pytest.fixture(scope="module")
def programs():
    with attacks.Attacks() as a:
        yield a


@pytest.mark.parametrize("name", attacks.NAMES)
def test_what_was_denied_never_runs(programs, name):
    rounds = 12 if name == "hold" else 120
    evil, score = programs.run(name, rounds)
    assert evil == 0, f"a hole: what was denied ran {evil} times"
    assert sum(score.values()) == rounds and score["failed"] == 0, score
    if name in ("flip-argv", "flip-path", "thread"):
        assert score["ran"] > 0 and score["refused"] > 0, f"the race was none: {score}"
    if name == "clone-fs":
        assert score["refused"] == rounds
    if name == "hold":
        assert score["ran"] == rounds, "what was shown runs, and nothing else"
