# SPDX-License-Identifier: MIT
"""docs/operations.md and docs/security.md: what they promise, tried; names that they name, known; and every
link of every page leads somewhere."""
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from conftest import AGENT_GID, AGENT_UID, BIN, ROOT, needs_root, wait_for

PAGE = (ROOT / "docs/operations.md").read_text()
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def sh_blocks(text):
    return re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)


# ---- names ----

@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link.split("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_test_that_is_named_is_there(page):
    """`tests/...` and `test_x.py::test_y` are what a reader would run."""
    for path, _, name in re.findall(r"(tests/[\w./-]+\.\w+)(::(\w+))?", page.read_text()):
        if path == "tests/unit/test-x.c":
            continue  # the test of any x.c
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), name


def test_manual_pages_name_pages_that_are_there():
    """And each is one that scdoc takes."""
    pages = sorted((ROOT / "docs/man").glob("*.scd"))
    assert len(pages) >= 6
    for page in pages:
        for name, part in re.findall(r"\*(clawrden[a-z-]*)\*\((\d)\)", page.read_text()):
            assert (ROOT / f"docs/man/{name}.{part}.scd").exists(), (page.name, name, part)
        with open(page) as text:
            done = subprocess.run(["scdoc"], stdin=text, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and done.stdout.startswith(".\\"), (page.name, done.stderr)
        head = page.read_text().splitlines()[0]
        assert head.startswith(page.name.split(".")[0] + f"({page.name.split('.')[1]})"), head


READINESS = (ROOT / "docs/readiness.md").read_text()


def test_readiness_names_tests_that_are_there():
    """`T FILE... -k WORDS` collects something, `M NAME...` is what Meson has."""
    pytest_runs = re.findall(r"`T (.*?)`", READINESS)
    assert len(pytest_runs) > 15
    for args in pytest_runs:
        files = re.findall(r"tests/\S+", args)
        assert files and all((ROOT / f).exists() for f in files), args
        if "-k" in args:
            words = re.search(r'-k (?:"([^"]*)"|(\S+))', args)
            done = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "--collect-only", *files, "-k", words[1] or words[2]],
                                  capture_output=True, text=True, timeout=60, cwd=ROOT)
            assert done.returncode == 0, (args, done.stdout)
    known = subprocess.run(["meson", "test", "-C", str(ROOT / "build/dynamic"), "--list"], capture_output=True, text=True,
                           timeout=60).stdout
    for args in re.findall(r"`M (.*?)`", READINESS):
        for name in args.replace("--suite ", "").split():
            assert re.search(rf"[:+ ]{name}\b", known), name


def test_readiness_does_not_flatter():
    """A state is one of three, and what is not yet there is shown by nothing."""
    rows = [r.strip("|").split("|") for r in READINESS.split("## Figures")[0].splitlines() if re.match(r"\| (?!what|---)", r)]
    rows = [r for r in rows if len(r) == 4]
    assert len(rows) > 20
    for what, state, shown, words in rows:
        assert re.match(r" (done|partly|not yet)( |$)", state), what
        assert bool(shown.strip()) != state.startswith(" not yet"), what


def test_the_metrics_are_those_of_the_warden(warden):
    warden.run("true")
    there = set(re.findall(r"^# TYPE (clawrden_\w+) ", warden.metrics(), re.M))
    assert set(re.findall(r"\bclawrden_\w+", PAGE)) == there
    kinds = set(re.findall(r'clawrden_errors_total\{kind="(\w+)"\} ', warden.metrics()))
    assert set(re.findall(r'\{kind="(\w+)"\}', section("Watching it").split("Rules to begin")[0])) == kinds


def test_the_options_are_those_of_the_warden():
    known = set(re.findall(r"^  --([a-z0-9-]+)", subprocess.run([str(BIN / "clawrden-warden"), "--help"], timeout=20,
                                                                capture_output=True, text=True).stdout, re.M))
    others = {"api", "token", "yes", "policy", "head", "key", "workspace", "request", "json", "now", "shell", "system", "all", "create-home", "no-deps", "watch"}
    for name in re.findall(r"--([a-z][a-z-]+)", PAGE):
        assert name in known | others, name
    assert len([x for x in known if f"--{x}" in PAGE]) > 15


def test_the_yaml_for_prometheus_is_yaml(tmp_path):
    """Read by our own strict reader, as far as that knows YAML: it stumbles over keys only, not over the form."""
    for n, text in enumerate(re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)):
        file = tmp_path / f"{n}.yaml"
        file.write_text(text)
        done = subprocess.run([str(BIN / "clawrden"), "policy", "check", str(file)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and re.search(r":1:1: .*unknown key", done.stderr), done.stderr


# ---- promises ----

def test_the_files_have_the_modes_of_the_table(warden):
    warden.run("true")
    warden.cli("token", "create", "--role", "viewer", check=True)
    rows = re.findall(r"^\| STATE/([\w.]+) \|[^|]*\| (\d{4}) \|", section("Files"), re.M)
    assert len(rows) == 6
    for name, mode in rows:
        wait_for((warden.state / name).exists, what=name)
        assert stat.S_IMODE((warden.state / name).stat().st_mode) == int(mode, 8), name
    assert stat.S_IMODE(warden.state.stat().st_mode) == 0o700
    assert stat.S_IMODE(warden.audit.stat().st_mode) == 0o600
    assert stat.S_IMODE(warden.socket.stat().st_mode) == 0o660


def history(w):
    return json.loads(w.cli("history", "--json", check=True).stdout or "[]")


def test_a_lost_index_is_made_from_the_log(warden):
    for n in range(3):
        warden.run("echo", str(n))
    before = wait_for(lambda: len(h := history(warden)) == 3 and [x["id"] for x in h])
    warden.stop()
    for file in warden.state.glob("index.db*"):
        file.unlink()
    warden.start()
    assert wait_for(lambda: len(h := history(warden)) == 3 and [x["id"] for x in h]) == before


def test_a_deleted_token_is_a_new_one(warden):
    before = warden.token
    warden.stop()
    (warden.state / "token").unlink()
    warden.start()
    assert warden.token != before and len(warden.token) == len(before)


def test_the_log_moves_aside_for_a_key(warden):
    """The command of the page, and what it says of archive and history."""
    warden.run("echo", "before")
    warden.stop()
    key = warden.dir / "audit.key"
    command = sh_blocks(section("The key of the audit log"))[0].replace("/etc/clawrden/audit.key", str(key))
    subprocess.run(["sh", "-ec", command], check=True, timeout=20)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.stat().st_size > 40
    archive = warden.dir / "archive"
    archive.mkdir()
    for file in [*warden.dir.glob("audit.jsonl*"), warden.state / "audit.head"]:
        file.rename(archive / file.name)
    warden.options["audit_key"] = key
    warden.start()
    warden.run("echo", "behind")
    head = warden.state / "audit.head"
    verify = lambda *args: warden.cli("audit", "verify", *args).returncode
    wait_for(lambda: verify("--head", head, "--key", key, warden.audit) == 0, what="the new log is sound")
    assert verify("--head", head, warden.audit) == 1  # not without the key
    assert verify("--head", archive / "audit.head", archive / "audit.jsonl") == 0
    assert wait_for(lambda: [x["command_line"] for x in history(warden)]) == ["echo behind"]


def test_a_copy_of_a_log_in_use_verifies(warden, tmp_path):
    for n in range(5):
        warden.run("true")
    shutil.copy(warden.audit, tmp_path / "audit.jsonl")
    done = warden.cli("audit", "verify", tmp_path / "audit.jsonl")
    assert done.returncode == 0, done.stdout


@needs_root
def test_a_user_for_the_agent_as_the_page_says(tmp_path):
    """The commands of both sections, on a machine whose /etc, /opt, /usr/local, /home, /var and /run are its own."""
    blocks = sh_blocks(section("Install"))[1:] + sh_blocks(section("The agent's shims"))
    script = "".join(blocks)
    assert "systemctl enable --now clawrden-warden " in script and script.count("useradd") == 1
    # Without systemd: what the comment beside it says.
    script = script.replace("systemctl enable --now clawrden-warden ", "start_warden ")
    apart = f"""set -eu
mount -t tmpfs tmpfs /mnt && cp -a /etc /mnt/etc && mount --bind /mnt/etc /etc
for d in /opt /home /usr/local /var/lib /var/log /var/mail /run; do mkdir -p $d; mount -t tmpfs -o mode=755 tmpfs $d; done
ip link set lo up
mkdir -p /usr/local/libexec/clawrden /usr/local/bin /usr/local/sbin
cp {BIN}/clawrden-shim {BIN}/clawrden-mirror /usr/local/libexec/clawrden
cp {BIN}/clawrden /usr/local/bin; cp {BIN}/clawrden-warden /usr/local/sbin
start_warden() {{
    clawrden-warden >/run/log 2>&1 & pid=$!
    for i in $(seq 200); do grep -q 'clawrden-warden: ready' /run/log && return; sleep 0.05; done
    cat /run/log; exit 9
}}
{script}
clawrden history; ls -l /run/clawrden/warden.sock
kill $pid; wait $pid
"""
    done = subprocess.run(["unshare", "-mn", "bash", "-c", apart], capture_output=True, text=True, timeout=120,
                          env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"^ok: \d+ rules", said, re.M) and re.search(r"^runs other users +yes$", said, re.M), said
    assert re.search(r"^git version ", said, re.M), said
    assert re.search(r"allow +exit 0 +\d+ +git --version$", said, re.M), said
    assert re.search(r"^srw-rw---- \d root agent ", said, re.M), said
