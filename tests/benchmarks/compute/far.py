"""A client that is far away: connect, a map, Ctrl-C, through a tunnel of 80 ms there and back and 20 Mbit/s.

python tests/benchmarks/compute/far.py [--rounds 5] [--round-trip 0.08] [--mbit 20]

One local cluster of six engines. The tunnel's connection goes through a relay on loopback (tests/support/far_way.py).
`ideal` is the sum of all items' times divided by the engines. Ctrl-C is a real SIGINT to a Python in a map.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[3]))
from common import client_file, clusterctl, home, machine, seconds

from tests.support.far_way import MBIT_S, ROUND_TRIP_S, far_tunnel

ITEMS, ITEM_S = 1000, 0.01

INTERRUPTED = """
import signal, sys, time
import clusterctl
signal.signal(signal.SIGINT, signal.default_int_handler)
client = clusterctl.connect("far")
client.map(abs, range(100))
print("begins", flush=True)
try:
    client.map(time.sleep, [0.5] * 10000)
except KeyboardInterrupt:
    print("prompt", flush=True)
print(client[:].apply_sync(abs, -1), flush=True)
client.close()
"""


def interrupt() -> tuple[float, float]:
    """Seconds from Ctrl-C to the prompt, and to an answer of every engine."""
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(1.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "prompt\n"
        prompt_s = time.monotonic() - began
        process.stdout.readline()
        return prompt_s, time.monotonic() - began


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-trip", type=float, default=ROUND_TRIP_S, help="seconds")
    parser.add_argument("--mbit", type=float, default=MBIT_S)
    options = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    times: dict[str, list[float]] = {}
    with home() as env:
        clusterctl(env, "start", "-s", "3", "--set", "ipcluster.engines_per_node=2", "far")
        os.environ.update(env, CLUSTERCTL_TUNNEL="always")
        try:
            clusterctl(dict(os.environ), "start", "far")
            import clusterctl as library

            with far_tunnel(client_file(env, "far").parent, round_trip_s=options.round_trip, mbit_s=options.mbit):
                for _ in range(options.rounds):
                    began = time.monotonic()
                    client = library.connect("far")
                    times.setdefault("connect", []).append(time.monotonic() - began)
                    ideal = ITEMS * ITEM_S / len(client.ids)
                    taken = seconds(client.map, time.sleep, [ITEM_S] * ITEMS)
                    times.setdefault("a map right after connect, ideals", []).append(taken / ideal)
                    client.close()
                    began = time.monotonic()
                    client = library.connect("far")
                    client.pool().apply(abs, (-1,))
                    times.setdefault("connect and the first call", []).append(time.monotonic() - began)
                    for name in ("the map after a call, ideals", "the same once more, ideals"):
                        taken = seconds(client.map, time.sleep, [ITEM_S] * ITEMS)
                        times.setdefault(name, []).append(taken / ideal)
                    times.setdefault("one call", []).append(seconds(client.pool().apply, abs, (-1,)))
                    times.setdefault("DirectView's", []).append(seconds(client[0].apply_sync, abs, -1))
                    client.close()
                    prompt_s, free_s = interrupt()
                    times.setdefault("Ctrl-C: prompt", []).append(prompt_s)
                    times.setdefault("Ctrl-C: every engine has answered", []).append(free_s)
        finally:
            clusterctl(env, "terminate", "--yes", "far")
    for name, values in times.items():
        print(f"  {name:36}{statistics.median(values):8.2f}  ({min(values):.2f} - {max(values):.2f})")


if __name__ == "__main__":
    main()
