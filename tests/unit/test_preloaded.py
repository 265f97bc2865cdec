"""The Python that tests copy commands from lives no longer than they do."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ASKER = """
import os
from tests.support.preloaded import Preloaded
server = Preloaded("")
assert server.run(env={}, code="print(1 + 1)").stdout == "2\\n"
print(server._process.pid, server._place, flush=True)
os.kill(os.getpid(), 9)
"""


def test_it_ends_when_whoever_asks_is_killed(allow_subprocess):
    said = subprocess.run([sys.executable, "-c", ASKER], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    pid, place = said.split()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(30)
    assert not Path(place).parent.exists()
