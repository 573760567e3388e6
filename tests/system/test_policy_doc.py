# SPDX-License-Identifier: MIT
"""docs/policy.md: each policy on it loads, each line below one gets its verdict, each key that the program
knows is named, and a tool is added by a data file alone."""
import json
import os
import re
import subprocess

import pytest

from conftest import BIN, ROOT

PAGE = (ROOT / "docs/policy.md").read_text()
BLOCKS = re.findall(r"^```([a-z-]+)\n(.*?)^```$", PAGE, re.M | re.S)
POLICIES = [text for kind, text in BLOCKS if kind == "yaml"]
RUNNER = ROOT / "build/dynamic/tests/unit/test-policy-cases"
BUILT = ROOT / "build/dynamic/src"


def block(kind):
    return next(text for k, text in BLOCKS if k == kind)


def judge(directory, runner=RUNNER):
    done = subprocess.run([str(runner)], env={**os.environ, "POLICY_CASES_OF": str(directory)},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "1 test(s)" in done.stderr + done.stdout


@pytest.mark.parametrize("n", range(len(POLICIES)))
def test_each_policy_on_the_page_is_one(n, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICIES[n])
    done = subprocess.run([str(BIN / "clawrden"), "policy", "check", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_each_line_below_a_policy_gets_its_verdict(tmp_path):
    pairs = [(a[1], b[1]) for a, b in zip(BLOCKS, BLOCKS[1:]) if (a[0], b[0]) == ("yaml", "cases")]
    assert len(pairs) == sum(kind == "cases" for kind, _ in BLOCKS) >= 7  # no table without a policy
    for n, (policy, cases) in enumerate(pairs):
        (tmp_path / f"{n}.yaml").write_text(policy)
        (tmp_path / f"{n}.cases").write_text(cases)
    judge(tmp_path)


def test_a_wrong_line_would_be_noticed(tmp_path):
    (tmp_path / "x.yaml").write_text(POLICIES[0])
    (tmp_path / "x.cases").write_text("allow git 1000 /tmp git push -f\n")
    with pytest.raises(AssertionError, match="expected allow by git, got deny by no-force"):
        judge(tmp_path)


def test_a_tool_is_added_by_a_data_file(tmp_path):
    """The grammar of the page beside the others, the generated file compiled and linked before the library's."""
    grammars = tmp_path / "grammars"
    grammars.mkdir()
    for file in (ROOT / "share/grammars").glob("*.yaml"):
        (grammars / file.name).symlink_to(file)
    (grammars / "frob.yaml").write_text(block("grammar"))
    (tmp_path / "frob-policy.yaml").write_text(block("frob-policy"))
    (tmp_path / "frob-policy.cases").write_text(block("frob-cases"))
    with pytest.raises(AssertionError):
        judge(tmp_path)  # not without the grammar
    data = tmp_path / "grammar_data.c"
    subprocess.run(["sh", str(ROOT / "build-aux/embed.sh"), str(data), "policy/grammar_data.h", "grammar_data",
                    str(grammars)], check=True, timeout=60)
    unit = ROOT / "tests/unit"
    runner = tmp_path / "runner"
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", '-DPOLICY_CASES_DIR=""', f"-I{ROOT / 'src'}", f"-I{ROOT / 'tests'}",
                    f"-I{unit}", "-o", str(runner), str(unit / "test-policy-cases.c"), str(unit / "policy-case.c"), str(data),
                    str(BUILT / "policy/libpolicy.a"), str(BUILT / "base/libbase.a"), "-lyaml", "-lpcre2-8", "-lcrypto",
                    "-ljansson", "-lcmocka"], check=True, timeout=120)
    judge(tmp_path, runner)


def keys_of(source):
    text = (ROOT / "src/policy" / source).read_text()
    found = set()
    for table in re.findall(r"struct doc_key (?:\w*keys)\[\] = \{(.*?)\};", text, re.S):
        found |= set(re.findall(r'\{"(\w+)",', table))
    return found


@pytest.mark.parametrize("source", ["parse.c", "parse_rule.c", "grammar_read.c", "examples.c"])
def test_each_key_is_on_the_page(source):
    keys = keys_of(source)
    assert len(keys) >= 2
    for key in keys:
        assert re.search(rf"\b{key}\b", PAGE), key


def test_the_manual_page_has_every_key_and_its_example_is_one(tmp_path):
    page = (ROOT / "docs/man/clawrden-policy.5.scd").read_text()
    for key in keys_of("parse.c") | keys_of("parse_rule.c") | keys_of("examples.c"):
        assert f"*{key}*" in page, key
    example = page[page.index("# EXAMPLE"):page.index("# SEE ALSO")].split("\n\n")[1]
    file = tmp_path / "policy.yaml"
    file.write_text(example.replace("++\n", "\n").replace("\\*", "*").replace("\t", ""))
    done = subprocess.run([str(BIN / "clawrden"), "policy", "check", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "3 rules" in done.stdout, done.stderr


def test_the_marks_of_a_grammar_are_on_the_page():
    marks = re.findall(r'\{"([^"]+)", GRAMMAR_', (ROOT / "src/policy/grammar_read.c").read_text())
    assert len(marks) == 7
    for mark in [*marks, "!", "^"]:
        assert f"`{mark}`" in PAGE.split("mark behind the spellings")[1], mark


def test_the_environment_that_the_page_promises(tmp_path):
    policy = next(p for p in POLICIES if "GIT_TERMINAL_PROMPT" in p)
    file = tmp_path / "policy.yaml"
    file.write_text(policy.replace("/app/*", f"{tmp_path}/*"))
    done = subprocess.run([str(BIN / "clawrden"), "policy", "explain", "--policy", str(file), "--json", "--", "git", "commit"],
                          capture_output=True, text=True, timeout=30, cwd=tmp_path,
                          env={"PATH": "/usr/bin", "HOME": "/x", "MYAPP_A": "1", "NODE_ENV": "x", "GIT_AUTHOR_NAME": "a",
                               "GIT_SSH": "/tmp/evil", "LD_PRELOAD": "/tmp/evil", "OTHER": "1"})
    env = json.loads(done.stdout)["environment"]
    assert set(env["passed"]) == {"PATH", "GIT_TERMINAL_PROMPT", "HOME", "MYAPP_A", "NODE_ENV", "GIT_AUTHOR_NAME"}, done.stdout
    assert {"GIT_SSH", "LD_PRELOAD", "OTHER"} <= set(env["dropped"])
