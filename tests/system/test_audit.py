# SPDX-License-Identifier: MIT
"""The audit log under attack and under want: whoever changes it is found by `clawrden audit verify`, or
docs/audit.md says that this cannot be proved; a log that cannot be written refuses commands and comes
back by itself. And what people read it with: tail, export, the exit codes of verify."""
import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest

from conftest import BIN, ROOT, needs_root, wait_for

DOC = (ROOT / "docs/audit.md").read_text()
RECORDS = 12  # commands


def cli(*args, env=None, **kw):
    return subprocess.run([str(BIN / "clawrden"), *map(str, args)], capture_output=True, text=True, timeout=60,
                          env={**{k: v for k, v in os.environ.items() if not k.startswith("CLAWRDEN_")},
                               **(env or {})}, **kw)


class Copy:
    """A log that a warden wrote, to be attacked."""

    def __init__(self, dir, log, head, key=None):
        self.dir, self.key = dir, key
        self.log, self.head = dir / "audit.jsonl", dir / "audit.head"
        shutil.copy(log, self.log)
        shutil.copy(head, self.head)
        self.bytes = self.log.read_bytes()
        self.lines = self.bytes.splitlines(keepends=True)

    def verify(self, *args):
        key = ["--key", self.key] if self.key else []
        done = cli("audit", "verify", self.log, "--head", self.head, *key, *args)
        assert done.returncode in (0, 1), done.stderr
        return done

    def found(self, data, *kinds):
        """Verify finds the change, and calls it one of these."""
        self.log.write_bytes(data)
        done = self.verify("--json")
        report = json.loads(done.stdout)
        assert done.returncode == 1 and report["ok"] is False, report
        assert {p["kind"] for p in report["found"]} & set(kinds), report["found"]
        return report

    def sound(self):
        done = self.verify()
        assert done.returncode == 0, done.stdout
        return done


def hash_line(members, seq, prev):
    """A record as docs/audit.md describes it, by nothing else than that page."""
    head = b'{"v":1,"seq":%d,"prev":"%s",%s' % (seq, prev.encode(), members)
    hash = hashlib.sha256(head).hexdigest()
    return head + b',"hash":"%s"}\n' % hash.encode(), hash


def members_of(line):
    return re.fullmatch(rb'\{"v":1,"seq":\d+,"prev":"[0-9a-f]{64}",(.*),"hash":"[0-9a-f]{64}"\}\n', line)[1]


def rewrite(lines):
    """A whole new chain of these records; (bytes, seq, hash)."""
    out, prev = b"", "0" * 64
    for seq, line in enumerate(lines, 1):
        line, prev = hash_line(members_of(line), seq, prev)
        out += line
    return out, len(lines), prev


def write_head(path, seq, hash, file):
    head = json.dumps({"v": 1, "seq": seq, "hash": hash, "file": str(file), "time": "2026-01-31T08:00:00.000000000Z"},
                      separators=(",", ":")).encode()[:-1]
    path.write_bytes(head + b',"check":"%s"}\n' % hashlib.sha256(head).hexdigest().encode())


def write_log(make_warden, **options):
    w = make_warden(options=options)
    for n in range(RECORDS):
        assert w.run("echo" if n % 3 else "rm", str(n)).returncode in (0, 126)
    w.wait_ends(RECORDS - RECORDS // 3)
    assert w.stop() == 0
    return w


@pytest.fixture
def copy(make_warden, tmp_path):
    w = write_log(make_warden)
    c = Copy(tmp_path, w.audit, w.state / "audit.head")
    c.sound()
    return c


@pytest.fixture
def sealed(make_warden, tmp_path):
    key = tmp_path / "key"
    key.write_text("a key that is kept elsewhere\n")
    key.chmod(0o600)
    w = write_log(make_warden, audit_key=key)
    c = Copy(tmp_path, w.audit, w.state / "audit.head", key)
    c.sound()
    return c


# ---- attacks ----

def test_a_changed_byte_is_found(copy):
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(len(copy.bytes))
        other = rng.choice([b for b in range(256) if b != copy.bytes[at]])
        copy.found(copy.bytes[:at] + bytes([other]) + copy.bytes[at + 1:],
                   "changed", "malformed", "lost", "unlinked", "reordered", "duplicated", "torn", "head", "cut")


def test_a_removed_line_is_found(copy):
    for n in range(len(copy.lines)):
        copy.found(b"".join(copy.lines[:n] + copy.lines[n + 1:]), "lost", "cut")


def test_reordered_lines_are_found(copy):
    for n in range(len(copy.lines) - 1):
        lines = list(copy.lines)
        lines[n], lines[n + 1] = lines[n + 1], lines[n]
        copy.found(b"".join(lines), "reordered", "lost")
    copy.found(b"".join(reversed(copy.lines)), "reordered", "lost", "duplicated")
    copy.found(b"".join(copy.lines[:3] + copy.lines[2:]), "duplicated")


def test_a_tail_cut_at_a_line_is_found_by_the_head_file(copy):
    for n in range(len(copy.lines)):
        copy.found(b"".join(copy.lines[:n]), "cut")


def test_a_tail_cut_inside_a_line_is_found(copy):
    rng = random.Random(2)
    for _ in range(30):
        copy.found(copy.bytes[:rng.randrange(1, len(copy.bytes))], "torn", "cut")
    copy.found(copy.bytes[:-1], "torn")


def test_a_tail_of_zeros_is_found(copy):
    """As a file system leaves it after a loss of power."""
    for n in (1, 17, 4096):
        copy.found(copy.bytes[:-n] + b"\0" * n if n < len(copy.bytes) else b"\0" * n, "torn", "cut")
        copy.found(copy.bytes + b"\0" * n, "torn")
        copy.found(copy.bytes + b"\0" * n + b"\n", "malformed")


def test_the_page_has_all_that_a_reader_needs(copy):
    """The chain, followed by the words of docs/audit.md and not by our code."""
    data, seq, hash = rewrite(copy.lines)
    assert data == copy.bytes
    head = json.loads(copy.head.read_text())
    assert (head["seq"], head["hash"]) == (seq, hash)
    check = copy.head.read_bytes().index(b',"check"')
    assert head["check"] == hashlib.sha256(copy.head.read_bytes()[:check]).hexdigest()


def test_the_page_names_what_the_log_says_of_itself(make_warden):
    w = make_warden(options={"audit_rotate_size": "8K", "audit_keep_files": 1})
    for n in range(16):
        w.run("echo", f"n{n}")
    w.kill()
    with open(w.audit, "ab") as f:
        f.write(b"torn")
    w.start()
    assert w.stop() == 0
    lines = w.audit.read_bytes().splitlines(keepends=True)
    w.audit.write_bytes(b"".join(lines[:-2] + lines[-1:]))
    w.start()
    assert w.stop() == 0
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|[^|]*\|([^|]*)\|$", DOC.split("## The log's own records")[1], re.M))
    seen = {}
    for file in [*sorted(w.audit.parent.glob("audit.jsonl.*Z-*")), w.audit]:
        for record in map(json.loads, file.read_text().splitlines()):
            if "id" not in record:
                seen[record["event"]] = set(record) - {"v", "seq", "prev", "hash", "time", "event"}
    assert {"start", "stop", "repair", "chain-break", "rotate", "prune"} <= set(seen)
    for event, members in seen.items():
        named = set(re.findall(r"`([a-z_]+)`", rows[event]))
        assert members <= named, (event, members - named)


def test_a_rewritten_log_is_found_by_the_head_file(copy):
    lines = list(copy.lines)
    lines[4] = lines[4].replace(b'"uid":0', b'"uid":9').replace(b'"event":', b'"Event":')
    assert lines[4] != copy.lines[4]
    copy.found(rewrite(lines)[0], "head")


def test_without_a_key_who_writes_log_and_head_writes_history(copy):
    """Not provable, and said so."""
    data, seq, hash = rewrite(copy.lines[:3] + copy.lines[5:])
    copy.log.write_bytes(data)
    write_head(copy.head, seq, hash, copy.log)
    copy.sound()
    assert "can write a whole new history that verifies" in DOC


def test_with_a_key_nobody_else_writes_history(sealed):
    data, seq, hash = rewrite(sealed.lines[:3] + sealed.lines[5:])
    write_head(sealed.head, seq, hash, sealed.log)
    sealed.found(data, "changed", "head")
    shutil.copy(sealed.log, sealed.dir / "x")
    sealed.log.write_bytes(sealed.bytes + hash_line(b'"event":"note"', len(sealed.lines) + 1, "0" * 64)[0])
    assert sealed.verify().returncode == 1


def test_an_older_log_with_its_own_head_is_not_provable(make_warden, tmp_path):
    """A snapshot of both, put back: even a key does not tell. Said so."""
    key = tmp_path / "key"
    key.write_text("a key that is kept elsewhere\n")
    key.chmod(0o600)
    w = write_log(make_warden, audit_key=key)
    c = Copy(tmp_path, w.audit, w.state / "audit.head", key)
    w.start()
    w.run("echo", "later")
    assert w.stop() == 0
    assert len(w.audit.read_bytes()) > len(c.bytes)
    c.sound()
    assert "An older pair" in DOC


def test_verify_without_the_head_file_does_not_see_a_cut(copy):
    copy.log.write_bytes(b"".join(copy.lines[:4]))
    done = cli("audit", "verify", copy.log)
    assert done.returncode == 0 and "no head file" in done.stdout
    assert "Without the head file" in DOC


# ---- a key that comes, goes or changes ----

@pytest.mark.parametrize("was, now", [("one", None), (None, "one"), ("one", "two")])
def test_a_log_of_another_key_is_no_start(make_warden, tmp_path, was, now):
    """To go on would seal whatever stands there; so it is refused, and moving the log aside is the way."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"this is the key of number {name}\n")
        (tmp_path / name).chmod(0o600)
    w = write_log(make_warden, audit_key=was and tmp_path / was)
    before = w.audit.read_bytes()
    w.options["audit_key"] = now and tmp_path / now
    assert w.spawn().wait(20) == 1
    w.process = None
    assert "not one record" in w.log() and "--audit-key" in w.log() and "move the log" in w.log(), w.log()
    assert w.audit.read_bytes() == before and not w.socket.exists()
    # As docs/operations.md says: log and head go aside together, and verify with their own key.
    old = tmp_path / "old"
    old.mkdir()
    w.audit.rename(old / "audit.jsonl")
    (w.state / "audit.head").rename(old / "audit.head")
    w.start()
    assert w.run("echo", "on").returncode == 0
    assert w.stop() == 0
    for log, head, key in ((old / "audit.jsonl", old / "audit.head", was), (w.audit, w.state / "audit.head", now)):
        done = cli("audit", "verify", log, "--head", head, *(["--key", tmp_path / key] if key else []))
        assert done.returncode == 0, done.stdout


# ---- a disk that is full, a disk that is read-only ----

class Disk:
    """A small file system of its own for the log."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(path)], check=True)

    def remount(self, how):
        return subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], capture_output=True).returncode == 0

    def fill(self):
        with open(self.path / "filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 512)
            except OSError:
                return

    def empty(self):
        (self.path / "filler").unlink()

    def gone(self):
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path):
    d = Disk(tmp_path / "disk")
    yield d
    d.gone()


@pytest.fixture
def small(make_warden, disk):
    w = make_warden(options={"audit": disk.path / "audit.jsonl"}, start=False)
    w.audit = disk.path / "audit.jsonl"
    w.start()
    yield w
    w.stop()


def refused(w, seen=None):
    done = w.run("echo", "hello")
    if seen is not None:
        seen.append(done.returncode)
    return done.returncode == 125 and b"cannot record" in done.stderr and not done.stdout


def ready(w):
    return json.loads(w.cli("status", "--json", check=True).stdout)["ready"]


def verified(w):
    head = w.state / "audit.head"  # not there in the first half second of a log
    done = w.cli("audit", "verify", w.audit, *(["--head", head] if head.exists() else []))
    return done.returncode == 0 or pytest.fail(done.stdout)


@needs_root
def test_full_and_empty_again_many_times(small, disk):
    """No restart, no torn line, no record lost or doubled; the numbers go on without a gap."""
    seen = []
    for round in range(4):
        disk.fill()
        for _ in range(3):
            wait_for(lambda: refused(small, seen), what="commands are refused")
        assert not ready(small) and small.process.poll() is None
        disk.empty()
        wait_for(lambda: not refused(small, seen), what="commands run again")
        assert ready(small)
    wait_for(lambda: len(small.ends()) == len([d for d in small.decisions() if d["decision"] == "allow"]))
    assert [r["seq"] for r in small.records()] == list(range(1, len(small.records()) + 1))
    # Each refusal is on record, alone or counted.
    counted = [int(re.match(r"(\d+) commands", r["words"])[1]) for r in small.records_of("recovered")]
    alone = [d for d in small.decisions() if d["decision"] == "error"]
    assert len(counted) == 4 and sum(counted) + len(alone) == seen.count(125)
    assert len(small.ends()) == seen.count(0)
    assert verified(small)


@needs_root
def test_a_start_on_a_full_disk_refuses_until_there_is_room(make_warden, disk):
    w = make_warden(options={"audit": disk.path / "audit.jsonl"}, start=False)
    w.audit = disk.path / "audit.jsonl"
    w.start()
    assert w.run("echo", "x").returncode == 0
    w.kill()
    disk.fill()
    w.start()
    wait_for(lambda: refused(w))
    disk.empty()
    wait_for(lambda: w.run("echo", "x").returncode == 0)
    assert [r["clean"] for r in w.records_of("start")] == [True, False]
    assert verified(w)
    w.stop()


@needs_root
def test_a_log_that_became_read_only_refuses_and_comes_back(small, disk):
    assert small.run("echo", "x").returncode == 0
    small.wait_ends(1)
    # The kernel does not make a file system read-only under a file that is open for writing: one that is
    # is put in its place.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=0700", "tmpfs", str(disk.path)], check=True)
    try:
        wait_for(lambda: refused(small), what="commands are refused")
        assert "Read-only file system" in small.log() and not ready(small)
    finally:
        subprocess.run(["umount", str(disk.path)], check=True)
    wait_for(lambda: small.run("echo", "x").returncode == 0, what="commands run again")
    assert ready(small) and verified(small)


@needs_root
def test_a_log_that_cannot_be_opened_for_writing_is_no_start(make_warden, disk):
    w = make_warden(options={"audit": disk.path / "audit.jsonl"}, start=False)
    w.audit = disk.path / "audit.jsonl"
    w.audit.touch(mode=0o600)
    assert disk.remount("ro")
    assert w.spawn().wait(20) == 1
    w.process = None
    assert "Read-only file system" in w.log() and str(w.audit) in w.log()
    assert not w.socket.exists()


# ---- tail ----

class Tail:
    def __init__(self, log, *args):
        self.p = subprocess.Popen([str(BIN / "clawrden"), "audit", "tail", str(log), "-f", *args],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.p.stdout.fileno(), False)
        self.text = b""

    def lines(self):
        self.text += self.p.stdout.read() or b""
        return [x.decode() for x in self.text.split(b"\n")[:-1]]

    def end(self):
        self.p.terminate()
        self.p.communicate()


def test_tail_follows_over_a_rotation_and_misses_nothing(make_warden):
    w = make_warden(options={"audit_rotate_size": "8K"})
    t = Tail(w.audit, "--json")
    try:
        for n in range(40):
            assert w.run("echo", f"n{n}").returncode == 0
        w.wait_ends(1)
        last = json.loads(w.cli("audit", "tail", w.audit, "-n", "1", "--json").stdout)["seq"]
        wait_for(lambda: any(json.loads(x)["seq"] >= last for x in t.lines()), what="the last record is shown")
        seqs = [json.loads(x)["seq"] for x in t.lines()]
        assert seqs == list(range(1, seqs[-1] + 1))
        assert len(list(w.audit.parent.glob("audit.jsonl.*Z-*"))) >= 3
    finally:
        t.end()


def test_tail_shows_the_last_lines_over_files(make_warden):
    w = make_warden(options={"audit_rotate_size": "8K"})
    for n in range(20):
        assert w.run("echo", f"n{n}").returncode == 0
    assert w.stop() == 0
    done = cli("audit", "tail", w.audit, "-n", "30", "--json")
    seqs = [json.loads(x)["seq"] for x in done.stdout.splitlines()]
    assert done.returncode == 0 and seqs == list(range(seqs[-1] - 29, seqs[-1] + 1))
    assert len(cli("audit", "tail", w.audit).stdout.splitlines()) == 20
    assert cli("audit", "tail", w.audit, "-n", "0").stdout == ""


def test_tail_says_when_the_log_is_cut(warden):
    warden.run("true")
    warden.wait_ends(1)
    t = Tail(warden.audit)
    try:
        wait_for(lambda: any("echo" in x or "true" in x for x in t.lines()))
        os.truncate(warden.audit, 10)
        time.sleep(0.5)
        t.p.terminate()
        assert b"somebody cut it" in t.p.communicate()[1]
    finally:
        t.end()


def test_tail_acts_on_no_terminal(warden):
    warden.run("echo", "\x1b[2J\x9b1m\u202e")
    warden.wait_ends(1)
    out = cli("audit", "tail", warden.audit).stdout
    assert "\x1b" not in out and "\x9b" not in out and "\u202e" not in out and "\\e[2J" in out


# ---- export ----

def test_export_as_json_is_the_records(make_warden):
    w = make_warden(options={"audit_rotate_size": "8K"})
    for n in range(12):
        w.run("echo", f"n{n}")
    assert w.stop() == 0
    records = json.loads(cli("audit", "export", w.audit).stdout)
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert sum(r["event"] == "decision" for r in records) == 12


def test_export_as_csv_is_safe_in_a_spreadsheet(make_warden):
    w = make_warden()
    w.run("echo", '=HYPERLINK("x")', "a,b", "line\nbreak", "\xe9")
    w.run("rm", "x")
    assert w.stop() == 0
    done = cli("audit", "export", w.audit, "--csv")
    assert done.returncode == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    by_event = [r for r in rows if r["event"] == "decision"]
    assert [r["decision"] for r in by_event] == ["allow", "deny"]
    assert "HYPERLINK" in by_event[0]["command_line"] and "\n" not in by_event[0]["command_line"]
    for row in rows:
        for cell in row.values():
            assert not re.match(r"[=+\-@|%]", cell) and not re.search(r"[\x00-\x1f\x7f]", cell), cell
    raw = subprocess.run([str(BIN / "clawrden"), "audit", "export", str(w.audit), "--csv"], capture_output=True).stdout
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(rows) + 1


def test_export_of_a_time(make_warden):
    w = make_warden()
    w.run("true")
    assert w.stop() == 0
    records = w.records()
    until = records[1]["time"]
    got = json.loads(cli("audit", "export", w.audit, "--until", until).stdout)
    assert [r["seq"] for r in got] == [1, 2]
    assert json.loads(cli("audit", "export", w.audit, "--since", "2h").stdout) == records
    assert json.loads(cli("audit", "export", w.audit, "--until", "2020-01-01T00:00:00Z").stdout) == []
    assert cli("audit", "export", w.audit, "--since", "yesterday").returncode == 2
    assert cli("audit", "export", w.audit, "--csv", "--json").returncode == 2


# ---- verify's exit status ----

def test_the_exit_status_of_verify(copy, tmp_path):
    assert cli("audit", "verify", copy.log, "--head", copy.head).returncode == 0
    assert cli("audit", "verify", copy.log, "--head", tmp_path / "none").returncode == 1, "a head that is missed is a finding"
    copy.log.write_bytes(copy.bytes[:-10])
    assert cli("audit", "verify", copy.log).returncode == 1
    for wrong in ([tmp_path / "none"], [tmp_path], [copy.log, "--key", tmp_path / "none"], [copy.log, "--keey", "x"],
                  [copy.log, copy.head, "x"]):
        done = cli("audit", "verify", *wrong)
        assert done.returncode == 2 and done.stderr.startswith("clawrden:"), (wrong, done)


def test_verify_reads_the_words_of_an_attacker_safely(copy):
    copy.log.write_bytes(copy.bytes + b"\x1b[2J\x9b" * 3 + b"\n")
    done = copy.verify()
    assert done.returncode == 1 and "\x1b" not in done.stdout and "\x9b" not in done.stdout


# ---- while a warden runs ----

def test_foreign_hands_on_a_running_log_go_on_record(make_warden):
    w = make_warden()
    assert w.run("echo", "1").returncode == 0
    w.wait_ends(1)
    time.sleep(1.1)
    with open(w.audit, "ab") as f:
        f.write(b'{"not":"ours"}\n')
    time.sleep(1.1)
    assert w.run("echo", "2").returncode == 0
    time.sleep(1.1)
    w.audit.rename(w.audit.with_name("taken"))
    assert w.run("echo", "3").returncode == 0
    assert [r["event"] for r in w.records()][0] == "chain-break"
    assert "renamed" in w.records_of("chain-break")[0]["words"]
    text = w.audit.with_name("taken").read_text()
    assert '"event":"chain-break"' in text and "somebody else changed the file" in text
    done = w.cli("audit", "verify", w.audit, "--head", w.state / "audit.head")
    assert done.returncode == 1 and "break" in done.stdout
