# SPDX-License-Identifier: MIT
"""docs/attacks.md names tests that there are, and the floods by their number."""
import pathlib
import re

import floods
from conftest import ROOT

PAGE = (ROOT / "docs/attacks.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| **", "| the agent"))]


def functions(path):
    text = path.read_text()
    pattern = r"^def (test_\w+)" if path.suffix == ".py" else r"^static void (\w+)\(void \*\*"
    return set(re.findall(pattern, text, re.M))


def test_every_attack_has_a_test_that_is_there():
    attacks = [r for r in ROWS if "`" in r.split("|")[2]]
    assert len(attacks) >= 60
    known = {}
    for row in attacks:
        names = re.findall(r"`([\w/.-]+)::(\w+)`", row.split("|")[2])
        assert names, row
        for file, name in names:
            path = ROOT / "tests" / (file if "/" in file else pathlib.Path("system") / file)
            assert path.exists(), file
            known.setdefault(path, functions(path))
            assert name in known[path], f"{file}::{name}"


def test_every_hostile_test_is_on_the_page():
    for path in sorted((ROOT / "tests/system").glob("test_hostile_*.py")):
        missing = [n for n in functions(path) if f"{path.name}::{n}`" not in PAGE]
        about_floods = {"test_who_is_alone_is_not_slowed", "test_the_warden_goes_before_programs_and_commands_do_not",
                        "test_a_warden_that_shall_not_or_may_not_go_before_others_runs_all_the_same"}
        assert set(missing) <= about_floods, (path.name, missing)


def test_the_page_counts_the_floods():
    assert f"runs {len(floods.FLOODS)} floods" in PAGE
