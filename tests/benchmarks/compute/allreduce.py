"""AllReduce between the engines against the ways through the client, and MPI alone, in one run: ratios.

python tests/benchmarks/compute/allreduce.py [--rounds 7] [--megabytes 8]

One local cluster of three nodes with two engines each, that have numpy. Each round runs every way once, in turn; the
first round is not counted. The variable of all engines has the sum of all afterwards, whichever way it goes. MPI's rows
are of a second such cluster with the plugin mpi, and of `mpiexec -n 6` with its Python: in turn, three times.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import client_file, clusterctl, home, machine, seconds

ASKED, ASKED_OF_MPI = 0.4, 2.0
"""At most so many times what it takes to pull all values to the client, and to push their sum; and mpi4py alone."""
CONFIG = """
[global]
DEFAULT_TEMPLATE = plain

[cluster plain]
PROVIDER = local
CLUSTER_SIZE = 3
PLUGINS = ipcluster

[cluster mpi]
EXTENDS = plain
PLUGINS = mpi, ipcluster

[plugin packages]
PACKAGES = numpy

[plugin ipcluster]
ENGINES_PER_NODE = 2
"""
TURNS = 3
MPI = """
import sys, time
import numpy as np
from mpi4py import MPI
own, total, times = np.ones(int(sys.argv[1])), np.empty(int(sys.argv[1])), []
for _ in range(int(sys.argv[2]) + 1):
    MPI.COMM_WORLD.Barrier()
    began = time.perf_counter()
    MPI.COMM_WORLD.Allreduce(own, total)
    times.append(time.perf_counter() - began)
if MPI.COMM_WORLD.rank == 0:
    print(sorted(times[1:])[len(times[1:]) // 2])
"""


def fill(count: int) -> None:
    """Give the session of an engine its array."""
    import numpy as np
    from IPython import get_ipython

    get_ipython().user_ns["w"] = np.ones(count)


def loop(group: object, count: int, rounds: int) -> float:
    """Return the median seconds of one call among many in one function."""
    import time

    import numpy as np

    own, times = np.ones(count), []
    for _ in range(rounds + 1):
        group.barrier()
        began = time.perf_counter()
        group.allreduce(own)
        times.append(time.perf_counter() - began)
    return sorted(times[1:])[rounds // 2]


def mpi_alone(python: str, count: int, rounds: int) -> float:
    """Return the median seconds of mpi4py's own."""
    command = [str(Path(python).with_name("mpiexec")), "-n", "6", python, "-c", MPI, str(count), str(rounds)]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def with_mpi(folder: dict[str, str], library: object, count: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of a group that has MPI, and of mpi4py's own."""
    clusterctl(folder, "start", "-c", "mpi", "mpi")
    client = library.connect(client_file(folder, "mpi"), wait=6)
    python = client[0].apply_sync(lambda: __import__("sys").executable)
    client.together(loop, count, 1)
    turns = [(client.together(loop, count, rounds)[0], mpi_alone(python, count, rounds)) for _ in range(TURNS)]
    client.close()
    clusterctl(folder, "terminate", "-y", "mpi")
    return statistics.median(ours for ours, _ in turns), statistics.median(alone for _, alone in turns)


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=float, default=8.0)
    asked = parser.parse_args()
    count = int(asked.megabytes * 1e6 / 8)
    with home() as folder:
        (Path(folder["CLUSTERCTL_HOME"]) / "config").write_text(CONFIG)
        clusterctl(folder, "start", "bench")
        import clusterctl as library

        client = library.connect(client_file(folder, "bench"), wait=6)
        view = client[:]

        def star() -> None:
            total = sum(view.pull("w", block=True))
            view.push({"w": total}, block=True)

        def broadcast_star() -> None:
            total = sum(view.pull("w", block=True))
            client.broadcast_view().push({"w": total}, block=True)

        ways = {
            'allreduce("w"), kept on the engines': lambda: client.allreduce("w", fetch=False),
            'allreduce("w"), brought here too': lambda: client.allreduce("w"),
            "pull, add, push": star,
            "pull, add, push by BroadcastView": broadcast_star,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(asked.rounds + 1):
            for name, run in ways.items():
                view.apply_sync(fill, count)
                times[name].append(seconds(run))
        inside = client.together(loop, count, asked.rounds)[0]
        client.close()
        clusterctl(folder, "terminate", "-y", "bench")
        ours, alone = with_mpi(folder, library, count, asked.rounds)
    print(machine())
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    star_s = medians["pull, add, push"]
    for name, taken in medians.items():
        print(f"{name:40} {1000 * taken:8.1f} ms  {taken / star_s:5.2f} x pull and push")
    print(f"{'group.allreduce in one function':40} {1000 * inside:8.1f} ms  {inside / star_s:5.2f} x pull and push")
    print(f"{'the same, with the plugin mpi':40} {1000 * ours:8.1f} ms  {ours / star_s:5.2f} x pull and push")
    print(f"{'mpi4py alone':40} {1000 * alone:8.1f} ms")
    first = next(iter(medians.values()))
    print(f"asked: at most {ASKED} x pull and push: {'met' if first <= ASKED * star_s else 'MISSED'}")
    verdict = "met" if ours <= ASKED_OF_MPI * alone else "MISSED"
    print(f"asked: with MPI at most {ASKED_OF_MPI} x mpi4py alone: {ours / alone:.2f}, {verdict}")


if __name__ == "__main__":
    main()
