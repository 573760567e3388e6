# SPDX-License-Identifier: MIT
"""clawrden-gate as the entry point of a container: everything that starts in there is judged, and process 1 does its duties."""
import json
import os
import subprocess
import time

import pytest

from conftest import BIN, DOCKER, IMAGE, patient, wait_for

POLICY = """\
default_action: allow
allowed_paths: ["/*"]
unknown_executable: deny
rules:
  - {name: no-date, command: date, action: deny, reason: time is not told here}
  - {name: ask-uname, command: uname, action: ask, approval_timeout: 60s}
"""
ENTRY = "/clawrden/bin/clawrden-gate"
# Ways to run a container, from open to shut.
WAYS = {
    "root": ["-u", "0"],
    "uid 1000": ["-u", "1000"],
    "root, no capabilities": ["-u", "0", "--cap-drop", "ALL"],
    "shut": ["-u", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/tmp:exec"],
    "shut, root": ["-u", "0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/tmp:exec"],
    "user's init": ["-u", "1000", "--init"],
}
some_ways = pytest.mark.parametrize("way", ["root", "shut"])
every_way = pytest.mark.parametrize("way", [w for w in WAYS if w != "user's init"])


class Entry:
    """Containers whose entry point is the gate."""

    def __init__(self, engine, w):
        self.engine, self.w, self.made = engine, w, []

    def options(self, *more):
        return ["--init=false", "-v", f"{self.w.socket.parent}:/var/run/clawrden:ro", "-v",
                f"{(BIN / 'clawrden-gate').resolve()}:{ENTRY}:ro", "-w", "/tmp", "--entrypoint", ENTRY, *more]

    def docker(self, *args, **kw):
        return self.engine.docker(*args, **kw)

    def run(self, way, *command, options=(), timeout=60):
        """In the foreground: stdout, stderr and the exit status are the agent's."""
        argv = [DOCKER, "-H", f"unix://{self.engine.socket}", "run", "--rm", *self.options(*WAYS[way], *options), IMAGE, "--", *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout)

    def start(self, way, *command, options=()):
        id = self.engine.text("run", "-d", *self.options(*WAYS[way], *options), IMAGE, "--", *command)
        self.made.append(id)
        return id

    def logs(self, id):
        done = self.docker("logs", id)
        return (done.stdout + done.stderr).decode()

    def state(self, id):
        return json.loads(self.engine.text("inspect", id))[0]["State"]

    def wait(self, id, timeout=30):
        wait_for(lambda: not self.state(id)["Running"], timeout, "the container has ended")
        return self.state(id)["ExitCode"]

    def exec(self, id, *argv, options=()):
        done = self.docker("exec", *options, id, *argv, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    def close(self):
        for id in self.made:
            self.docker("rm", "-f", id, check=False)


@pytest.fixture
def entry(engine, make_warden):
    made = []

    def make(policy=POLICY, **kw):
        made.append(Entry(engine, make_warden(policy, **kw)))
        return made[-1]

    yield make
    for e in made:
        e.close()


def by_command(w, name):
    return [d for d in w.decisions() if d["command"] == name]


# ---- it judges ----

@every_way
def test_what_starts_is_judged(entry, way):
    e = entry()
    done = e.run(way, "sh", "-c", "id -u; date; echo $?; /usr/bin/date; cp /usr/bin/date /tmp/d; /tmp/d; echo $?; exit 5")
    uid = "0" if "root" in way else "1000"
    assert done.stdout == f"{uid}\n126\n126\n", done
    assert done.returncode == 5
    assert done.stderr.count("clawrden: refused by no-date") == 2 and "unknown_executable" in done.stderr
    decided = e.w.decisions()
    assert [d["decision"] for d in decided if d["command"] in ("date", "d")] == ["deny"] * 3
    assert all(d["uid"] == int(uid) and d["reported_by"] == "gate" for d in decided)
    assert all(d["container"] for d in decided), "the engine's container is on record"


@every_way
def test_a_person_is_asked(entry, way):
    e = entry()
    id = e.start(way, "sh", "-c", "uname; echo $?")
    q = e.w.wait_queue()[0]
    assert e.w.approve(q["id"]).returncode == 0
    assert e.wait(id) == 0 and e.logs(id) == "Linux\n0\n"


def test_the_agent_itself_is_judged(entry):
    e = entry()
    done = e.run("uid 1000", "date")
    assert done.returncode == 126 and "no-date" in done.stderr


@pytest.mark.parametrize("executor", ["mirror", "ghost"])
def test_an_executor_outside_is_refused_with_words(entry, executor):
    e = entry(POLICY + f"  - {{name: away, command: ls, action: allow, executor: {executor}}}\n")
    done = e.run("uid 1000", "sh", "-c", "ls /; echo $?")
    assert done.stdout == "125\n" and f"names the executor '{executor}'" in done.stderr


def test_rules_know_the_container(entry):
    e = entry(POLICY + "  - {name: blue, command: id, labels: {agent: blue}, action: deny}\n"
                       "  - {name: named, command: ls, container: 'cl-entry-*', action: deny}\n")
    done = e.run("uid 1000", "sh", "-c", "id; ls /", options=("--label", "agent=blue", "--name", f"cl-entry-{os.getpid()}"))
    assert "refused by blue" in done.stderr and "refused by named" in done.stderr and done.stdout == "", done
    done = e.run("uid 1000", "sh", "-c", "id -u; ls -d /", options=("--label", "agent=red"))
    assert done.stdout == "1000\n/\n", done


def test_a_gate_at_a_door_of_another_prisoner_is_refused(engine, make_warden, tmp_path):
    doors = {k: tmp_path / k for k in ("mine", "theirs")}
    w = make_warden(POLICY, door=f"mine={doors['mine']};theirs={doors['theirs']}")
    e = Entry(engine, w)

    def run(door):
        argv = [DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", "--name", "mine", "--init=false", "-u", "1000",
                "-v", f"{door}:/var/run/clawrden:ro", "-v", f"{(BIN / 'clawrden-gate').resolve()}:{ENTRY}:ro",
                "--entrypoint", ENTRY, IMAGE, "--", "sh", "-c", "echo ran"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60)

    done = run(doors["mine"])
    assert done.stdout == "ran\n", done
    done = run(doors["theirs"])
    assert done.returncode == 125 and done.stdout == "" and "this socket belongs to 'theirs'" in done.stderr
    e.close()


# ---- what the agent tries ----

@every_way
def test_the_gate_is_out_of_the_agents_reach(entry, way):
    e = entry()
    done = e.run(way, "sh", "-c", "kill -9 1; kill -STOP 1; cat /proc/1/environ | wc -c; ls -l /proc/1/fd 2>&1 | grep -c socket; "
                 "(: < /proc/1/mem) 2>/dev/null && echo readable; echo alive")
    assert done.stdout.endswith("alive\n") and "readable" not in done.stdout, done
    # With its own capabilities root may list what it cannot use.
    if way != "root":
        assert done.stdout.splitlines()[:2] == ["0", "0"], done


@some_ways
def test_the_sockets_directory_takes_no_other_socket(entry, way):
    e = entry()
    done = e.run(way, "python3", "-c", "import os, socket\nfor n in ('warden.sock', 'x'):\n"
                 "    try: os.rename('/var/run/clawrden/warden.sock', '/var/run/clawrden/y')\n    except OSError as x: print(x.errno)\n"
                 "    try: socket.socket(socket.AF_UNIX).bind('/var/run/clawrden/' + n)\n    except OSError as x: print(x.errno)\n")
    assert set(done.stdout.split()) <= {"30", "98", "13"} and len(done.stdout.split()) == 4, done


def test_a_gate_inside_is_refused(entry):
    e = entry()
    done = e.run("uid 1000", "sh", "-c", f"{ENTRY} exec -- id; echo $?; {ENTRY} -- id; echo $?")
    assert done.stdout == "125\n125\n" and done.stderr.count("another gate stands above this one") == 2


# ---- beside the tree ----

@pytest.mark.parametrize("way", ["root", "uid 1000", "shut"])
def test_docker_exec_is_outside_unless_it_brings_a_gate(entry, way):
    e = entry()
    id = e.start(way, "sleep", "1000")
    wait_for(lambda: by_command(e.w, "sleep"))
    code, out = e.exec(id, "date", "+%s")
    assert code == 0 and out.strip().isdigit(), "not judged: the documentation says so"
    code, out = e.exec(id, ENTRY, "exec", "--", "date")
    assert code == 126 and "refused by no-date" in out
    code, out = e.exec(id, ENTRY, "exec", "--", "sh", "-c", "id -u; exit 3")
    assert code == 3 and out.strip() == ("0" if way == "root" else "1000")
    # As another user than the agent's too.
    code, out = e.exec(id, ENTRY, "exec", "--", "sh", "-c", "id -u; date", options=("-u", "0"))
    assert code == 126 and out.startswith("0\n") and "no-date" in out, out
    assert e.state(id)["Running"]


def test_a_health_check_through_the_gate(entry):
    e = entry()
    id = e.start("uid 1000", "sleep", "1000", options=("--health-cmd", f"{ENTRY} exec -- id -u", "--health-interval", "1s"))
    wait_for(lambda: e.state(id)["Health"]["Status"] == "healthy", 30)
    assert by_command(e.w, "id")


# ---- process 1 ----

@some_ways
def test_docker_stop_reaches_the_agent(entry, way):
    e = entry()
    id = e.start(way, "sh", "-c", "trap 'echo stopping; exit 6' TERM; echo ready; while :; do sleep 0.2; done")
    wait_for(lambda: "ready" in e.logs(id))
    started = time.monotonic()
    e.docker("stop", "-t", "30", id)
    assert time.monotonic() - started < patient(20) and e.state(id)["ExitCode"] == 6 and "stopping" in e.logs(id)


@pytest.mark.parametrize("signo,code", [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131), ("USR1", 138)])
def test_a_signal_that_ends_the_agent_is_the_containers_status(entry, signo, code):
    e = entry()
    id = e.start("uid 1000", "sleep", "1000")
    wait_for(lambda: by_command(e.w, "sleep"))
    e.docker("kill", "-s", signo, id)
    assert e.wait(id) == code


def test_docker_stop_while_it_waits_for_its_warden(entry):
    e = entry()
    e.w.stop()
    id = e.start("shut", "sh", "-c", "echo ran")
    wait_for(lambda: "waiting for the warden's socket, 30 s at most" in e.logs(id))
    started = time.monotonic()
    e.docker("stop", "-t", "25", id)
    assert time.monotonic() - started < patient(15) and e.state(id)["ExitCode"] == 143 and "ran" not in e.logs(id)


@pytest.mark.parametrize("way", ["root", "shut", "user's init"])
def test_orphans_are_reaped(entry, way):
    e = entry()
    code = ("import os, time\n"
            "for i in range(200):\n"
            "    if os.fork() == 0:\n"
            "        if os.fork() == 0: os._exit(0)\n"
            "        os._exit(0)\n"
            "    os.wait()\n"
            "def zombies():\n"
            "    n = 0\n"
            "    for p in os.listdir('/proc'):\n"
            "        if p.isdigit():\n"
            "            try: n += open('/proc/%s/stat' % p).read().rsplit(')', 1)[1].split()[0] == 'Z'\n"
            "            except OSError: pass\n"
            "    return n\n"
            "end = time.time() + 10\n"
            "while zombies() and time.time() < end: time.sleep(0.05)\n"
            "print('zombies', zombies())\n")
    done = e.run(way, "python3", "-c", code)
    assert done.stdout == "zombies 0\n", done


def test_what_the_agent_leaves_ends_with_it(entry):
    e = entry()
    done = e.run("uid 1000", "sh", "-c", "(setsid sleep 1000 &); echo bye", timeout=30)
    assert done.stdout == "bye\n" and done.returncode == 0


def test_a_terminal_is_the_agents(entry):
    e = entry()
    id = e.start("uid 1000", "sh", "-c", "tty; test -t 0 && echo terminal", options=("-t",))
    assert e.wait(id) == 0
    assert "terminal" in e.logs(id)


# ---- its warden ----

def test_it_waits_for_the_warden(entry):
    e = entry()
    e.w.stop()
    id = e.start("shut", "sh", "-c", "echo ran")
    wait_for(lambda: "waiting for the warden's socket" in e.logs(id))
    e.w.start()
    assert e.wait(id) == 0 and "ran" in e.logs(id)


def test_the_wait_has_an_end(entry):
    e = entry()
    e.w.stop()
    argv = [DOCKER, "-H", f"unix://{e.engine.socket}", "run", "--rm", *e.options(*WAYS["shut"]), IMAGE, "--wait", "1", "--", "sh", "-c", "echo ran"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 125 and done.stdout == "" and "cannot reach the warden" in done.stderr


@some_ways
def test_the_warden_goes_and_comes_back(entry, way):
    e = entry()
    script = ("import subprocess, time\n"
              "while True:\n"
              "    print(subprocess.run(['true'], stderr=subprocess.PIPE).returncode, flush=True); time.sleep(0.1)\n")
    id = e.start(way, "python3", "-c", script)
    last = lambda: e.docker("logs", "--tail", "5", id).stdout.decode().splitlines()[-1:]
    wait_for(lambda: last() == ["0"])
    e.w.kill()
    wait_for(lambda: last() == ["125"], 20)
    assert e.state(id)["Running"]
    e.w.start()
    wait_for(lambda: last() == ["0"], 20)
    assert "the warden is gone: every program is refused until it is back" in e.logs(id)
    assert "the warden is back" in e.logs(id)
