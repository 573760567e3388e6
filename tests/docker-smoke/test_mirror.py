# SPDX-License-Identifier: MIT
"""A governed command runs in its container as what `docker exec` starts there: same ids, limits, walls; nothing more."""
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from conftest import OPEN, patient, system, wait_for

# What a process can say of itself, as JSON.
FACTS = r"""
import ctypes, json, os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
keep = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
        "SigBlk", "SigIgn", "Umask", "Cpus_allowed", "Mems_allowed_list")
libc = ctypes.CDLL(None, use_errno=True)
def call(n):
    ctypes.set_errno(0)
    libc.syscall(n, 0, 0, 0, 0, 0)
    return ctypes.get_errno()
def label():
    try: return open("/proc/self/attr/current").read()
    except OSError: return "no security module that labels"
fds = [n for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)]
print(json.dumps({
    # Signals 32 and 33 are the C library's own; whoever started the engine may have left them ignored.
    "status": {k: status[k].strip() for k in keep if k in status} | {"SigIgn": int(status["SigIgn"], 16) & ~(3 << 31)},
    "limits": open("/proc/self/limits").read(),
    "cgroups": open("/proc/self/cgroup").read(),
    "namespaces": {n: os.readlink("/proc/self/ns/" + n) for n in sorted(os.listdir("/proc/self/ns"))},
    "root": os.stat("/").st_ino, "cwd": os.getcwd(), "oom": open("/proc/self/oom_score_adj").read(),
    "nice": os.nice(0), "clone3": call(435), "keyctl": call(250), "unshare": call(272), "mount": call(165),
    "label": label(), "ppid": os.getppid(), "fds": sorted(fds), "personality": open("/proc/self/personality").read() if os.path.exists("/proc/self/personality") else "",
    "env": dict(os.environ)}))
"""


def facts(run):
    done = run("python3", "-c", FACTS)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def compare(c, **kw):
    plain, ours = facts(lambda *a: c.exec(*a, **kw)), facts(lambda *a: c.run(*a, **kw))
    for key in ("status", "limits", "namespaces", "root", "cwd", "oom", "nice", "clone3", "keyctl", "unshare", "mount", "ppid",
                "label", "fds", "personality"):
        assert ours[key] == plain[key], key
    # The same cgroups; in version 2 one of its own below the container's.
    for a, b in zip(ours["cgroups"].splitlines(), plain["cgroups"].splitlines()):
        if a.startswith("0::"):
            assert re.fullmatch(re.escape(b.rstrip("/")) + r"/clawrden-\d+-\d+", a), (a, b)
        else:
            assert a == b
    assert set(ours["env"]) - {"CLAWRDEN_SOCKET"} == set(plain["env"])
    return ours


SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}


@pytest.mark.parametrize("options, user", [
    ([], "1000"), ([], "0"), ([], "1000:44"),
    (["--security-opt", "no-new-privileges"], "1000"),
    (["--security-opt", "seccomp=unconfined"], "1000"),
    (["--cap-drop", "ALL"], "0"), (["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN"], "0"),
    (["--ulimit", "nofile=77:99", "--ulimit", "nproc=5000:6000", "--ulimit", "core=0:0"], "1000"),
    (["--cpuset-cpus", "0", "-m", "256m", "--pids-limit", "200", "--cpu-shares", "512"], "1000"),
    (["--group-add", "55", "--group-add", "66"], "1000"),
    (["--oom-score-adj", "345", "--read-only", "--tmpfs", "/tmp"], "1000"),
    (["--ipc", "private", "--hostname", "prisoner", "--cgroupns", "private"], "1000"),
], ids=str)
def test_parity_with_docker_exec(make_container, options, user):
    c = make_container(*options, user=user)
    ours = compare(c)
    if "seccomp=unconfined" not in options:
        assert ours["clone3"] == 38 and ours["status"]["Seccomp"] == "2"  # ENOSYS: the filter cannot look into its flags


def test_a_seccomp_profile_of_ones_own_holds(make_container, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(SECCOMP))
    c = make_container("--security-opt", f"seccomp={tmp_path}/s.json", "-w", "/tmp")
    done = c.run("python3", "-c", "import os\ntry: os.mkdir('/tmp/x')\nexcept OSError as e: print(e.errno)")
    assert done.stdout == b"95\n"
    compare(c)


def test_the_umask_is_the_callers(make_container):
    c = make_container()
    done = c.exec("sh", "-c", "umask 0137; exec /opt/shims/sh -c umask", env=c.ENV)
    assert done.stdout == b"0137\n"


def test_limits_of_the_caller_itself_hold(make_container):
    c = make_container()
    done = c.exec("sh", "-c", "ulimit -S -n 55; ulimit -f 1234; exec /opt/shims/sh -c 'ulimit -n; ulimit -f'", env=c.ENV)
    assert done.stdout == b"55\n1234\n"


def test_the_helper_is_not_to_be_seen(warden, make_container):
    c = make_container()
    out = c.run("sh", "-c", "for p in /proc/[0-9]*; do cat $p/comm; done").stdout.split()
    assert {b"sh", b"sleep"} <= set(out) and not [x for x in out if b"clawrden" in x], out


def test_the_directory_is_the_callers(make_container):
    c = make_container()
    assert c.run("sh", "-c", "pwd; pwd -P", cwd="/usr/share").stdout == b"/usr/share\n/usr/share\n"
    c.exec("sh", "-c", "mkdir /tmp/d; ln -s /tmp/d /tmp/l")
    assert c.run("readlink", "/proc/self/cwd", cwd="/tmp/l").stdout == b"/tmp/d\n"


def test_a_directory_that_is_gone_is_refused(make_container):
    c = make_container()
    done = c.exec("sh", "-c", "mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; exec /opt/shims/true", check=False, env=c.ENV)
    assert done.returncode == 125 and b"working directory" in done.stderr


def test_a_directory_outside_is_refused(make_container, warden):
    """A descriptor of the host that got into the container, and looks by its name like one of the container."""
    c = make_container()
    script = "import os, sys; os.setns(os.open(f'/proc/{sys.argv[1]}/ns/mnt', os.O_RDONLY), 0)"
    # A process of the host that enters everything but keeps a working directory of the host with a familiar name.
    host = pathlib.Path("/app")
    made = not host.exists()
    if made:
        host.mkdir()
    try:
        code = f"""
import ctypes, os
libc = ctypes.CDLL(None)
fd = os.open("/app", os.O_PATH)
pidfd = os.pidfd_open({c.init})
for d in {[str(p) for p in system_cgroups(c.init)]!r}:
    open(d + "/cgroup.procs", "w").write("0")
assert libc.setns(pidfd, 0x20000000 | 0x20000 | 0x40000000 | 0x8000000 | 0x4000000 | (0x2000000 if os.readlink("/proc/self/ns/cgroup") != os.readlink("/proc/{c.init}/ns/cgroup") else 0)) == 0
if os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
os.fchdir(fd)
os.execve("/opt/shims/true", ["true"], {{"CLAWRDEN_SOCKET": "/run/clawrden/warden.sock"}})
"""
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, timeout=30)
        assert done.returncode == 125, (done, warden.log())
        assert b"working directory" in done.stderr or b"seccomp" in done.stderr
    finally:
        if made:
            host.rmdir()


def system_cgroups(pid):
    """Directories of a process' cgroups."""
    mounts = {}
    for line in open("/proc/self/mountinfo"):
        left, right = line.rstrip("\n").split(" - ")
        kind, _, opts = right.split(" ")[:3]
        if kind == "cgroup2":
            mounts[""] = left.split()[4]
        elif kind == "cgroup":
            for o in opts.split(","):
                mounts[o] = left.split()[4]
    for line in open(f"/proc/{pid}/cgroup"):
        _, controllers, path = line.rstrip("\n").split(":", 2)
        first = controllers.split(",")[0]
        if first in mounts:
            yield pathlib.Path(mounts[first] + path)


def test_a_lookup_has_no_more_rights_than_its_caller(make_container, make_warden):
    w = make_warden(OPEN.replace("unknown_executable: ask", "unknown_executable: deny"))
    c = make_container("--tmpfs", "/closed:mode=0700,uid=1234", "--cap-drop", "DAC_OVERRIDE", "--cap-drop", "DAC_READ_SEARCH", user="0", by=w)
    c.exec("/bin/sh", "-c", "echo 'print(1)' >/closed/x.py", user="1234")
    read = []
    for user in ("0", "1234"):
        assert c.run("python3", "/closed/x.py", user=user).returncode == 126
        found = w.decisions()[-1]
        assert found["script"] == "/closed/x.py" and found["decision"] == "deny", found
        read.append(found["executable"].get("digest"))
    assert not read[0] and read[1], "a root that may not read it had it read by the helper"


def test_scripts_run_by_their_real_path(make_container):
    """As npm: a link in /usr/bin to a script that looks beside itself."""
    c = make_container()
    c.exec("sh", "-c", "mkdir -p /usr/lib/tool/bin && cd /usr/lib/tool && echo 'MARK = 41' >mark.py && "
           "printf '#!/usr/bin/env python3\\nimport os, sys\\nsys.path.insert(0, os.path.dirname(os.path.realpath(__file__)) + \"/..\")\\n"
           "import mark\\nprint(mark.MARK + 1, sys.argv[1:])\\n' >bin/tool.py && chmod 755 bin/tool.py && ln -s ../lib/tool/bin/tool.py /usr/bin/tool"
           , user="0")
    c.add_shim("tool")
    done = c.run("tool", "a", "b c")
    assert (done.returncode, done.stdout) == (0, b"42 ['a', 'b c']\n"), done


def test_bytes_go_through_unchanged(make_container):
    c = make_container()
    data = os.urandom(3 << 20)
    assert c.run("cat", input=data).stdout == data


def test_exit_codes_and_signals(make_container):
    c = make_container()
    assert c.run("sh", "-c", "exit 37").returncode == 37
    assert c.run("sh", "-c", "kill -TERM $$").returncode == 143
    assert c.run("sh", "-c", "kill -KILL $$").returncode == 137


def test_no_such_tool(make_container):
    c = make_container()
    c.add_shim("nowhere")
    done = c.run("nowhere")
    assert done.returncode in (126, 127) and b"clawrden:" in done.stderr


# ---- walls ----

def test_a_caller_in_namespaces_of_its_own_is_refused(warden, make_container):
    c = make_container("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
    done = c.exec("unshare", "--user", "--map-root-user", "/opt/shims/id", check=False, env=c.ENV)
    assert done.returncode == 125 and b"another user namespace than its container" in done.stderr, done
    root = make_container("--cap-add", "SYS_ADMIN", user="0")
    for option, name in (("--mount", b"mount"), ("--net", b"network"), ("--uts", b"uts"), ("--ipc", b"ipc")):
        done = root.exec("unshare", option, "/opt/shims/id", check=False, env=c.ENV)
        assert done.returncode == 125 and b"another " + name + b" namespace" in done.stderr, (name, done)


def test_a_caller_under_more_filters_is_refused(make_container):
    c = make_container()
    code = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
insn = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
class Prog(ctypes.Structure): _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
p = Prog(1, ctypes.addressof(insn))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(p), 0, 0) == 0
os.execv("/opt/shims/id", ["id"])
"""
    done = c.exec("python3", "-c", code, check=False, env=c.ENV)
    assert done.returncode == 125 and b"other seccomp filters than its container" in done.stderr, done


def test_a_caller_in_another_root_is_refused(make_container):
    c = make_container(user="0")
    code = "import os; os.chdir('/'); os.chroot('/usr'); os.execve('./opt/clawrden-shim', ['id'], {'CLAWRDEN_SOCKET': 'run/clawrden/warden.sock'})"
    done = c.exec("python3", "-c", code, check=False)
    assert done.returncode == 125 and b"another root directory" in done.stderr, done


def test_containers_from_which_the_helper_could_be_reached_are_refused(warden, make_container):
    done = make_container("--cap-add", "SYS_PTRACE").run("id")
    assert done.returncode == 125 and b"SYS_PTRACE" in done.stderr
    done = make_container("--pid", "host").run("id")
    assert done.returncode == 125 and b"shares the pid namespace of this host" in done.stderr
    done = make_container("--privileged").run("id")
    assert done.returncode == 125 and b"SYS_PTRACE" in done.stderr
    assert warden.run("true").returncode == 0


def test_local_is_not_for_containers(make_warden, make_container):
    w = make_warden(OPEN.replace("{name: all, command: \"*\", action: allow}",
                                 "{name: all, command: \"*\", action: allow, executor: local}"))
    done = make_container(by=w).run("id")
    assert done.returncode == 125 and b"outside of its container" in done.stderr


# ---- limits ----

def test_the_memory_limit_holds(warden, make_container):
    c = make_container("-m", "64m", "--memory-swap", "64m")
    done = c.run("python3", "-c", "x = bytearray(200 << 20); print(len(x))")
    assert done.returncode == 137 and done.stdout == b""
    assert c.run("id").returncode == 0  # neither helper nor container was hit
    assert warden.run("true").returncode == 0


def test_the_pids_limit_holds(warden, make_container):
    c = make_container("--pids-limit", "20")
    code = """
import os, time
n = 0
try:
    while n < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        n += 1
except OSError as e:
    print(n, e.errno)
"""
    done = c.run("python3", "-c", code + "\nimport signal; signal.signal(15, signal.SIG_IGN); os.killpg(0, 15)\n"
                                      "while n: os.wait(); n -= 1")
    n, errno = map(int, done.stdout.split())
    assert errno == 11 and 5 < n < 20
    assert warden.run("true").returncode == 0
    wait_for(lambda: c.run("id").returncode == 0)


# ---- ends ----

def cgroup_pids(c):
    for d in system_cgroups(c.init):
        if "unified" in str(d) or (d / "cgroup.controllers").exists():
            found = []
            for f in d.rglob("cgroup.procs"):
                found += [int(x) for x in f.read_text().split()]
            return [p for p in found if p != c.init]
    raise AssertionError("no version 2")


DAEMONS = ("import os, time\nfor i in range(5):\n  if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: os.setsid()\n"
           "    time.sleep(1000)\nprint('up', flush=True)\ntime.sleep(1000)")


def start_daemons(c):
    p = c.popen("python3", "-c", DAEMONS)
    assert p.stdout.readline() == b"up\n"
    wait_for(lambda: len(cgroup_pids(c)) >= 11)  # shim, command, 5 times 2
    return p


def test_a_kill_leaves_nothing(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    warden.cli("kill", "--yes", "--signal", "KILL", warden.decisions()[-1]["id"], check=True)
    assert p.wait(20) == 137
    wait_for(lambda: cgroup_pids(c) == [])


def test_a_caller_that_goes_takes_its_command_with_it(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    shim = warden.decisions()[-1]["pid"]
    os.kill(shim, signal.SIGKILL)
    wait_for(lambda: cgroup_pids(c) == [])
    p.wait(20)


def test_a_timeout_ends_it(make_warden, make_container):
    w = make_warden(OPEN.replace("action: allow}", "action: allow, timeout: 1s}"), kill_grace="500ms")
    c = make_container(by=w)
    begun = time.monotonic()
    done = c.run("sleep", "100")
    assert done.returncode == 124 and time.monotonic() - begun < patient(20)
    wait_for(lambda: cgroup_pids(c) == [])


def test_daemons_of_a_command_that_ended_stay(make_container):
    c = make_container()
    assert c.run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & exit 3").returncode == 3
    time.sleep(0.2)
    assert len(cgroup_pids(c)) == 1


def test_the_death_of_the_helper_ends_what_runs_and_not_more(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    helper = int(subprocess.check_output(["pgrep", "-P", str(warden.pid)]).split()[0])
    os.kill(helper, signal.SIGKILL)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 125 or b"died" in err, (p.returncode, err)
    wait_for(lambda: cgroup_pids(c) == [])
    wait_for(lambda: c.run("id").returncode == 0, 20)


def test_the_death_of_the_container_ends_what_runs(engine, warden, make_container):
    c = make_container()
    p = start_daemons(c)
    engine.docker("kill", c.id)
    p.wait(20)
    system.wait_for(lambda: len(warden.ends()) == len(warden.decisions()))
    engine.docker("start", c.id)
    wait_for(lambda: c.run("id").returncode == 0, 20)


def test_the_death_of_the_warden_ends_what_runs(warden, make_container):
    c = make_container()
    p = start_daemons(c)
    warden.kill()
    wait_for(lambda: cgroup_pids(c) == [], 20)
    assert p.wait(20) != 0
    warden.start()
    assert c.run("id").returncode == 0
    assert [r["result"] for r in warden.ends() if r.get("result") == "interrupted"] or warden.records_of("end")


def test_32_at_once(make_container, warden):
    c = make_container()
    code = ("import subprocess\nps = [subprocess.Popen(['/opt/shims/sh', '-c', f'cat /dev/zero | head -c 100000 | wc -c; exit {i}'],"
            " stdout=subprocess.PIPE) for i in range(32)]\n"
            "for i, p in enumerate(ps):\n  out = p.communicate()[0]\n  assert (out, p.returncode) == (b'100000\\n', i), (i, out, p.returncode)\nprint('fine')")
    done = c.exec("python3", "-c", code, env=c.ENV, check=False)
    assert done.stdout == b"fine\n", (done, warden.log()[-2000:])


# ---- terminal ----

def test_a_terminal_is_a_terminal(make_container):
    c = make_container()
    import pty
    master, slave = pty.openpty()
    p = subprocess.Popen(c.argv("python3", "-c", "import os, sys; print([os.isatty(i) for i in range(3)], os.get_terminal_size() is not None); "
                                "sys.stdout.flush(); input(); print('read')", env=c.ENV, tty=True), stdin=slave, stdout=slave, stderr=slave,
                         start_new_session=True)
    os.close(slave)
    seen = b""
    def read_until(what):
        nonlocal seen
        end = time.monotonic() + patient(20)
        while what not in seen:
            assert time.monotonic() < end, seen
            try:
                seen += os.read(master, 1000)
            except OSError:
                break
    read_until(b"True, True, True] True")
    os.write(master, b"\n")
    read_until(b"read")
    assert p.wait(20) == 0
    os.close(master)


def test_ctrl_c_reaches_the_command(make_container):
    c = make_container()
    import pty
    master, slave = pty.openpty()
    p = subprocess.Popen(c.argv("sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done", env=c.ENV, tty=True),
                         stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(master, 1000)
    os.write(master, b"\x03")
    assert p.wait(20) == 9
    os.close(master)
