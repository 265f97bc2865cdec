"""A sample of the faults of `python -m tests.chaos`, the same ones every time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(420)]
QUICK = (
    *("engine killed", "nanny killed", "controller killed", "task scheduler killed", "direct scheduler killed"),
    *("broadcast scheduler killed", "heart monitor killed", "service manager killed", "watch killed"),
    *("SSH server stopped", "SSH server deaf", "tunnel killed", "tunnel's minder killed", "disk full", "worker killed"),
)
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.getuid() != 0, reason="mount: only root may mount a disk that can be full")
def test_what_breaks_heals_no_call_hangs_and_nothing_is_left():
    command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--seconds", "90", "--size", "2", "--engines", "1"]
    command += ["--faults", str(len(QUICK)), "--kinds", ", ".join(QUICK)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "well by itself" in done.stdout
    assert "left: nothing" in done.stdout
