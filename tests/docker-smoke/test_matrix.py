# SPDX-License-Identifier: MIT
"""tests/docker-smoke/matrix: the rows of docs/docker.md are what it prints."""
import os
import pathlib
import subprocess

import pytest

from conftest import system

MATRIX = pathlib.Path(__file__).with_name("matrix")
PAGE = (system.ROOT / "docs/docker.md").read_text()
SMALL = ["alpine:latest", "python:3.11-slim", "node:18-alpine"]


def run(engine, *args):
    done = subprocess.run([MATRIX, *args], capture_output=True, text=True, timeout=1500, env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
    return done, done.stdout.splitlines()[2:]


def test_stand_ins_of_what_is_installed_pass_the_checklist(engine):
    done, rows = run(engine, "--stand-ins", "small", *SMALL, "debian:13", "nobody/has-this:1")
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    for row in rows[:3]:
        assert row in PAGE and row.count("| ok ") == 6 and "stand-in: " in row, row
    for row in rows[3:]:
        assert row.count("| - ") == 6 and "| not run here |" in row, row


def test_an_image_that_is_there_is_run_itself_and_may_fail(engine):
    """One whose start files win over ours: the script says what, and fails."""
    where = engine.dir / "stubborn"
    where.mkdir()
    (where / "Dockerfile").write_text("FROM clawrden-stand-in:debian\nRUN echo 'PATH=/bin; readonly PATH' > /etc/profile\n")
    engine.docker("build", "--network=none", "-q", "-t", "stubborn:1", str(where))
    done, rows = run(engine, "stubborn:1")
    assert done.returncode == 1 and rows[0].startswith("| stubborn:1 | the image itself | failed |") and "sh -lc finds the shims" in done.stderr


@pytest.mark.slow
def test_all_seven_rows_are_those_of_the_page(engine):
    done, rows = run(engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows) == 7 and all(row in PAGE for row in rows), done.stdout
