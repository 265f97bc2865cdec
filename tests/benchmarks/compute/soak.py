"""A million items by `imap_unordered`, results dropped: whether the memory of client, controller and engines grows.

python tests/benchmarks/compute/soak.py [--items 1000000] [--buffer 50]

One local cluster of six engines. Items are read `--buffer` ahead, so no chunk has more: a million items are 20,000
chunks at least. Each part's memory (PSS, of all of its processes) is taken every second. The exit status says whether
each was flat within 10 % in the second half.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import clusterctl, home, machine

_FLAT = 1.1
_EVERY_S = 1.0


def processes(folder: str) -> dict[str, list[psutil.Process]]:
    """This process, and those of the cluster in this folder."""
    parts: dict[str, list[psutil.Process]] = {"client": [psutil.Process()], "controller": [], "engines": []}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if folder in words and "ipcontroller" in words:
                parts["controller"].append(process)
            elif folder in words and "ipengine" in words and "nanny" not in words:
                parts["engines"].append(process)
    return parts


def memory_mb(parts: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """What each part has: a page that several processes share counts in parts."""
    return {name: sum(process.memory_full_info().pss for process in own) / 1e6 for name, own in parts.items()}


def main() -> None:
    """Print the memory of each part, ten times, and its growth in the second half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--buffer", type=int, default=50)
    options = parser.parse_args()
    print(machine())
    samples: list[tuple[int, dict[str, float]]] = []
    with home() as env:
        clusterctl(env, "start", "-s", "3", "--set", "ipcluster.engines_per_node=2", "soak")
        try:
            os.environ.update(env)
            import clusterctl as library

            client = library.connect("soak")
            parts = processes(env["CLUSTERCTL_HOME"])
            began = due = time.monotonic()
            results = client.pool().imap_unordered(abs, range(options.items), buffersize=options.buffer)
            total = 0
            for done, value in enumerate(results, start=1):
                total += value
                if time.monotonic() >= due:
                    samples.append((done, memory_mb(parts)))
                    due = time.monotonic() + _EVERY_S
                    if len(samples) % 30 == 1:
                        print(f"{done:10} items  " + _line(samples[-1][1]), flush=True)
            seconds = time.monotonic() - began
            is_right = total == sum(range(options.items))
            print(f"{options.items} items, {results.report.chunks} chunks, {seconds:.0f} s, right: {is_right}")
            client.close()
        finally:
            clusterctl(env, "terminate", "--yes", "soak")
    is_flat = True
    half = [memory for done, memory in samples if done >= options.items / 2]
    for name in parts:
        values = [memory[name] for memory in half]
        # The least of the first samples: what was free already when the second half began.
        growth = max(values) / min(values[: max(1, len(values) // 10)])
        is_flat = is_flat and growth <= _FLAT
        print(f"  {name:12}{values[0]:8.1f} -> {values[-1]:.1f} MB in the second half, at most {growth:.3f} times")
    sys.exit(not (is_flat and is_right))


def _line(memory: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.1f} MB" for name, value in memory.items())


if __name__ == "__main__":
    main()
