"""The pool against the other ways to map, side by side in one run, and the ratios that are asked of it.

python tests/benchmarks/compute/maps.py [--rounds 5] [--nodes 3] [--only WORD]

One local cluster of two engines a node, and as many workers for each other tool. Each round runs every way once, in
turn, so that what else the machine does meets all of them; the first round is not counted. `ideal` is the sum of all
items' times divided by the engines; "by hand" are local processes with equal shares of the same items:
what this machine does at best. joblib and Dask (with TLS) have rows where they are installed: `pip install joblib
distributed cryptography`, in an environment of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import clients
import others
from common import clusterctl, home, machine, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def kinds(client: Client, pool: Pool) -> Iterator[Work]:
    """What is compared. Other tools run only meanwhile: their processes have work when they are idle, too."""
    engines = len(client.ids)
    with others.processes(engines) as processes, others.loky(engines) as loky, others.dask(engines) as dask:
        yield quick_items(client, pool, {"joblib, loky": loky, "Dask's map, TLS": dask}, processes)
    with others.processes(engines) as processes:
        ways = {
            "pool": lambda: pool.map(square, MANY),
            "multiprocessing.Pool": lambda: processes.map(square, MANY),
            "DirectView.map": lambda: client[:].map_sync(square, MANY),
        }
        yield Work("100,000 quick items", ways, {"multiprocessing.Pool": 6.0})
    with others.processes(engines) as processes:
        yield skewed_items(client, pool, "50 of 40 ms, then 950 of 1 ms", SKEWED, processes)
        yield skewed_items(client, pool, "950 of 1 ms, then 50 of 40 ms", SKEWED[::-1], processes)
    calls = {
        "pool": lambda: [pool.apply(square, (3,)) for _ in range(20)],
        "DirectView.apply_sync": lambda: [client[0].apply_sync(square, 3) for _ in range(20)],
    }
    yield Work("20 single calls", calls, {"DirectView.apply_sync": 1.1})


def quick_items(client: Client, pool: Pool, tools: dict[str, others.Map | None], processes: others.Pool) -> Work:
    """A thousand of them, by all tools."""
    balanced = client.load_balanced_view()
    ways = {
        "pool": lambda: pool.map(square, QUICK),
        "DirectView.map": lambda: client[:].map_sync(square, QUICK),
        **{name: lambda tool=tool: tool(square, QUICK) for name, tool in tools.items() if tool is not None},
        "LoadBalancedView, chunks of 1": lambda: balanced.map_sync(square, QUICK, chunksize=1),
        "multiprocessing.Pool": lambda: processes.map(square, QUICK),
    }
    fortieth = dict.fromkeys(("Dask's map, TLS", "LoadBalancedView, chunks of 1"), 1 / 40)
    return Work("1,000 quick items", ways, {"DirectView.map": 2.0, "joblib, loky": 1.2, **fortieth})


def sleep_all(times: list[float]) -> None:
    """Sleep one after the other."""
    for seconds_each in times:
        time.sleep(seconds_each)


def skewed_items(client: Client, pool: Pool, name: str, items: list[float], processes: others.Pool) -> Work:
    """Sleeps, of which a few are long, against fixed chunks."""
    balanced, ideal = client.load_balanced_view(), sum(items) / len(client.ids)
    shares = [sorted(items)[number :: len(client.ids)] for number in range(len(client.ids))]
    fixed = {
        f"chunks of {size}": lambda size=size: balanced.map_sync(time.sleep, items, chunksize=size) for size in CHUNKS
    }
    ways = {
        "pool": lambda: pool.map(time.sleep, items),
        "ideal": lambda: time.sleep(ideal),
        "shared by hand, local processes": lambda: processes.map(sleep_all, shares, chunksize=1),
        "DirectView.map": lambda: client[:].map_sync(time.sleep, items),
        **fixed,
    }
    return Work(name, ways, {"ideal": 1.25, **dict.fromkeys(fixed, 1.05), "DirectView.map": 0.5})


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
            with client.pool() as pool:
                for work in kinds(client, pool):
                    if options.only in work.name:
                        compare(work, options.rounds)
            client.close()
            if not options.only:
                clients.show_all(env, options.rounds)
        finally:
            clusterctl(env, "terminate", "--yes", clients.NAME)


if __name__ == "__main__":
    main()
