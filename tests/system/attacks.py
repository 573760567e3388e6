# SPDX-License-Identifier: MIT
"""The attackers of tests/attack, run under a gate by an ordinary user. `python3 attacks.py [ROUNDS]` is `make attack`: every
attacker with 1,000 rounds."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from conftest import ROOT, Warden
from gate_case import environment, popen

# Of our own: tests beside us signal everything of the agents' usual user.
UID = 3_200_000 + os.getpid() % 100_000
SOURCES = ROOT / "tests/attack"
NAMES = ["flip-argv", "flip-path", "thread", "symlink", "script-swap", "clone-fs", "hold"]
# Programs of the system to the policy, under names of this run's own.
TAG = f"clawrden-attack-{os.getpid()}"
GOOD, EVIL, SCRIPT = (f"/usr/local/bin/{TAG}-{name}" for name in ("good", "evil", "script"))
POLICY = f"""\
default_action: allow
allowed_paths: ["/*"]
unknown_executable: deny
rules:
  - {{name: no-evil, command: {TAG}-evil, action: deny}}
  - {{name: no-evil-word, command: {TAG}-good, args: evil, action: deny}}
  - {{name: hold, command: {TAG}-good, args: held, action: ask, approval_timeout: 60s}}
"""
# In the hold, what is shown is "good".
HOLD_POLICY = POLICY.replace("args: held", "args: good")


class Attacks:
    """The programs, built and installed; `with Attacks() as a: a.run("flip-argv", 1000)`."""

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="clawrden-attack-", dir="/tmp"))
        self.dir.chmod(0o755)
        for name in NAMES:
            subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Werror", "-pthread", "-o", self.dir / name,
                            SOURCES / f"{name}.c"], check=True)
        for path in (GOOD, EVIL):
            subprocess.run(["cc", "-O2", "-static", "-o", path, SOURCES / "witness.c"], check=True)
        pathlib.Path(SCRIPT).write_text("#!/bin/sh\nexit 0\n")
        os.chmod(SCRIPT, 0o755)
        # The attackers themselves are programs of the system to the policy: only what they start counts.
        for name in NAMES:
            shutil.move(self.dir / name, f"/usr/local/bin/{TAG}-{name}")
        return self

    def __exit__(self, *_):
        for path in (GOOD, EVIL, SCRIPT, *(f"/usr/local/bin/{TAG}-{n}" for n in NAMES)):
            pathlib.Path(path).unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", self.dir])

    def run(self, name, rounds, timeout=600):
        """How often what must not run ran, and how the rounds ended."""
        w = Warden(HOLD_POLICY if name == "hold" else POLICY, {"asks_per_minute": "0"})
        try:
            return self.attack(w, name, rounds, timeout)
        finally:
            w.close()

    def attack(self, w, name, rounds, timeout):
        mark = w.work / "mark"
        mark.touch()
        mark.chmod(0o666)
        good, evil = GOOD, EVIL
        if name == "script-swap":
            evil = w.work / "evil.sh"
            evil.write_text(f"#!/bin/sh\nprintf x >> {mark}\n")
            evil.chmod(0o755)
            os.chown(evil, UID, UID)
            good = SCRIPT
        p = popen(w, f"/usr/local/bin/{TAG}-{name}", str(rounds), str(good), str(evil), uid=UID,
                  env=environment(w, ATTACK_MARK=str(mark)), stderr=subprocess.DEVNULL)
        done = threading.Event()
        approver = threading.Thread(target=self.approve, args=(w, done), daemon=True)
        if name == "hold":
            approver.start()
        try:
            out, _ = p.communicate(timeout=timeout)
        finally:
            done.set()
            p.kill()
            p.wait()
        if name == "hold":
            approver.join(10)
        score = {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", out.replace(name, "", 1).split("\n")[0])}
        assert p.returncode == 0, (p.returncode, out, w.log()[-3000:])
        if score["failed"]:
            print(out, w.log()[-3000:])
        return mark.stat().st_size, score

    @staticmethod
    def approve(w, done):
        """A person who says yes to what is shown as good, after 100 ms."""
        while not done.is_set():
            for q in w.queue():
                time.sleep(0.1)
                w.cli("approve" if q["args"] == ["good"] else "deny", q["id"])
            time.sleep(0.01)


def main():
    rounds, bad = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, 0
    with Attacks() as a:
        for name in NAMES:
            evil, score = a.run(name, rounds, timeout=3600)
            wrong = evil > 0 or sum(score.values()) != rounds or score["failed"] > 0 or (name == "clone-fs" and score["ran"])
            bad += bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '}  {name}: {rounds} rounds, evil ran {evil}; {score}", flush=True)
    print(f"{len(NAMES) - bad} passed, {bad} failed")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
