"""Copies to a node and back: `put` and `get` against `scp -r`, in turn, on one node of this computer.

python tests/benchmarks/copies.py [--runs 5] [--files 1000] [--megabytes 200]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import CLUSTERCTL, clusterctl, home, machine, seconds


def main() -> None:
    """Copy many small files, and one large one; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=1000, help="of 1 kB each")
    parser.add_argument("--megabytes", type=int, default=200, help="of the large file")
    options = parser.parse_args()
    with home() as env:
        folder = Path(env["CLUSTERCTL_HOME"])
        trees = {f"{options.files} files": folder / "many", f"{options.megabytes} MB": folder / "large"}
        for tree in trees.values():
            tree.mkdir()
        for number in range(options.files):
            (folder / "many" / f"{number}.txt").write_bytes(os.urandom(1000))
        (folder / "large" / "file").write_bytes(os.urandom(options.megabytes * 1_000_000))
        clusterctl(env, "start", "-s", "1", "copies")
        try:
            print(machine())
            for name, tree in trees.items():
                compare(env, name, tree, options.runs)
        finally:
            clusterctl(env, "terminate", "--yes", "copies")


def compare(env: dict[str, str], name: str, tree: Path, runs: int) -> None:
    """Copy a tree there and back by both, each time to a place where nothing is."""
    back = Path(env["CLUSTERCTL_HOME"], "back")
    times: dict[tuple[str, str], list[float]] = {}
    for run in range(runs + 1):
        for direction in ("put", "get"):
            for program, command in commands(env, tree, back, direction).items():
                shutil.rmtree(back, ignore_errors=True)
                if direction == "put":
                    clusterctl(env, "sshmaster", "copies", "rm -rf there")
                took = seconds(lambda c=command: subprocess.run(c, env=env, check=True, capture_output=True))
                if run:  # the first warms up
                    times.setdefault((direction, program), []).append(took)
    for direction in ("put", "get"):
        ours, theirs = (statistics.median(times[direction, program]) for program in ("clusterctl", "scp"))
        print(f"{name:12} {direction}  clusterctl {ours:6.2f} s   scp -r {theirs:6.2f} s   {ours / theirs:5.2f}")


def commands(env: dict[str, str], tree: Path, back: Path, direction: str) -> dict[str, list[str]]:
    """The command of each program."""
    cluster = Path(env["CLUSTERCTL_HOME"], "clusters", "copies")
    address, _, port = (cluster / "known_hosts").read_text().split()[0].lstrip("[").partition("]:")
    scp = ["scp", "-q", "-r", "-i", str(cluster / "id_ed25519"), "-P", port]
    scp += ["-o", f"UserKnownHostsFile={cluster / 'known_hosts'}", "-o", "BatchMode=yes"]
    if direction == "put":
        return {
            "clusterctl": [*CLUSTERCTL, "put", "copies", str(tree), "there"],
            "scp": [*scp, str(tree), f"{address}:there"],
        }
    return {
        "clusterctl": [*CLUSTERCTL, "get", "copies", "there", str(back)],
        "scp": [*scp, f"{address}:there", str(back)],
    }


if __name__ == "__main__":
    main()
