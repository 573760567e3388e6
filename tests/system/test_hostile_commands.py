# SPDX-License-Identifier: MIT
"""One rule, and an agent that spells, names, places and dresses its command so that the rule does not see it. What
must not happen is looked for on the disk: a canary that is gone, a mark that was left."""
import os
import shutil
import subprocess

import pytest

import hostile
import wire
from conftest import AGENT_UID, needs_root, wait_for

NO_RM = """\
default_action: allow
allowed_paths: ["/*"]
rules:
  - {name: no-rm-rf, command: rm, args: ["-r -f"], action: deny}
"""

# {} is the canary.
SPELLINGS = {
    "together": ["rm", "-rf", "{}"],
    "the other way round": ["rm", "-fr", "{}"],
    "apart": ["rm", "-r", "-f", "{}"],
    "long": ["rm", "--recursive", "--force", "{}"],
    "half long": ["rm", "-f", "--recursive", "{}"],
    "cut short": ["rm", "--rec", "--fo", "{}"],
    "capital": ["rm", "-Rf", "{}"],
    "among others": ["rm", "-vIdrf", "--one-file-system", "{}"],
    "behind the operand": ["rm", "{}", "-rf"],
    "on both sides": ["rm", "-r", "{}", "-f"],
    "with an end of options": ["rm", "-rf", "--", "{}"],
    "twice": ["rm", "-r", "-r", "-f", "-i", "-f", "{}"],
    "with an empty word": ["rm", "", "-rf", "{}"],
    "with a question taken back": ["rm", "-ri", "-f", "{}"],
    "by its path": ["/bin/rm", "-rf", "{}"],
    "by a longer path": ["/usr/../usr/bin/./rm", "-rf", "{}"],
    "by env": ["env", "rm", "-rf", "{}"],
    "by env with words": ["env", "-i", "A=b", "nice", "-n", "5", "rm", "-rf", "{}"],
    "by timeout": ["timeout", "5", "rm", "-rf", "{}"],
    "by xargs": ["xargs", "-I", "x", "rm", "-rf", "{}"],
    "by nohup and setsid": ["setsid", "-w", "nohup", "rm", "-rf", "{}"],
}


@pytest.fixture
def canary(make_warden):
    """A warden with NO_RM, and a directory of the agent's with something in it."""
    w = hostile.open_door(make_warden, NO_RM)
    there = w.work / "canary" / "deep"
    there.mkdir(parents=True)
    (there / "egg").touch()
    for p in (w.work / "canary", there, there / "egg"):
        os.chown(p, AGENT_UID, AGENT_UID)
    return w, w.work / "canary"


def survives(w, there, count=1):
    assert (there / "deep" / "egg").exists()
    decisions = wait_for(lambda: len(d := w.decisions()) >= count and d)
    assert {(r["decision"], r["rule"]) for r in decisions} == {("deny", "no-rm-rf")}, decisions


@needs_root
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_rule_sees_every_spelling(canary, spelling):
    w, there = canary
    words = [x.format(there) for x in SPELLINGS[spelling]]
    for request in (wire.v2_request(*words), wire.v1_request(words[0], words[1:])):
        out = hostile.run_attacker(f"c = wire.Conn(path).send({request!r})\nprint(c.sock.recv(1)[0])", w)
        assert out.strip() in ("130", "0")  # V2_REFUSED; v1 says it in frames
    survives(w, there, 2)


@needs_root
def test_one_rule_sees_every_name(canary):
    """Another argv[0], a link, a copy, another name: what the program is and each thing it is called count."""
    w, there = canary
    link, copy = w.work / "link", w.work / "ls"
    link.symlink_to("/bin/rm")
    shutil.copy("/bin/rm", copy)
    out = hostile.run_attacker(f"""
for argv, name in ([['ls', '-rf', {str(there)!r}], 'rm'], [['rm', '-rf', {str(there)!r}], 'ls'],
                   [['-rm', '-rf', {str(there)!r}], 'rm']):
    print(ask(*argv, name=name).refusal()[0])
print(wire.Conn(path).send(wire.v1_request({str(link)!r}, ['-rf', {str(there)!r}])).v1_refusal()[0])
""", w)
    assert out.split() == ["126"] * 4
    survives(w, there, 4)
    # A copy is not the tool of its name: unknown, and so nothing that an allow would cover.
    out = hostile.run_attacker(
        f"print(wire.Conn(path).send(wire.v1_request({str(copy)!r}, ['-rf', {str(there)!r}])).exactly(1))", w)
    assert "b'\\x02'" in out  # a person is asked
    assert (there / "deep" / "egg").exists()


def test_an_argument_that_hides_the_rest_hides_nothing(canary):
    """More than the helper looks at, of any bytes."""
    w, there = canary
    for many in (["x"] * 5000, ["\udcff\udcfe"] * 100, ["a" * 100000] * 15, ["\n", "\t", "--"[:1]]):
        with wire.Conn(w.socket) as c:
            c.send(wire.v2_request("rm", *many, "-rf", str(there)))
            code, text = c.refusal()
            assert code == 126
    assert (there / "deep" / "egg").exists()
    assert {r["decision"] for r in w.decisions()} == {"deny"}


# ---- what runs is the system's tool ----

ASKS = hostile.EVERYTHING + "unknown_executable: ask\n"

EVIL = "#!/bin/sh\ntouch {mark}\n"


def place_evil(w, name, where=None):
    """An executable called `name`, of the agent's, that leaves a mark."""
    mark = w.work / f"mark-{name}"
    evil = (where or w.work) / name
    evil.write_text(EVIL.format(mark=mark))
    evil.chmod(0o755)
    os.chown(evil, AGENT_UID, AGENT_UID)
    return mark


@needs_root
def test_a_tool_of_the_agents_own_directory_is_not_run(make_warden):
    w = hostile.open_door(make_warden)
    mark = place_evil(w, "ls")
    env = w.agent_env(PATH=f"{w.work}:.:{w.shims}:/usr/bin", LD_LIBRARY_PATH=str(w.work), CDPATH=str(w.work))
    done = w.run("ls", "/", env=env, uid=AGENT_UID)
    assert done.returncode == 0 and b"usr" in done.stdout
    # and by that PATH inside of a command
    done = w.run("sh", "-c", "ls /; command -v ls; echo $PATH", env=env, uid=AGENT_UID)
    assert done.returncode == 0 and str(w.work).encode() not in done.stdout
    assert not mark.exists()


@needs_root
def test_a_tool_by_its_path_in_the_agents_directory_is_asked_about(make_warden):
    w = hostile.open_door(make_warden, ASKS)
    mark = place_evil(w, "ls")
    out = hostile.run_attacker(f"""
for name in ({str(w.work / 'ls')!r}, './ls', '../%s/ls' % os.path.basename(os.getcwd()), '/proc/self/cwd/ls', '/dev/fd/%d' % os.open('ls', os.O_PATH)):
    c = wire.Conn(path).send(wire.v1_request(name))
    print(name, c.exactly(1))
""", w, cwd=w.work)
    for line in out.splitlines():
        assert line.endswith("b'\\x02'") or line.endswith("b'\\x00'"), line
    assert not mark.exists()
    for r in w.decisions():  # what is found is unknown; a way through /proc finds nothing
        assert (r["decision"], r["executable"]["trust"]) in (("withdrawn", "unknown"), ("allow", "not-found")), r


LOADER = {"LD_PRELOAD": "{lib}", "LD_AUDIT": "{lib}", "LD_LIBRARY_PATH": "{dir}", "GCONV_PATH": "{dir}",
          "PYTHONPATH": "{dir}", "PYTHONHOME": "{dir}", "PYTHONSTARTUP": "{script}", "BASH_ENV": "{script}",
          "ENV": "{script}", "PERL5OPT": "-I{dir} -Mevil", "PERL5LIB": "{dir}", "NODE_OPTIONS": "--require {script}",
          "RUBYOPT": "-r{script}", "GIT_SSH_COMMAND": "{script}", "GIT_EXEC_PATH": "{dir}", "GIT_EXTERNAL_DIFF": "{script}",
          "PAGER": "{script}", "EDITOR": "{script}", "VISUAL": "{script}", "LESSOPEN": "|{script} %s", "IFS": "x",
          "PS4": "$(touch {mark})", "BASH_FUNC_ls%%": "() {{ touch {mark}; }}", "TERMINFO": "{dir}", "LOCPATH": "{dir}",
          "HOSTALIASES": "{script}", "GLIBC_TUNABLES": "glibc.malloc.check=3", "PATH": "{dir}"}


@needs_root
def test_no_variable_of_the_agent_loads_code_into_a_command(make_warden):
    w = hostile.open_door(make_warden)
    mark = place_evil(w, "evil")
    lib, source = w.work / "evil.so", w.dir / "evil.c"
    source.write_text('#include <fcntl.h>\n__attribute__((constructor)) static void go(void) { open("%s", O_CREAT, 0600); }\n'
                      'unsigned la_version(unsigned v) { return v; }\n' % mark)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(lib), str(source)], check=True)
    for module in ("sitecustomize.py", "usercustomize.py", "encodings.py"):
        (w.work / module).write_text(f"open({str(mark)!r}, 'w')\n")
    (w.work / "evil.pm").write_text(f"open(F, '>', '{mark}'); 1;\n")
    values = {name: text.format(lib=lib, dir=w.work, script=w.work / "evil", mark=mark) for name, text in LOADER.items()}
    env = w.agent_env(**values)
    seen = w.run("env", env=env, uid=AGENT_UID).stdout.decode()
    names = {line.split("=")[0] for line in seen.splitlines()}
    assert names & set(LOADER) == {"PATH"} and str(w.work) + "\n" not in seen.replace(f"HOME={w.work}\n", "")
    for words in (["bash", "-c", "ls /"], ["sh", "-x", "-c", "ls /"], ["python3", "-c", "import os"], ["perl", "-e", "1"],
                  ["git", "--version"], ["git", "-C", "/", "status"]):
        w.run(*words, env=env, uid=AGENT_UID)
    assert not mark.exists()
    dropped = w.decisions()[-1]["env_dropped"]
    assert set(LOADER) - {"PATH"} <= set(dropped)


def test_odd_environments_are_dropped_and_not_misread(make_warden):
    """A name twice, no name, no '=', control bytes, and a name that is allowed with a value that is not one."""
    w = make_warden(hostile.EVERYTHING)
    env = ["PATH=/evil", "PATH=/evil2", "=x", "LD_PRELOAD", "LD_PRELOAD =/evil", " LD_PRELOAD=/evil", "LANG\n=C", "HOME=/tmp",
           "HOME=/evil", "\udcff=1", ""]
    read, write = os.pipe()
    with wire.Conn(w.socket) as c:
        c.send(wire.v2_request("cat", "/proc/self/environ", env=env)).go().hand_over([0, write, write])
        assert c.exit()[:2] == (0, 0)
    seen = os.read(read, 9000)
    os.close(read)
    os.close(write)
    assert b"evil" not in seen.replace(b"HOME=/evil", b"") and b"LD_PRELOAD" not in seen
    assert seen.count(b"PATH=") == 1 and seen.count(b"HOME=") <= 1


# ---- between the judgement and the start ----

def asked_script(w, script):
    """`sh SCRIPT`, asked about and not yet answered."""
    p = w.popen("sh", str(script), uid=AGENT_UID)
    return p, w.wait_queue()[0]["id"]


@needs_root
@pytest.mark.parametrize("how", ["written", "renamed over", "directory swapped", "link swapped", "removed"])
def test_a_script_changed_after_it_was_shown_does_not_run(make_warden, how):
    w = hostile.open_door(make_warden, ASKS)
    here = w.work / "d"
    here.mkdir()
    (here / "good").write_text("echo good\n")
    script = here / "script"
    script.symlink_to("good") if how == "link swapped" else script.write_text("echo good\n")
    p, id = asked_script(w, script)
    mark = place_evil(w, "evil")
    if how == "written":
        script.write_text((w.work / "evil").read_text())
    elif how == "renamed over":
        (w.work / "evil").rename(script)
    elif how == "directory swapped":
        here.rename(w.work / "old")
        here.mkdir()
        (w.work / "evil").rename(script)
    elif how == "link swapped":
        script.unlink()
        script.symlink_to("../evil")
    else:
        script.unlink()
    assert w.approve(id).returncode == 0
    out, errors = p.communicate(timeout=20)
    assert p.returncode in (125, 126) and out == b"" and b"changed" in errors, errors
    assert not mark.exists()


@needs_root
def test_a_script_held_open_for_writing_does_not_run(make_warden):
    """Its content is what was shown, until whoever has it open writes."""
    w = hostile.open_door(make_warden, ASKS)
    script = w.work / "script"
    script.write_text("echo good\n")
    os.chown(script, AGENT_UID, AGENT_UID)
    p, id = asked_script(w, script)
    with open(script, "r+"):
        assert w.approve(id).returncode == 0
        out, errors = p.communicate(timeout=20)
    assert p.returncode == 125 and out == b"" and b"open for writing" in errors
