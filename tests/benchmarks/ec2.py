"""A start of many instances against the stand-in for EC2, without bodies: API calls, seconds, memory; list; terminate.

python tests/benchmarks/ec2.py [10 100 1000]

The clock of the start runs from the command until all instances have their addresses and the wait for SSH begins. In
wall-clock times are those of the stand-in, which shares the cores; "own" is the processor time of the command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from clusterctl_standin.cloud import Cloud
from common import CLUSTERCTL, home, machine

CONFIG = """
[cluster many]
NODE_INSTANCE_TYPE = c7i.large, c7a.large, m7i.large
SPOT_BID = 0.10
ADDRESS = private
ALLOW_FROM = 192.0.2.1/32
START_TIMEOUT = 1
"""
QUOTAS = ("L-34B43A08", "L-1216C47A")
"""CPUs of standard instances, spot and on demand."""
_BEGINS = ">>> Waiting for {} nodes to join"


@dataclass(frozen=True)
class Run:
    """What one command took."""

    calls: int
    wall_s: float
    own_s: float
    memory_mb: float


def run(cloud: Cloud, env: dict[str, str], *arguments: str, until: str = "") -> Run:
    """One command to its end; `wall_s` stops, and calls are counted, when a line begins with `until`."""
    cloud.clear_calls()
    began = time.monotonic()
    process = subprocess.Popen(
        [*CLUSTERCTL, *arguments], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    calls, wall, lines = 0, 0.0, []
    for line in process.stdout:
        lines.append(line)
        if until and line.startswith(until):
            calls, wall = len(cloud.calls), time.monotonic() - began
    _, _, used = os.wait4(process.pid, 0)
    if until and not wall:
        raise SystemExit(f"clusterctl {' '.join(arguments)} did not come so far:\n{''.join(lines)}")
    return Run(
        calls or len(cloud.calls),
        wall or time.monotonic() - began,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
    )


def row(size: int) -> str:
    """Start, list, terminate."""
    with Cloud() as cloud, home() as own:
        Path(own["CLUSTERCTL_HOME"], "config").write_text(CONFIG)
        env = {**own, **cloud.environment()}
        for code in QUOTAS:
            cloud.quotas[code] = 100_000
        start = run(cloud, env, "start", "-s", str(size), "--yes", "many", until=_BEGINS.format(size))
        listed = run(cloud, env, "list", "many")
        ended = run(cloud, env, "terminate", "--yes", "--force", "many")
        left = cloud.left()
    if left:
        raise SystemExit(f"left: {left}")
    cells = [size, start.calls, f"{start.wall_s:.1f}", f"{start.own_s:.1f}", f"{start.memory_mb:.0f}"]
    cells += [listed.calls, f"{listed.own_s:.1f}", ended.calls, f"{ended.wall_s:.1f}"]
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


HEADINGS = ("nodes", "calls", "start s", "own s", "MB", "list calls", "list own s", "end calls", "end s")
WIDTHS = (6, 7, 9, 7, 6, 12, 12, 11, 7)


def main() -> None:
    """Print a row for each size."""
    print(machine())
    print("".join(f"{heading:>{width}}" for heading, width in zip(HEADINGS, WIDTHS, strict=True)))
    for size in [int(word) for word in sys.argv[1:]] or [10, 100, 1000]:
        print(row(size), flush=True)


if __name__ == "__main__":
    main()
