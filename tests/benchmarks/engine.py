"""What an engine and its nanny take until they are registered: started by us, and by ipyparallel itself.

    python tests/benchmarks/engine.py [--runs 5]

Both ways in turn, as one more engine of the same local cluster of one node. Processor seconds, and the memory that is
theirs alone. Needs Linux, for /proc.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine, spread

NAME = "bench"
TICKS = os.sysconf("SC_CLK_TCK")


def processes(engine: int) -> list[int]:
    """The engine, and its children."""
    children = Path(f"/proc/{engine}/task/{engine}/children").read_text().split()
    return [engine, *map(int, children)]


def cpu_seconds(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def own_mb(pid: int) -> float:
    """Memory that no other process has, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def measure(command: list[str], number: int, log: Path) -> tuple[float, float]:
    """Processor seconds and MB of an engine of this id, once it says that it is registered."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        engine = subprocess.Popen([*command, f"--IPEngine.id={number}"], stdout=output, stderr=output, env=environment)
        try:
            deadline = time.monotonic() + 60
            while "Completed registration" not in log.read_text():
                if time.monotonic() > deadline or engine.poll() is not None:
                    raise SystemExit(f"the engine did not register:\n{log.read_text()}")
                time.sleep(0.05)
            found = processes(engine.pid)
            return sum(map(cpu_seconds, found)), sum(map(own_mb, found))
        finally:
            engine.terminate()
            engine.wait()


def main() -> None:
    """Measure both in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with home() as env:
        clusterctl(env, "start", "-s", "1", "--set", "ipcluster.engines_per_node=1", NAME)
        try:
            node = Path(env["CLUSTERCTL_HOME"]) / "local" / NAME / "master"
            profile = node / "state" / "ipython" / "profile_cluster"
            os.environ["IPYTHONDIR"] = str(profile.parent)
            python, options = str(node / "env" / "bin" / "python"), [f"--profile-dir={profile}"]
            ways = {
                "clusterctl": [python, str(profile / "ipengine.py"), *options],
                "ipyparallel": [python, "-m", "ipyparallel.engine", *options],
            }
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for number in range(runs + 1):  # the first one of each warms the caches
                for name, command in ways.items():
                    results[name].append(measure(command, 100 + number, node / "bench.log"))
        finally:
            clusterctl(env, "terminate", "--yes", NAME)
    print(machine())
    for name, values in results.items():
        cpu, memory = zip(*values[1:], strict=True)
        print(f"{name:12} {spread(list(cpu))} s of the processor    {spread(list(memory))} MB")


if __name__ == "__main__":
    main()
