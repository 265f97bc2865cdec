"""From the command to the first result: `clusterctl start` against `ipcluster start`, side by side in one run.

    python tests/benchmarks/main_job.py [--runs 5]

Six engines in both. ipcluster is timed as it comes, and with our heartbeat period given to it. Its client starts
together with it and imports ipyparallel meanwhile; ours starts when `start` has ended, as a user would.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import client_file, clusterctl, home, machine, spread

_CALL = """
import os, sys, threading
import ipyparallel
path, wake = sys.argv[1], threading.Event()
while not os.path.exists(path) or not os.path.getsize(path):
    wake.wait(0.02)
client = ipyparallel.Client(path)
client.wait_for_engines(6, timeout=120, interactive=False)
assert len(client[:].apply_sync(os.getpid)) == 6
client.close()
"""
_PERIOD = "c = get_config()\nc.HeartMonitor.period = 500\nc.HeartMonitor.max_heartmonitor_misses = 40\n"
"""Our heartbeat settings, as the profile's config of the controller: `ipcluster` hands no options of it on."""


def first_result(path: Path) -> None:
    """A Python of its own connects and calls every engine once."""
    subprocess.run([sys.executable, "-c", _CALL, str(path)], check=True)


def ours() -> float:
    """Three nodes of two engines."""
    with home() as env:
        began = time.monotonic()
        clusterctl(env, "start", "-s", "3", "--set", "ipcluster.engines_per_node=2", "bench")
        first_result(client_file(env, "bench"))
        took = time.monotonic() - began
        clusterctl(env, "terminate", "--yes", "bench")
    return took


def ipcluster(config: str = "") -> float:
    """Six engines on this machine, by ipyparallel's own command."""
    program = Path(sys.executable).with_name("ipcluster")
    with tempfile.TemporaryDirectory(prefix="ipcluster-bench-") as profile:
        (Path(profile) / "ipcontroller_config.py").write_text(config)
        began = time.monotonic()
        process = subprocess.Popen(
            [str(program), "start", "-n", "6", f"--profile-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "IPYTHONDIR": profile},
            start_new_session=True,
        )
        try:
            first_result(Path(profile) / "security" / "ipcontroller-client.json")
            return time.monotonic() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def main() -> None:
    """Run them in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(machine())
    ours()  # fills the caches of packages and environments: the comparison is of warm ones
    results: dict[str, list[float]] = {"clusterctl start": [], "ipcluster start": [], "ipcluster, period 500": []}
    acts = [ours, ipcluster, lambda: ipcluster(_PERIOD)]
    for number in range(runs):
        pairs = list(zip(results, acts, strict=True))
        for name, act in pairs if number % 2 == 0 else reversed(pairs):
            results[name].append(act())
            print(f"  run {number + 1}: {name} {results[name][-1]:.2f} s", flush=True)
    print(f"\nseconds to the first result, 6 engines, median (least - most) of {runs}")
    for name, values in results.items():
        print(f"{name:24}{spread(values)}")
    own = statistics.median(results["clusterctl start"])
    for name in list(results)[1:]:
        print(f"clusterctl / {name}: {own / statistics.median(results[name]):.2f}")


if __name__ == "__main__":
    main()
