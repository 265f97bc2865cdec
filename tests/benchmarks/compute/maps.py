"""A map by the pool against the other ways to map, side by side in one run, and their ratios.

python tests/benchmarks/maps.py [--rounds 5] [--nodes 3]

One local cluster of two engines a node. Each round runs every way once, in turn, so that what else the machine does
meets all of them. `ideal` is the sum of all items' times divided by the engines.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.compute.client import Client
    from clusterctl.compute.pool import Pool

QUICK = range(1000)
MANY = range(100_000)
SKEWED = [0.04] * 50 + [0.001] * 950


def square(number: int) -> int:
    """What costs nothing."""
    return number * number


def ways(client: Client, pool: Pool) -> dict[str, dict[str, Callable[[], object]]]:
    """What is compared, by the name of the work; the first way is ours."""
    view, balanced = client[:], client.load_balanced_view()
    local = multiprocessing.Pool(len(client.ids))
    ideal = sum(SKEWED) / len(client.ids)
    return {
        "1,000 quick items": {
            "pool": lambda: pool.map(square, QUICK),
            "DirectView.map": lambda: view.map_sync(square, QUICK),
            "LoadBalancedView.map, chunksize 1": lambda: balanced.map_sync(square, QUICK, chunksize=1),
            "multiprocessing.Pool": lambda: local.map(square, QUICK),
        },
        "100,000 quick items": {
            "pool": lambda: pool.map(square, MANY),
            "DirectView.map": lambda: view.map_sync(square, MANY),
            "multiprocessing.Pool": lambda: local.map(square, MANY),
        },
        "50 of 40 ms, then 950 of 1 ms": {
            "pool": lambda: pool.map(time.sleep, SKEWED),
            "DirectView.map": lambda: view.map_sync(time.sleep, SKEWED),
            "LoadBalancedView.map, chunksize 1": lambda: balanced.map_sync(time.sleep, SKEWED, chunksize=1),
            "ideal": lambda: time.sleep(ideal),
        },
        "the same, the long ones last": {
            "pool": lambda: pool.map(time.sleep, SKEWED[::-1]),
            "DirectView.map": lambda: view.map_sync(time.sleep, SKEWED[::-1]),
            "ideal": lambda: time.sleep(ideal),
        },
        "one call": {
            "pool": lambda: pool.apply(square, (3,)),
            "DirectView.apply_sync": lambda: client[0].apply_sync(square, 3),
        },
    }


def main() -> None:
    """Print a table for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with home() as env:
        clusterctl(env, "start", "-s", str(options.nodes), "--set", "ipcluster.engines_per_node=2", "maps")
        try:
            os.environ.update(env)
            import clusterctl as library

            client = library.connect("maps")
            with client.pool() as pool:
                for work, candidates in ways(client, pool).items():
                    times: dict[str, list[float]] = {name: [] for name in candidates}
                    for number in range(options.rounds + 1):
                        for name, run in candidates.items():
                            taken = seconds(run)
                            if number:  # the first round is for whoever loads something
                                times[name].append(taken)
                    ours = statistics.median(times["pool"])
                    print(f"\n{work}, {len(client.ids)} engines")
                    for name, values in times.items():
                        median = statistics.median(values)
                        print(f"  {name:36}{median * 1000:10.1f} ms{median / ours:10.2f} times the pool's")
            client.close()
        finally:
            clusterctl(env, "terminate", "--yes", "maps")


if __name__ == "__main__":
    main()
