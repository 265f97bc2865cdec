"""How much memory one large value takes of the controller and of an engine, on its way back from a task.

python tests/benchmarks/large_value.py [MIB...]
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine

NAME = "large"


def memory(folder: str) -> dict[str, int]:
    """MiB of the largest process of each kind."""
    largest: dict[str, int] = defaultdict(int)
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            size = process.memory_info().rss >> 20
        except psutil.Error:
            continue
        if folder in words:
            kind = "engine" if "ipengine" in words or "--IPEngine" in words else "controller"
            largest[kind] = max(largest[kind], size)
    return largest


def main() -> None:
    """Print a line for each size."""
    sizes = [int(word) for word in sys.argv[1:]] or [1, 100, 250]
    print(machine())
    with home() as env:
        clusterctl(env, "start", "-s", "2", "--set", "ipcluster.engines_per_node=2", NAME)
        try:
            os.environ.update(env)
            import clusterctl as library

            client = library.connect(NAME)
            client.map(abs, [1])
            for size in sizes:
                result = client.pool().map_async(bytes, [size * 2**20])
                peaks: dict[str, int] = defaultdict(int)
                while not result.ready():
                    for kind, value in memory(env["CLUSTERCTL_HOME"]).items():
                        peaks[kind] = max(peaks[kind], value)
                    result.wait(0.02)
                said = ", ".join(f"{kind} {value} MiB" for kind, value in sorted(peaks.items()))
                print(f"a value of {size} MiB: {said or 'too quick to be seen'}")
                result.get()
            client.close()
        finally:
            clusterctl(env, "terminate", "--yes", NAME)


if __name__ == "__main__":
    main()
