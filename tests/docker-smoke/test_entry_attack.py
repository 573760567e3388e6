# SPDX-License-Identifier: MIT
"""`clawrden doctor --attack` under the gate as the entry point of a container: no attempt to break out succeeds, as root or as an
ordinary user, in Docker's default profile and in the most shut container."""
import json
import subprocess

import pytest

from conftest import BIN, DOCKER, IMAGE
from test_entry import Entry, WAYS

CLAWRDEN = BIN / "clawrden"
POLICY = f"""\
default_action: deny
unknown_executable: deny
allowed_paths: ["/*"]
trusted_paths: [/usr/bin, /bin, /usr/local/bin, {CLAWRDEN.resolve().parent}]
rules:
  - {{name: canary, command: dirname, action: deny}}
  - {{name: all, command: ["*"], action: allow}}
"""


@pytest.mark.parametrize("way", ["root", "uid 1000", "root, no capabilities", "shut"])
def test_no_attempt_to_break_out_succeeds(engine, make_warden, way):
    e = Entry(engine, make_warden(POLICY))
    argv = [DOCKER, "-H", f"unix://{engine.socket}", "run", "--rm", *e.options(*WAYS[way]), "-v", "/usr:/usr:ro", "-v", f"{BIN.parent}:{BIN.parent}:ro",
            "-e", "HOME=/tmp", IMAGE, "--", str(CLAWRDEN), "doctor", "--attack", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180)
    report = json.loads(done.stdout)
    by = {a["name"]: a for a in report["attempts"]}
    odd = [a for a in report["attempts"] if a["result"] not in ("refused", "absent", "not promised")]
    assert not odd and done.returncode == 0 and report["mode"] == "entry point" and report["refused"] >= 60, odd
    assert [a["name"] for a in report["attempts"] if a["result"] == "not promised"] in ([], ["startup"])
    # The warden's door is in there, and these knocked at it.
    assert by["forge-gate"]["said"] == "a second gate is refused" and by["shim-door"]["said"] == "the door for shims ran nothing"
    assert all(a["reached"] for a in report["attempts"] if a["result"] == "refused")
