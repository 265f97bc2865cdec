"""What one controller holds: light stand-ins for engines register with a real one, and a client gives them work.

python tests/benchmarks/controller.py [100 300 1000] [--calls 100000] [--balanced 10000]

For each count: seconds until the hub lists all, memory of the controller's processes, calls a second through the
scheduler for direct calls and through the balancing one. The stand-ins share the machine with the controller.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from common import client_file, clusterctl, home, machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ipyparallel

_LIGHT = Path(__file__).parent / "light_engines.py"
_EACH = 250
"""Stand-ins in one process."""
_DEADLINE_S = 600
_IN_FLIGHT = 4000
"""Calls that wait for their answers at once."""


def controller_memory(folder: str) -> float:
    """MB of the controller's processes: what is shared counts once for each that has it mapped."""
    total = 0
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if folder in words and "ipcontroller" in words:
                total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


@contextmanager
def light_engines(count: int, connection: Path) -> Iterator[None]:
    """So many of them, registered as far as they know."""
    sizes = [_EACH] * (count // _EACH) + ([count % _EACH] if count % _EACH else [])
    command = [sys.executable, str(_LIGHT)]
    processes = [
        subprocess.Popen([*command, str(size), str(connection)], stdout=subprocess.PIPE, text=True) for size in sizes
    ]
    try:
        for process, size in zip(processes, sizes, strict=True):
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(size)]
            if not all(lines):
                raise SystemExit(f"stand-ins ended after {sum(map(bool, lines))} of {size} were registered")
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def await_engines(client: ipyparallel.Client, count: int) -> None:
    """Return when the client lists so many."""
    deadline = time.monotonic() + _DEADLINE_S
    while len(client.ids) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {_DEADLINE_S} s the hub lists {len(client.ids)} of {count}")
        time.sleep(0.05)


def direct_calls(client: ipyparallel.Client, ids: list[int], calls: int) -> float:
    """Calls a second, each engine in turn."""
    view = client[ids]
    pending: deque[ipyparallel.AsyncResult] = deque()
    began = time.monotonic()
    for _ in range(max(1, calls // len(ids))):
        pending.append(view.apply_async(abs, 1))
        if len(pending) * len(ids) > _IN_FLIGHT:
            pending.popleft().get(timeout=_DEADLINE_S)
    for result in pending:
        result.get(timeout=_DEADLINE_S)
    return max(1, calls // len(ids)) * len(ids) / (time.monotonic() - began)


def balanced_calls(client: ipyparallel.Client, ids: list[int], calls: int) -> float:
    """Calls a second, each to an engine that the controller chooses."""
    view = client.load_balanced_view(ids)
    began = time.monotonic()
    view.map_async(abs, range(calls), chunksize=1).get(timeout=_DEADLINE_S)
    return calls / (time.monotonic() - began)


def row(count: int, calls: int, balanced: int) -> str:
    """Start a cluster, have so many register, give them work."""
    import ipyparallel

    with home() as env:
        clusterctl(env, "start", "-s", "1", "--set", "ipcluster.engines_per_node=1", "light")
        try:
            (connection,) = Path(env["CLUSTERCTL_HOME"]).rglob("ipcontroller-engine.json")
            client = ipyparallel.Client(str(client_file(env, "light")))
            (real,) = client.ids
            before = controller_memory(env["CLUSTERCTL_HOME"])
            began = time.monotonic()
            with light_engines(count, connection):
                await_engines(client, count + 1)
                registered = time.monotonic() - began
                held = controller_memory(env["CLUSTERCTL_HOME"])
                ids = [number for number in client.ids if number != real]
                direct = direct_calls(client, ids, calls)
                after = controller_memory(env["CLUSTERCTL_HOME"])
                chosen = balanced_calls(client, ids, balanced) if balanced else 0.0
                listed = len(client.ids) - 1
            client.close()
        finally:
            clusterctl(env, "terminate", "--yes", "light")
    missing = "" if listed == count else f"  {count - listed} were given up meanwhile"
    return (
        f"{count:>8}{registered:>14.1f}{before:>12.0f}{held:>12.0f}{after:>12.0f}{direct:>12.0f}{chosen:>13.0f}"
        f"{missing}"
    )


def main() -> None:
    """Print a row for each count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--calls", type=int, default=100_000, help="direct calls")
    parser.add_argument("--balanced", type=int, default=10_000, help="calls that the controller balances; 0 for none")
    options = parser.parse_args()
    print(machine())
    print(
        f"{'engines':>8}{'registered s':>14}{'MB before':>12}{'MB with':>12}{'MB after':>12}{'direct/s':>12}"
        f"{'balanced/s':>13}"
    )
    for count in options.counts:
        print(row(count, options.calls, options.balanced), flush=True)


if __name__ == "__main__":
    main()
