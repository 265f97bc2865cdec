"""A job that does nothing against a command on a node, in turn, on a warm cluster of this computer.

python tests/benchmarks/jobs.py [--runs 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import CLUSTERCTL, clusterctl, home, machine, seconds

MOST, MORE_S = 1.5, 0.5
"""`run true` is to take at most so many times what `sshnode NAME 1 true` takes, and so much more."""


def main() -> None:
    """Print both medians, and whether the one is within what the other allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with home() as env, tempfile.TemporaryDirectory() as folder:
        clusterctl(env, "start", "-s", "2", "jobs")
        try:

            def run(*words: str) -> float:
                command = [*CLUSTERCTL, *words]
                return seconds(lambda: subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True))

            run("run", "-c", "jobs", "true")
            pairs = [
                (run("sshnode", "jobs", "1", "true"), run("run", "-c", "jobs", "true")) for _ in range(options.runs)
            ]
        finally:
            clusterctl(env, "terminate", "--yes", "jobs")
    login, job = (statistics.median(column) for column in zip(*pairs, strict=True))
    allowed = MOST * login + MORE_S
    sys.stdout.write(f"{machine()}\nsshnode jobs 1 true  {login:.2f} s\nrun true             {job:.2f} s\n")
    sys.stdout.write(f"allowed              {allowed:.2f} s: {'kept' if job <= allowed else 'NOT kept'}\n")


if __name__ == "__main__":
    main()
