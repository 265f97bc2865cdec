"""The seconds of a processor that `clusterctl top` costs a node in a minute: all of its processes, with and without it.

python tests/benchmarks/top.py [--nodes 3] [--seconds 60] [--busy]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import CLUSTERCTL, clusterctl, home, machine

MOST = 0.6
"""Seconds a minute: 1 % of a core."""
_SETTLED_S = 30
"""After which the nodes' own work is the same from minute to minute."""
_TICK = os.sysconf("SC_CLK_TCK")
_READER = "sys.stdin.buffer.read("
_BUSY = """
import sys, time
import ipyparallel
view = ipyparallel.Client(sys.argv[1]).load_balanced_view()
print("ready", flush=True)
while True:
    view.map_sync(time.sleep, [0.2] * 200, chunksize=1)
"""


def used_s(folder: str, word: str = "") -> float:
    """Return what all processes of the nodes have used so far, or those with this word in their command lines."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if folder.encode() in words + (process / "environ").read_bytes() and word.encode() in words:
                times = (process / "stat").read_text().rpartition(")")[2].split()[11:15]
                total += sum(map(int, times))
        except OSError:
            continue
    return total / _TICK


def main() -> None:
    """Print both, and the difference a node and a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--busy", action="store_true", help="have the engines do 5 tasks a second each")
    options = parser.parse_args()
    with home() as env, tempfile.NamedTemporaryFile() as output:
        clusterctl(env, "start", "-s", str(options.nodes), "top")
        nodes = str(Path(env["CLUSTERCTL_HOME"]) / "local" / "top")
        others = []
        try:
            if options.busy:
                file = str(Path(env["CLUSTERCTL_HOME"]) / "clusters" / "top" / "client.json")
                others.append(subprocess.Popen([sys.executable, "-c", _BUSY, file], stdout=subprocess.PIPE))
                assert others[0].stdout
                others[0].stdout.readline()

            time.sleep(_SETTLED_S)

            def measure() -> tuple[float, float]:
                before = used_s(nodes), used_s(nodes, _READER)
                time.sleep(options.seconds)
                used = used_s(nodes) - before[0], used_s(nodes, _READER) - before[1]
                return used[0] / options.nodes * 60 / options.seconds, used[1] / options.nodes * 60 / options.seconds

            without, _ = measure()
            others.append(subprocess.Popen([*CLUSTERCTL, "top", "top", "--json"], env=env, stdout=output))
            time.sleep(10)
            looked, own = measure()
        finally:
            for other in others:
                other.terminate()
                other.wait()
            clusterctl(env, "terminate", "--yes", "top")
        lines = Path(output.name).read_text().count("\n")
    cost = looked - without
    sys.stdout.write(f"{machine()}\n{options.nodes} nodes, seconds of a processor a node a minute\n")
    sys.stdout.write(f"without top {without:.2f}\nwith top    {looked:.2f} ({lines} looks)\n")
    sys.stdout.write(f"its own programs {own:.2f}\n")
    sys.stdout.write(f"top costs   {cost:.2f}, allowed {MOST}: {'kept' if cost <= MOST else 'NOT kept'}\n")


if __name__ == "__main__":
    main()
