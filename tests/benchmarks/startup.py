"""What the command itself costs before it does anything, against a bare Python.

python tests/benchmarks/startup.py [--runs 11]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import machine, seconds


def main() -> None:
    """Run them in turn; print medians and what is above bare Python."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    script = str(Path(sys.executable).with_name("clusterctl"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "clusterctl --version": [script, "--version"],
        "clusterctl --help": [script, "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            times[name].append(seconds(lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL)))
    print(machine())
    bare = statistics.median(times["python -c pass"][1:])
    for name, values in times.items():
        median = statistics.median(values[1:])
        print(f"{name:24}{1000 * median:7.0f} ms   {1000 * (median - bare):+5.0f} ms")


if __name__ == "__main__":
    main()
