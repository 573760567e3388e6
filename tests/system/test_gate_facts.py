# SPDX-License-Identifier: MIT
"""What a program is to the policy below a gate: one line a case. Scripts are the tool that they name, wrappers count with what they
carry, links and alternatives lead to one identity, and variables that carry code are gone."""
import os
import subprocess

import pytest

from conftest import AGENT_UID, needs_root
from gate_case import POLICY, environment, run, sh

pytestmark = needs_root


@pytest.fixture(scope="module")
def w():
    from conftest import Warden
    w = Warden(POLICY)
    yield w
    w.close()


# ---- what carries something is refused with what it carries ----

CARRIERS = ["date", "/usr/bin/date", "env date", "env -i date", "env A=1 date", "env -S 'date'", "nice date", "nice -n 5 date",
            "timeout 3 date", "timeout -k 1 3 date", "xargs date </dev/null", "echo x | xargs -n1 date", "setsid date", "setsid -w date",
            "sh -c date", "sh -c 'exec date'", "bash -lc date", "bash -c 'exec -a ls date'", "sh -c 'sh -c \"sh -c date\"'",
            "stdbuf -o0 date", "nohup date", "ionice date", "chrt -o 0 date", "flock x date", "unshare date", "setarch -R date",
            "prlimit date", "taskset 1 date", "env nice timeout 3 date", "python3 -c 'import os; os.system(\"date\")'",
            "perl -e 'system(\"date\")'", "awk 'BEGIN { system(\"date\") }'", "find . -maxdepth 0 -exec date ';'",
            "make -s -f - <<< 'all:;@date'", "busybox date", "busybox sh -c date", "busybox env date", "busybox sh -c /usr/bin/date",
            "/lib64/ld-linux-x86-64.so.2 /usr/bin/date", "ldd /usr/bin/date"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_refused_tool_is_refused_whoever_carries_it(w, carrier):
    before = len(w.decisions())
    done = run(w, "bash", "-c", f"cd $(mktemp -d); {carrier}", uid=AGENT_UID)
    assert "refused by no-date" in done.stdout + done.stderr, done
    assert "UTC" not in done.stdout
    assert [d for d in w.decisions()[before:] if d["rule"] == "no-date"]


@pytest.mark.parametrize("carrier", ["env", "nice", "timeout 5", "setsid -w", "stdbuf -o0", "xargs", "sh -c", "busybox"])
def test_what_is_allowed_is_so_behind_its_carrier(w, carrier):
    done = sh(w, f"{carrier} 'echo' </dev/null; echo $?", uid=AGENT_UID)
    assert done.stdout.endswith("0\n"), done


# ---- one identity, many names ----

ONLY = """\
default_action: deny
allowed_paths: ["/*"]
unknown_executable: deny
rules:
"""
# What is called, and the one rule that lets it pass.
NAMES = {
    "sh is dash": ("sh -c :", "sh"),
    "dash is dash": ("dash -c :", "dash"),
    "awk is mawk": ("awk 'BEGIN {}'", "awk"),
    "python3 is python3.N": ("python3 -c 0", "python3"),
    "by a way of its own": ("/usr/../usr/bin/python3 -c 0", "python3"),
    "npm is node with npm-cli.js": ("npm --version", "npm"),
    "busybox by its own name": ("busybox true", "busybox"),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_rule_by_a_name_reaches_the_program(make_warden, what):
    command, rule = NAMES[what]
    w = make_warden(ONLY + "  - {command: bash, action: allow}\n" + f"  - {{command: {rule}, action: allow}}\n"
                    + ("  - {command: env, action: allow}\n" if rule == "npm" else ""))
    done = run(w, "bash", "-c", f"{command} && echo good", uid=AGENT_UID)
    assert done.stdout.endswith("good\n"), done
    # And no other rule does.
    w.set_policy(ONLY + "  - {command: bash, action: allow}\n  - {command: ls, action: allow}\n")
    w.reload_policy(ONLY + "  - {command: bash, action: allow}\n  - {command: ls, action: allow}\n")
    done = run(w, "bash", "-c", f"{command} && echo good", uid=AGENT_UID)
    assert "good" not in done.stdout and "refused by default_action" in done.stderr, done


def test_an_allow_for_one_tool_is_none_for_another_by_its_name(make_warden):
    """argv[0] and links lie: identity is the file."""
    w = make_warden(ONLY + "  - {command: bash, action: allow}\n  - {command: ls, action: allow}\n  - {command: ln, action: allow}\n")
    for lie in ("exec -a ls date", "ln -s /usr/bin/date ls; ./ls", "exec -a /usr/bin/ls /usr/bin/date"):
        done = run(w, "bash", "-c", f"cd $(true; pwd); {lie}", uid=AGENT_UID)
        assert done.returncode == 126 and "UTC" not in done.stdout, (lie, done)


# ---- scripts ----

@pytest.fixture
def tool():
    """A trusted script: tool("#!/usr/bin/env python3", "print(1)")."""
    path = f"/usr/local/bin/clawrden-test-tool-{os.getpid()}"

    def make(first, body):
        with open(path, "w") as f:
            f.write(f"{first}\n{body}\n")
        os.chmod(path, 0o755)
        return path

    yield make
    if os.path.exists(path):
        os.unlink(path)


SCRIPTS = {
    "sh": ("#!/bin/sh", "echo ran $1"),
    "sh with an option": ("#!/bin/sh -e", "echo ran $1"),
    "env sh": ("#!/usr/bin/env sh", "echo ran $1"),
    "python by env": ("#!/usr/bin/env python3", "import sys; print('ran', sys.argv[1])"),
    "python with options": ("#!/usr/bin/python3 -sE", "import sys; print('ran', sys.argv[1])"),
    "perl": ("#!/usr/bin/perl -w", "print \"ran $ARGV[0]\\n\";"),
    "node by env": ("#!/usr/bin/env node", "console.log('ran', process.argv[2])"),
    "awk": ("#!/usr/bin/awk -f", "BEGIN { print \"ran\", ARGV[1] }"),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_trusted_script_is_the_tool_that_it_is_named(make_warden, tool, kind):
    path = tool(*SCRIPTS[kind])
    name = os.path.basename(path)
    # No rule for its interpreter: it is the script that is judged, by its arguments too.
    w = make_warden(ONLY + f"  - {{name: no, command: {name}, args: bad, action: deny}}\n  - {{name: yes, command: {name}, action: allow}}\n")
    done = run(w, path, "good", uid=AGENT_UID)
    assert done.stdout == "ran good\n", done
    assert {d["rule"] for d in w.decisions()} == {"yes"} and all(d["script"] for d in w.decisions())
    done = run(w, path, "bad", uid=AGENT_UID)
    assert done.returncode == 126 and "refused by no " in done.stderr and "ran" not in done.stdout


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/env sh", "#!/usr/bin/env python3", "#!/usr/bin/awk -f"])
def test_an_agents_own_script_is_unknown_whatever_reads_it(make_warden, first):
    w = make_warden(POLICY)
    (w.work / "s").write_text(f"{first}\n")
    (w.work / "s").chmod(0o755)
    done = run(w, "./s", uid=AGENT_UID)
    assert done.returncode == 126 and "unknown_executable" in done.stderr
    d = w.decisions()[-1]
    assert d["script"]["digest"] if isinstance(d["script"], dict) else d["script"]


# ---- what carries code in the environment ----

VARIABLES = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_DEBUG", "LD_BIND_NOW", "GCONV_PATH", "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH",
             "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "BASH_ENV", "ENV", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "PAGER", "GIT_DIR",
             "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_CONFIG_COUNT", "LESSOPEN", "BASH_FUNC_ls%%"]


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_carries_code_is_gone(w, name):
    done = run(w, "env", "-0", uid=AGENT_UID, env=environment(w, **{name: "/nowhere", "KEPT": "1"}))
    seen = dict(e.split("=", 1) for e in done.stdout.split("\0")[:-1])
    assert seen.get("KEPT") == "1" and name not in seen, done
    assert name in w.decisions()[-1]["env_dropped"]


def test_a_preloaded_library_does_not_run(make_warden, tmp_path):
    w = make_warden(POLICY)
    (w.work / "e.c").write_text("#include <unistd.h>\n__attribute__((constructor)) static void evil(void) { write(1, \"EVIL\", 4); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", w.work / "e.so", w.work / "e.c"], check=True)
    library = str(w.work / "e.so")
    free = subprocess.run(["/usr/bin/true"], env={"LD_PRELOAD": library}, capture_output=True, text=True)
    assert free.stdout == "EVIL", "it would, without a gate"
    done = run(w, "sh", "-c", f"LD_PRELOAD={library} /usr/bin/true; LD_AUDIT={library} /usr/bin/true; env LD_PRELOAD={library} true; echo end",
               uid=AGENT_UID, env=environment(w, LD_PRELOAD=library))
    assert done.stdout == "end\n", done
