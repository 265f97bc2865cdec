"""A round trip to an engine: directly, through our tunnel, and through `ssh -N` where an ssh client is installed.

python tests/benchmarks/tunnel.py [--calls 200]
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import ipyparallel

sys.path.insert(0, str(Path(__file__).parent))
from common import client_file, clusterctl, home, machine

_CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")


def round_trips(path: Path, calls: int) -> list[float]:
    """Milliseconds of so many calls of one engine, one after the other."""
    client = ipyparallel.Client(str(path))
    view = client[0]
    view.apply_sync(int)
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        view.apply_sync(int)
        times.append(1000 * (time.perf_counter() - began))
    client.close()
    return times


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def through_openssh(env: dict[str, str], calls: int) -> list[float]:
    """The same through `ssh -N -L ...`; empty without an ssh client."""
    if not shutil.which("ssh"):
        return []
    folder = Path(env["CLUSTERCTL_HOME"]) / "clusters" / "bench"
    target = json.loads((folder / "tunnel.json").read_text())["target"]
    forwards = {f["local_port"]: f["port"] for f in json.loads((folder / "tunnel.json").read_text())["forwards"]}
    document = json.loads((folder / "client.json").read_text())
    ports = {channel: (free_port(), forwards[document[channel]]) for channel in _CHANNELS}
    own = folder / "openssh.json"
    own.write_text(json.dumps({**document, **{channel: local for channel, (local, _) in ports.items()}}))
    lines = [word for local, remote in ports.values() for word in ("-L", f"127.0.0.1:{local}:127.0.0.1:{remote}")]
    options = ["-F", "none", "-i", target["key"], "-o", f"UserKnownHostsFile={target['known_hosts']}"]
    login = ["-p", str(target["port"]), f"{target['user']}@{target['address']}"]
    process = subprocess.Popen(["ssh", "-N", *options, *lines, *login])
    try:
        wake = threading.Event()
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", ports["broadcast"][0])) == 0:
                    break
            wake.wait(0.1)
        return round_trips(own, calls)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    print(machine())
    with home() as env:
        clusterctl(env, "start", "-s", "1", "bench")
        direct = client_file(env, "bench").with_name("direct.json")
        direct.write_text(client_file(env, "bench").read_text())
        clusterctl({**env, "CLUSTERCTL_TUNNEL": "always"}, "start", "bench")
        ways = {"direct": [], "tunnel": []}
        for _ in range(3):  # in turn, since the machine's speed drifts
            ways["direct"] += round_trips(direct, calls)
            ways["tunnel"] += round_trips(client_file(env, "bench"), calls)
        ways["ssh -N"] = through_openssh(env, calls)
        clusterctl(env, "terminate", "--yes", "bench")
    for name, times in ways.items():
        if times:
            p95 = sorted(times)[int(0.95 * len(times))]
            print(f"{name:8} median {statistics.median(times):6.2f} ms, 95 % below {p95:6.2f} ms, {len(times)} calls")


if __name__ == "__main__":
    main()
