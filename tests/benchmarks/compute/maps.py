"""The pool against the other ways to map, side by side in one run, and the ratios that are asked of it.

python tests/benchmarks/compute/maps.py [--rounds 5] [--nodes 3] [--only WORD]

One local cluster of two engines a node, and as many workers for each other tool. Each round runs every way once, in
turn, so that what else the machine does meets all of them; the first round is not counted. `ideal` is the sum of all
items' times divided by the engines. joblib and Dask (with TLS) have rows where they are installed: `pip install joblib
distributed cryptography`, in an environment of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import clients
import others
from common import clusterctl, home, machine, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.compute.client import Client
    from clusterctl.compute.pool import Pool

QUICK = range(1000)
MANY = range(100_000)
SKEWED = [0.04] * 50 + [0.001] * 950
CHUNKS = (5, 20, 50)


def square(number: int) -> int:
    """What costs nothing."""
    return number * number


@dataclass
class Work:
    """One kind of work, and what is asked of the first way, which is ours."""

    name: str
    ways: dict[str, Callable[[], object]]
    asked: dict[str, float] = field(default_factory=dict)
    """At most so many times what this other way takes."""


def kinds(client: Client, pool: Pool, opened: ExitStack) -> list[Work]:
    """What is compared."""
    engines = len(client.ids)
    view, balanced = client[:], client.load_balanced_view()
    processes = opened.enter_context(others.processes(engines))
    loky, dask = opened.enter_context(others.loky(engines)), opened.enter_context(others.dask(engines))
    ideal = sum(SKEWED) / engines

    def skewed(name: str, items: list[float]) -> Work:
        fixed = {
            f"chunks of {size}": lambda size=size: balanced.map_sync(time.sleep, items, chunksize=size)
            for size in CHUNKS
        }
        ways = {
            "pool": lambda: pool.map(time.sleep, items),
            "ideal": lambda: time.sleep(ideal),
            "DirectView.map": lambda: view.map_sync(time.sleep, items),
            **fixed,
        }
        return Work(name, ways, {"ideal": 1.25, **dict.fromkeys(fixed, 1.05), "DirectView.map": 0.5})

    quick = {
        "pool": lambda: pool.map(square, QUICK),
        "DirectView.map": lambda: view.map_sync(square, QUICK),
        "joblib, loky": lambda: loky(square, QUICK),
        "Dask's map, TLS": lambda: dask(square, QUICK),
        "LoadBalancedView, chunks of 1": lambda: balanced.map_sync(square, QUICK, chunksize=1),
        "multiprocessing.Pool": lambda: processes.map(square, QUICK),
    }
    missing = {"joblib, loky": loky, "Dask's map, TLS": dask}
    quick = {name: way for name, way in quick.items() if missing.get(name, way) is not None}
    return [
        Work(
            "1,000 quick items",
            quick,
            {
                "DirectView.map": 2.0,
                "joblib, loky": 1.2,
                "Dask's map, TLS": 1 / 40,
                "LoadBalancedView, chunks of 1": 1 / 40,
            },
        ),
        Work(
            "100,000 quick items",
            {
                "pool": lambda: pool.map(square, MANY),
                "multiprocessing.Pool": lambda: processes.map(square, MANY),
                "DirectView.map": lambda: view.map_sync(square, MANY),
            },
            {"multiprocessing.Pool": 6.0},
        ),
        skewed("50 of 40 ms, then 950 of 1 ms", SKEWED),
        skewed("950 of 1 ms, then 50 of 40 ms", SKEWED[::-1]),
        Work(
            "one call",
            {
                "pool": lambda: [pool.apply(square, (3,)) for _ in range(20)],
                "DirectView.apply_sync": lambda: [client[0].apply_sync(square, 3) for _ in range(20)],
            },
            {"DirectView.apply_sync": 1.1},
        ),
    ]


def compare(work: Work, rounds: int) -> None:
    """Run all ways in turn, and print what they took."""
    times: dict[str, list[float]] = {name: [] for name in work.ways}
    for number in range(rounds + 1):
        for name, run in work.ways.items():
            taken = seconds(run)
            if number:  # the first round is for whoever loads something
                times[name].append(taken)
    print(f"\n{work.name}; load {os.getloadavg()[0]:.1f}")
    ours = statistics.median(times["pool"])
    for name, values in times.items():
        median = statistics.median(values)
        line = f"  {name:32}{median * 1000:10.1f} ms ({min(values) * 1000:.1f} - {max(values) * 1000:.1f})"
        if name in work.asked:
            # Of each round by itself: what else the machine did met both.
            ratio = statistics.median(own / other for own, other in zip(times["pool"], values, strict=True))
            verdict = "" if ratio <= work.asked[name] else "  MISSED"
            line += f"   the pool takes {ratio:.3f} of it, asked {work.asked[name]:.3f}{verdict}"
        elif name != "pool":
            line += f"   the pool takes {ours / median:.3f} of it"
        print(line, flush=True)


def main() -> None:
    """Print a table for each kind of work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--only", default="", help="the kinds of work that have this in their name")
    options = parser.parse_args()
    print(machine())
    with home() as env:
        clusterctl(env, "start", "-s", str(options.nodes), "--set", "ipcluster.engines_per_node=2", clients.NAME)
        try:
            os.environ.update(env)
            import clusterctl as library

            client = library.connect(clients.NAME)
            with client.pool() as pool, ExitStack() as opened:
                for work in kinds(client, pool, opened):
                    if options.only in work.name:
                        compare(work, options.rounds)
            client.close()
            if not options.only:
                clients.show_all(env, options.rounds)
        finally:
            clusterctl(env, "terminate", "--yes", clients.NAME)


if __name__ == "__main__":
    main()
