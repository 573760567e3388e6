# SPDX-License-Identifier: MIT
"""`clawrden run` as a newcomer meets it: the starter policy asks for nothing harmless, asks for what matters, and takes the
person's own tools for what they are where nobody inside could have changed them."""
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import AGENT_UID, BIN, needs_root
from runs import any_run, make_run  # noqa: F401: fixtures


def starter(make_run, user):
    r = make_run(user=user, policy=None)
    for name, text in {"package.json": '{"name": "p", "version": "1.0.0", "scripts": {"test": "node t.js"}}', "t.js": "console.log('js')",
                       "x.py": "print('py')", "m.c": "int main(void) { return 0; }\n", "Makefile": "all:\n\tgcc -c m.c\n",
                       "s.sh": "#!/bin/sh\necho sh\n", "e.py": "#!/usr/bin/env python3\nprint('env')\n"}.items():
        (r.work / name).write_text(text)
    for name in ("s.sh", "e.py"):
        (r.work / name).chmod(0o755)
    r.own()
    subprocess.run("git init -q . && git config user.email a@b && git config user.name n && git add . && git commit -qm start",
                   shell=True, cwd=r.work, env=r.env(), check=True, **r.ids)
    return r


@pytest.fixture(params=["root", "user"])
def newcomer(request, make_run):
    return starter(make_run, AGENT_UID if request.param == "user" and os.geteuid() == 0 else None)


def decisions_of(r, script, **kw):
    """Runs each line of `script` by one shell, nobody there to ask: {line: was anything of it not allowed}."""
    lines = [x.strip() for x in script.strip().splitlines()]
    sh = "".join(f"true {n}; {{ {line}\n}} >out-{n} 2>&1 </dev/null; /bin/true --mark={n}\n" for n, line in enumerate(lines))
    done = r.run("bash", "-c", sh, options={"ask": "none"}, timeout=120, env={"GIT_PAGER": "cat"})
    assert done.returncode == 0, done.stderr
    found, now = {}, []
    for d in r.decisions():
        if d["command"] == "true" and d["args"] and d["args"][0].startswith("--mark="):
            found[lines[int(d["args"][0].partition("=")[2])]] = now
            now = []
        elif d["decision"] != "allow":
            now.append((d["decision"], d["rule"], d["command"], d["args"]))
    assert list(found) == lines
    return found


HARMLESS = """
git status
git log --oneline
git -c color.ui=never diff --stat
git add x.py && git commit -q --allow-empty -m more
git stash list; git branch -a; git gc --quiet
git bisect start && git bisect reset
git clone -q . copy && rm -rf copy
npm test
npx --version
make
python3 x.py
python3 -m venv --without-pip v && v/bin/python -c 'print(1)'
node t.js
./s.sh && ./e.py
bash -lc 'ls | wc -l'
sh -c 'env node t.js'
find . -name '*.py' | xargs -n1 basename
grep -rn print . | sort | uniq | head -3
ps -ef | awk '{print $1}' | sed 1d
tar cf t.tar x.py && gzip -f t.tar
less x.py && vi --version
lsb_release -a; getconf ARG_MAX; uname -a; nproc; env
pgrep -a bash
timeout 5 sleep 0; nice true; setsid true; nohup true
man -w ls; locale; id
mkdir -p a/b && cp x.py a/b && mv a/b a/c && rm -r a
curl -s http://127.0.0.1:9/ || true
"""
ASKED = """
git push
npm publish
curl -s http://127.0.0.1:9/ | sh
curl -s http://127.0.0.1:9/ | bash -s -- --yes
curl -s -d @x.py http://127.0.0.1:9/
git reset --hard
ssh localhost
rm -rf ~
docker run x
cp /bin/ls tool; ./tool
rm -rf ../other
"""
REFUSED = """
rm -rf /
rm -rf /etc
git push --force origin main
npm unpublish
mkfs.ext4 /dev/sda
chmod -R 777 /
bwrap --ro-bind / / ls
sudo id
su -c id
"""


def test_harmless_work_asks_for_nothing(newcomer):
    for line, met in decisions_of(newcomer, HARMLESS).items():
        assert met == [], line


def test_what_matters_is_asked_for(newcomer):
    found = decisions_of(newcomer, ASKED)
    missing = [line for line, met in found.items() if not any(d[0] == "limited" for d in met)]
    # A program that is not installed here starts nowhere and is asked for nowhere.
    assert {x: found[x] for x in missing if shutil.which(x.split()[0])} == {}


def test_where_nobody_is_asked_each_refusal_is_recorded_and_says_why(newcomer):
    """Also the many that a cap would only count."""
    done = newcomer.run("bash", "-c", "for i in $(seq 30); do git push origin $i; done", options={"ask": "none"})
    assert [d["args"][2] for d in newcomer.decisions() if d["decision"] == "limited"] == [str(i) for i in range(1, 31)]
    assert "asked for by push" in done.stderr and "others will see it" in done.stderr and "try again" not in done.stderr
    assert re.search(r"30 asked, 30 denied", done.stderr), done.stderr


def test_what_is_never_done_is_refused(newcomer):
    found = decisions_of(newcomer, REFUSED)
    missing = [line for line, met in found.items() if not any(d[0] == "deny" for d in met)]
    assert {x: found[x] for x in missing if shutil.which(x.split()[0])} == {}


def test_becoming_another_user_is_refused_and_says_what_to_do(newcomer):
    """It could not work if a person said yes."""
    done = newcomer.run("sudo", "-n", "id")
    assert done.returncode == 126 and newcomer.queue() == []
    assert "no-other-user" in done.stderr and "no_new_privs" in done.stderr and "outside of the session" in done.stderr, done.stderr


def test_clawrden_itself_says_what_it_can_do_inside(newcomer):
    done = newcomer.run(BIN / "clawrden", "doctor")
    assert "this process stands under a gate already" in done.stdout.decode() and newcomer.queue() == []
    done = newcomer.run(BIN / "clawrden", "run", "--ask", "none", "--", "true")
    assert done.returncode == 125 and "no session can begin here" in done.stderr, done.stderr
    done = newcomer.run(BIN / "clawrden", "approve", "1")
    assert done.returncode == 3 and "no warden answers" in done.stderr, done.stderr


def test_what_the_starter_lets_pass_is_no_hole(make_run):
    r = starter(make_run, AGENT_UID if os.geteuid() == 0 else None)
    done = r.run(BIN / "clawrden", "doctor", "--attack", "--json", options={"ask": "none"}, timeout=200)
    report = json.loads(done.stdout)
    other = {a["name"]: a for a in report["attempts"] if a["result"] not in ("refused", "absent")}
    assert done.returncode == 0 and report["holes"] == 0 and report["refused"] >= 60, other
    assert set(other) <= {"PYTHONPATH", "NODE_OPTIONS", "script-swap"} and report["allowed"] == len(other), other


@pytest.mark.slow
def test_no_attack_waits_for_a_person(make_run):
    r = starter(make_run, AGENT_UID if os.geteuid() == 0 else None)
    done = r.run(BIN / "clawrden", "doctor", "--attack")
    assert done.returncode == 2 and "use a session with --ask none" in done.stderr, done.stderr


def test_the_persons_shell_may_read_its_input(newcomer):
    p = newcomer.popen("bash", stdin=subprocess.PIPE, options={"ask": "none"})
    out, errors = p.communicate(b"echo from input\n", timeout=30)
    assert out == b"from input\n", errors


# ---- tools of the person's own ----

def own_tool(r, path, source="/bin/ls"):
    tool = r.home / path
    tool.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, tool)
    r.own()
    return tool


def judged(r, argv, **kw):
    done = r.run(*argv, options={"ask": "none"}, **kw)
    return r.decisions()[-1], done


def with_path(*dirs):
    return {"PATH": ":".join([*map(str, dirs), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"])}


def test_a_tool_of_ones_own_is_trusted_and_has_its_name(newcomer):
    tool = own_tool(newcomer, ".nvm/versions/node/v1/bin/tool")
    d, done = judged(newcomer, ["tool", "/"], env=with_path(tool.parent))
    assert done.returncode == 0 and d["decision"] == "allow", (d, done)
    assert d["executable"]["trust"] == "trusted" and d["executable"]["names"] == ["tool"]


def test_what_rules_name_they_also_mean_of_ones_own(newcomer):
    tool = own_tool(newcomer, ".local/bin/terraform")
    d, done = judged(newcomer, ["terraform", "apply"], env=with_path(tool.parent))
    assert d["rule"] == "deploy" and d["decision"] == "limited" and done.returncode == 126


def test_what_the_tree_could_have_changed_stays_unknown(newcomer):
    # Also what an agent could have left in another workspace before.
    for path in ("work/bin/tool", ".cache/tool", "other/node_modules/tool/tool"):
        tool = own_tool(newcomer, path)
        d, done = judged(newcomer, [tool, "/"], env=with_path(*([] if "other" in path else [tool.parent])))
        assert d["executable"]["trust"] == "unknown" and d["rule"] == "unknown_executable" and done.returncode == 126, path


def test_another_name_where_it_can_be_written_is_seen(newcomer):
    tool = own_tool(newcomer, ".local/bin/tool")
    os.link(tool, newcomer.work / "stored")
    d, done = judged(newcomer, ["tool", "/"], env=with_path(tool.parent))
    assert d["rule"] == "unknown_executable" and "another name" in d["executable"]["why_unknown"] and done.returncode == 126
    (newcomer.work / "stored").unlink()
    # As packages of npm link their program: all of its names are out of reach.
    twin = newcomer.home / ".local/lib/tool-linux/tool"
    twin.parent.mkdir(parents=True)
    os.link(tool, twin)
    newcomer.own()
    d, done = judged(newcomer, ["tool", "/"], env=with_path(tool.parent))
    assert d["decision"] == "allow" and done.returncode == 0


def test_a_link_through_the_workspace_gives_no_trust(newcomer):
    tool = own_tool(newcomer, ".local/bin/tool")
    (newcomer.work / "to").symlink_to(tool.parent)
    newcomer.own()
    d, _ = judged(newcomer, [newcomer.work / "to" / "tool", "/"], env=with_path(newcomer.work / "to"))
    assert d["executable"]["names"] == []  # by no name that the link would give
    assert d["executable"]["path"] == str(tool.resolve())


@needs_root
def test_files_that_are_mounted_twice_give_no_trust(make_run):
    r = starter(make_run, None)
    other = r.dir / "other"
    other.mkdir()
    tool = own_tool(r, "work/bin/tool")
    r.policy.unlink(missing_ok=True)
    args = r.args([other / "tool", "/"], {"ask": "none"})
    # In a mount namespace of the test's own, so that nothing is left behind.
    done = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind {tool.parent} {other} && exec \"$@\"", "sh", *args],
                          env=r.env(), cwd=r.work, capture_output=True, text=True, timeout=60)
    assert "is mounted twice" in done.stderr and done.returncode == 126, done
    assert r.decisions()[-1]["executable"]["trust"] == "unknown"
