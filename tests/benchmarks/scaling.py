"""Time against the number of local nodes, one engine each: start, an answer from every engine, terminate.

python tests/benchmarks/scaling.py [3 8 16 32]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import client_file, clusterctl, home, machine, seconds

_CALL = """
import os, sys
import ipyparallel
client = ipyparallel.Client(sys.argv[1])
assert len(set(client[:].apply_sync(os.getpid))) == int(sys.argv[2]), client.ids
client.close()
"""


def row(size: int) -> str:
    """Start, ask, terminate."""
    with home() as env:
        options = ["--set", "ipcluster.engines_per_node=1", "--set", "ipcluster.engine_timeout=300"]
        began = time.monotonic()
        shown = clusterctl(env, "start", "-s", str(size), "--timings", *options, "scale")
        started = time.monotonic() - began
        command = [sys.executable, "-c", _CALL, str(client_file(env, "scale")), str(size)]
        answered = seconds(lambda: subprocess.run(command, check=True))
        ended = seconds(clusterctl, env, "terminate", "--yes", "scale")
    most = next(line for line in shown.splitlines() if line.startswith("remote commands")).split()[-4]
    return f"{size:>6}{started:>10.1f}{answered:>10.1f}{ended:>13.1f}{most:>17}"


def main() -> None:
    """Print a row for each size."""
    print(machine())
    print(f"{'nodes':>6}{'start s':>10}{'answer s':>10}{'terminate s':>13}{'commands a node':>17}")
    for size in [int(word) for word in sys.argv[1:]] or [3, 8, 16, 32]:
        print(row(size), flush=True)


if __name__ == "__main__":
    main()
