# SPDX-License-Identifier: MIT
"""The gate as entry point of a container whose tools the shim is mounted over: nothing starts before they are covered, and what is
covered runs in place, judged once."""
import os
import shutil
import subprocess

import pytest

from conftest import BIN, DOCKER, IMAGE, system, wait_for
from test_entry import POLICY, Entry, by_command, entry  # noqa: F401  (a fixture)

LABELS = ("--label", "clawrden.enabled=true", "--label", "clawrden.mode=hardened", "--label")
HARD = (*LABELS, "clawrden.cmds=id,uname,date,git,python3,kubectl,ls,sleep,env")
some_ways = pytest.mark.parametrize("way", ["root", "shut"])


def slow(values):
    return pytest.param(*values, marks=pytest.mark.slow)


def mounted(w):
    return [r for r in w.records_of("jail") if r["what"] == "mounted"]


def words(*script):
    return ("sh", "-c", "; ".join(script))


# ---- a covered tool ----

@some_ways
def test_covered_from_its_first_instruction_and_judged_once(entry, way):
    e = entry()
    done = e.run(way, *words("grep -c CLAWRDEN-SHIM /usr/bin/id", "id -u", "/usr/bin/id -u", "exec id -u"), options=HARD)
    uid = "0" if "root" in way else "1000"
    assert done.returncode == 0 and done.stdout.split() == ["1", uid, uid, uid], (done, e.w.log())
    ids = by_command(e.w, "id")
    assert [(d["decision"], d["executor"], d["reported_by"], d["uid"]) for d in ids] == [("allow", "inplace", "gate", int(uid))] * 3, ids
    assert any(r["words"] == "its gate waited for it" and "/usr/bin/id" in r["commands"] for r in mounted(e.w))


def test_it_is_the_tool_in_every_respect(entry):
    e = entry()
    done = e.run("uid 1000", "bash", "-c", """
        exec 3</dev/null 4</dev/null 7</dev/null
        cd /usr; echo in | env -u HOME A=b bash -c 'read x; echo $x $A ${HOME-none} $PWD; ls -l /proc/self/fd | grep -c :'
        sleep 100 & p=$!; until grep -qx sleep /proc/$p/comm; do :; done; tr '\\0' ' ' </proc/$p/cmdline; echo; readlink /proc/$p/exe
        kill -TERM $p; wait $p; echo $?
        ls /nowhere 2>/dev/null; echo $?""", options=HARD)
    lines = done.stdout.splitlines()
    # 0, 1, 2, 3, 4, 7 and that of the directory: nothing of ours is left open.
    assert lines == ["in b none /usr", "7", "sleep 100 ", "/usr/bin/sleep", "143", "2"], (done, e.w.log())


def test_what_is_denied_is_denied_by_every_path_and_once(entry):
    e = entry()
    ways = ["date", "/usr/bin/date", "/bin/date", "/proc/self/root/usr/bin/date", "cd /usr/bin && ./date", "exec 9</usr/bin/date; /proc/self/fd/9",
            "env -i /usr/bin/date", "exec -a id /usr/bin/date"]
    for script in ways:
        done = e.run("uid 1000", "bash", "-c", script, options=HARD)
        assert done.returncode == 126 and not done.stdout and "refused by no-date" in done.stderr, (script, done)
    denied = [d for d in e.w.decisions() if d["decision"] == "deny"]
    assert [d["rule"] for d in denied] == ["no-date"] * len(ways), denied


@some_ways
def test_a_person_is_asked_and_nothing_of_it_runs_before(entry, way):
    e = entry()
    id = e.start(way, *words("uname", "echo $?"), options=HARD)
    q = e.w.wait_queue()[0]
    assert q["command"] == "uname" and len(e.w.queue()) == 1
    assert e.w.approve(q["id"]).returncode == 0
    assert e.wait(id) == 0 and e.logs(id) == "Linux\n0\n"


def test_what_is_a_link_leads_to_its_tool_or_script_under_its_own_name(entry, engine):
    """As npm is one: a link in /usr/bin to a script elsewhere, whose interpreter is covered too; and as awk is one: to another tool."""
    e = entry(POLICY + "  - {name: no-publish, command: hello, args: [publish], action: deny}\n"
                       "  - {name: no-name, command: whoisit, args: [-n], action: deny}\n")
    name = f"clawrden-linked-{os.getpid()}"
    made = engine.text("run", "-d", "-u", "0", IMAGE, "sh", "-c",
                       "mkdir -p /usr/share/hello && printf '#!/usr/bin/python3\\nimport sys\\nprint(sys.argv[1:])\\n' >/usr/share/hello/cli.py && "
                       "chmod 755 /usr/share/hello/cli.py && ln -s ../share/hello/cli.py /usr/bin/hello && ln -s /etc/whoisit /usr/bin/whoisit && "
                       "ln -s /usr/bin/id /etc/whoisit")
    engine.docker("wait", made)
    engine.docker("commit", made, name)
    engine.docker("rm", made)
    try:
        argv = [DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", "-u", "1000", *e.options(*LABELS, "clawrden.cmds=hello,python3,id,whoisit"), name, "--",
                *words("hello you", "hello publish", "echo $?", "whoisit -u", "/usr/bin/whoisit -n -u", "echo $?")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.stdout == "['you']\n126\n1000\n126\n", (done, e.w.log())
        assert "refused by no-publish" in done.stderr and "refused by no-name" in done.stderr, done
        assert [(d["command"], d["decision"]) for d in e.w.decisions() if d["command"] not in ("sh", "python3")] == [("hello", "allow"), ("hello", "deny"), ("whoisit", "allow"), ("whoisit", "deny")]
    finally:
        engine.docker("rmi", "-f", name)


@pytest.mark.slow
def test_many_at_once(entry):
    e = entry()
    done = e.run("uid 1000", "bash", "-c", "for i in $(seq 40); do (id -u; exec id -g) & done; wait", options=HARD, timeout=120)
    assert set(done.stdout.split()) <= {"0", "1000"} and len(done.stdout.split()) == 80 and len(by_command(e.w, "id")) == 80


# ---- beside the tree ----

def test_what_stands_beside_the_tree_meets_the_shim(entry):
    e = entry(POLICY + "  - {name: known, command: id, action: allow}\n")
    id = e.start("uid 1000", "sleep", "1000", options=HARD)
    wait_for(lambda: by_command(e.w, "sleep"), what="the agent runs")
    code, out = e.exec(id, "/usr/bin/id", "-u")
    assert (code, out) == (0, "1000\n"), (out, e.w.log())
    code, out = e.exec(id, "/usr/bin/date")
    assert code != 0 and "no-date" in out
    code, out = e.exec(id, "/clawrden/bin/clawrden-gate", "exec", "--", "/usr/bin/id", "-u")
    assert (code, out) == (0, "1000\n"), (out, e.w.log())
    assert [d["executor"] for d in by_command(e.w, "id")] == ["mirror", "inplace"]


# ---- it waits for it, and without it there is no agent ----

def test_no_start_is_seen_before_it_is_covered(entry):
    """What the agent starts first of all is the covered tool, ten times: each meets the cover, none runs past it."""
    e = entry()
    for i in range(10):
        done = e.run("uid 1000", "/usr/bin/date", options=HARD)
        assert done.returncode == 126 and not done.stdout, (i, done)
    assert len(by_command(e.w, "date")) == 10
    for i in range(3):
        done = e.run("uid 1000", *words("read -r x < /usr/bin/uname", "exec grep -c CLAWRDEN-SHIM /usr/bin/uname"), options=HARD)
        assert done.stdout == "1\n", (i, done)


@pytest.mark.parametrize("labels,said", [
    (("--label", "clawrden.enabled=true", "--label", "clawrden.mode=HARDENED", "--label", "clawrden.cmds=id"), "clawrden.mode is plain or hardened"),
    slow((("--label", "clawrden.enabled=1", "--label", "clawrden.mode=hardened", "--label", "clawrden.cmds=id"), "clawrden.enabled is true or false")),
    slow(((*LABELS, "clawrden.cmds=id,,ls"), "clawrden.cmds: name 2")), slow(((*LABELS, "clawrden.cmds=id", "--label", "clawrden.jail=../x"), "clawrden.jail")),
    ((*LABELS, "clawrden.cmds=" + "x," * 9000), "clawrden.cmds is too long"),
    ((*(x for i in range(90) for x in ("--label", f"a{i}=b")), *LABELS, "clawrden.cmds=../id"), "clawrden.cmds: name 1"),
    ((*LABELS, "clawrden.cmds=../sh"), "clawrden.cmds: name 1"), ((*LABELS, "clawrden.x=y"), "clawrden.cmds is missing"),
    ((*LABELS, "clawrden.cmds=" + ",".join(f"t{i:03}" for i in range(300))), "more than")])
def test_a_jail_that_cannot_be_ends_it_with_words(entry, labels, said):
    e = entry()
    done = e.run("uid 1000", "id", options=labels)
    assert done.returncode == 125 and not done.stdout and "the warden refuses this gate" in done.stderr and said in done.stderr, (done, e.w.log())
    assert not e.w.decisions()


@pytest.mark.slow
def test_a_warden_that_cannot_cover_has_no_agent(entry):
    e = entry(mirror="docker")
    done = e.run("uid 1000", "id", options=HARD)
    assert done.returncode == 125 and "the warden refuses this gate" in done.stderr and "no tool of theirs can be covered" in done.stderr, done
    assert e.run("uid 1000", "id", "-u").stdout == "1000\n"


@pytest.mark.slow
def test_a_warden_without_a_shim_has_no_agent_where_it_would_be_covered(engine, tmp_path):
    alone = shutil.copy((BIN / "clawrden-warden").resolve(), tmp_path)  # where no shim lies beside it
    w = system.Warden(POLICY, {"engine": engine.socket, "socket_mode": "0666"}, program=alone)
    try:
        e = Entry(engine, w)
        done = e.run("uid 1000", "id", "-u", options=HARD)
        assert done.returncode == 125 and not done.stdout and "tools are not covered" in done.stderr, (done, w.log())
        assert e.run("uid 1000", "id", "-u").stdout == "1000\n"
    finally:
        w.close()


HELLO = """
import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.connect("/var/run/clawrden/warden.sock")
body = struct.pack(">II", 1, %d) + b"\\0"
s.sendall(b"CLAWRDG1" + struct.pack(">B3xI", 1, len(body)) + body)
s.settimeout(20)
head = s.recv(8); print(hex(head[0]), s.recv(4096))
"""


@pytest.mark.parametrize("flags,kind", [(32, "0x82"), (96, "0x8a")])
def test_a_gate_of_an_older_version_is_refused_with_words(entry, engine, flags, kind):
    e = entry()
    id = engine.text("run", "-d", "-u", "1000", "--entrypoint", "sleep", "-v", f"{e.w.socket.parent}:/var/run/clawrden:ro", *HARD, IMAGE, "1000")
    e.made.append(id)
    # Past the shims: a program of the image whose name is not covered, with the arguments of one that is.
    code, out = e.exec(id, "/lib64/ld-linux-x86-64.so.2", "/usr/bin/bash", "-c", "exec -a python3 $(readlink -f /usr/bin/python3) -c \"$0\"", HELLO % flags)
    assert out.startswith(kind), (out, e.w.log())
    assert kind == "0x8a" or "too old" in out


# ---- later ----

@pytest.mark.slow
def test_what_is_covered_later_runs_too_and_the_warden_may_go_and_come_back(entry):
    e = entry(POLICY + "jails: {gold: {commands: [id], labels: {tier: gold}, mode: hardened}}\n")
    id = e.start("uid 1000", *words("while :; do id -u; wc -c </dev/null; sleep 0.2; done"), options=("--label", "tier=gold"))
    wait_for(lambda: len(by_command(e.w, "wc")) > 1, what="it runs")
    e.w.set_policy(POLICY + "jails: {gold: {commands: [id, wc, kubectl], labels: {tier: gold}, mode: hardened}}\n")
    e.w.cli("policy", "reload", check=True)
    wait_for(lambda: "/usr/bin/wc" in mounted(e.w)[-1]["commands"], what="wc is covered")
    before = len(e.logs(id).split())
    wait_for(lambda: len(e.logs(id).split()) > before + 6, what="both go on")
    assert set(e.logs(id).split()[before + 2:]) == {"1000", "0"}, (e.logs(id), e.w.log())
    e.w.restart()
    wait_for(lambda: "the warden is back" in e.logs(id), what="the gate is back")
    ids = e.logs(id).split().count("1000")
    refused = e.logs(id).count("not run")
    wait_for(lambda: e.logs(id).split().count("1000") > ids + 3, what="they run again")
    assert e.logs(id).count("not run") == refused, e.logs(id)
    # What asked in the moment between cover and news, or while no warden was there, was refused, in place or not at all.
    assert {d["executor"] for d in by_command(e.w, "wc") if d["decision"] == "allow"} == {"inplace"}


def test_a_jail_may_have_as_many_commands_as_a_jail_may(entry):
    e = entry()
    tools = [f"t{i:03}" for i in range(246)] + ["ls", "env", "id", "uname", "date", "sleep", "head", "wc", "cat", "sort"]
    e.w.cli("jails", "create", "big", "--mode", "hardened", "--containers", "big-*", *tools, check=True)
    done = e.run("uid 1000", *words("date", "id -u", "sort </dev/null"), options=("--name", f"big-{os.getpid()}"))
    assert done.stdout == "1000\n" and "no-date" in done.stderr, (done, e.w.log())
    (r,) = [r for r in mounted(e.w) if r["words"] == "its gate waited for it"]
    assert {"/usr/bin/" + t for t in tools[246:]} <= set(r["commands"])
    done = e.w.cli("jails", "set", "big", *tools, "one-more")
    assert done.returncode != 0 and "256" in done.stderr, done


# ---- in the moment between cover and tool ----

def test_without_room_for_a_descriptor_it_says_so_and_does_not_run(entry):
    e = entry()
    done = e.run("uid 1000", "bash", "-c", "(ulimit -n 3; exec id -u); echo $?; id -u", options=HARD)
    assert done.stdout == "126\n1000\n" and done.stderr == "clawrden: not run: what lies below its cover cannot be executed\n", done


@pytest.mark.slow
def test_signals_in_that_moment_change_nothing(entry):
    """Killed, stopped and let go on while it starts, over and over: what was denied never runs, and the tree goes on."""
    e = entry()
    done = e.run("uid 1000", "bash", "-c", """
        for s in KILL STOP CONT TERM; do
            for i in $(seq 25); do
                date & p=$!
                for k in 1 2 3 4 5; do kill -$s $p; done 2>/dev/null
                id -u >/dev/null & q=$!
                for k in 1 2 3 4 5; do kill -$s $q; done 2>/dev/null
                kill -CONT $p $q 2>/dev/null
                wait $p $q
            done
        done 2>/dev/null
        id -u""", options=HARD, timeout=200)
    assert done.stdout == "1000\n" and done.returncode == 0, (done, e.w.log())
    assert {d["decision"] for d in by_command(e.w, "date")} == {"deny"}


# ---- root inside ----

SYSCALL = "python3 -c 'import ctypes, sys; l = ctypes.CDLL(None); sys.exit(0 if l.%s == 0 else 1)'"
ATTACKS = {
    "umount": "umount {t}", "umount -l": "umount -l {t}", "umount2": SYSCALL % 'umount2(b"{t}", 2)',
    "mount over it": "cp /bin/true /tmp/true; mount --bind /tmp/true {t}", "rename over it": "cp /bin/true {t}.new && mv -f {t}.new {t}",
    "exchange": "cp /bin/true {t}.new; " + SYSCALL % 'syscall(316, -100, b"{t}.new", -100, b"{t}", 2)', "remove": "rm -f {t}", "write": "cp /bin/true {t}",
    "a namespace of its own": "unshare -m umount {t}", "a user namespace": "unshare -Ur -m umount {t}", "bind the root elsewhere": "mkdir -p /tmp/r; mount --bind / /tmp/r",
    "open_tree": "python3 -c 'import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(428, -100, b\"/\", 1) >= 0 else 1)'",
    "the gate's descriptors": "for f in /proc/1/fd/*; do readlink $f && exit 0; ls $f/date && exit 0; done; exit 1", "the gate's memory": "head -c 1 /proc/1/mem", "a link to the shim": "ln {t} /tmp/l",
}


def test_root_inside_cannot_undo_it(entry):
    e = entry()
    tries = "".join(f"echo {i}; ({s.format(t='/usr/bin/date')}) >/dev/null 2>&1 && echo {i} worked\n" for i, s in enumerate(ATTACKS.values()))
    done = e.run("root", "sh", "-c", tries + "date; echo $?; mv /usr/bin /usr/nib; /usr/nib/date; echo $?; exec /usr/nib/grep -c CLAWRDEN-SHIM /usr/nib/date", options=HARD, timeout=120)
    assert "worked" not in done.stdout, [l for l in done.stdout.splitlines() if "worked" in l] + list(enumerate(ATTACKS))
    # With its directory moved the name is gone, so it may be unknown, but never past the gate.
    assert done.stdout.split()[len(ATTACKS):] in (["126", "126", "1"], ["126", "1", "1"]) or done.stdout.split()[-1] == "1", done
    assert [d["decision"] for d in by_command(e.w, "date")][:1] == ["deny"]
