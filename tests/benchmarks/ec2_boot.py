"""From the command to the first result on EC2, whose machines boot 29 s: three nodes, with a baked image and without.

    python tests/benchmarks/ec2_boot.py [--runs 3] [--boot-seconds 29] [--timings]

Against the stand-in with bodies, as root and with a Docker engine. Two clocks end when `client[:].apply_sync` has
returned, in a Python that is started when `start` has ended: one runs from the command, the other from the moment when
the last SSH server has begun to listen, as its systemd says. Bodies of a cluster share what they download.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from clusterctl_standin.bodies.containers import Containers
from clusterctl_standin.cloud import Cloud
from common import client_file, clusterctl, home, machine, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

NODES = 3
FLOOR_S = 29
"""From RunInstances to an open port 22, as measured in public (daemonology.net, 2021-08-12)."""
CONFIG = """
[cluster talk]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large, c7a.large
SPOT_BID = 0.10
CLUSTER_USER = iptest
ADDRESS = private
ALLOW_FROM = 192.0.2.1/32
SHARED_HOME = yes
PLUGINS = packages, ipcluster

[plugin packages]
PACKAGES = msgpack, ipython, scikit-learn
"""
_CALL = f"""
import os, sys
import ipyparallel
client = ipyparallel.Client(sys.argv[1])
client.wait_for_engines({NODES}, timeout=120, interactive=False)
assert len(client[:].apply_sync(os.getpid)) == {NODES}
client.close()
"""
ASKED = {
    ("with a baked image", "command"): 40,
    ("without", "command"): 50,
    ("with a baked image", "last sshd"): 8,
}
"""At most so many seconds."""


@dataclass(frozen=True)
class Run:
    """The seconds of one start."""

    command: float
    """From the command to the first result."""
    last_sshd: float
    """From the last SSH server that opened."""
    opened: float
    """From the command until that one opened."""
    timings: str


def start(bodies: Containers, env: Mapping[str, str], name: str) -> Run:
    """Start a cluster, call all engines once, and end it."""
    began = time.time()
    said = clusterctl({**env}, "start", "-s", str(NODES), "--yes", "--timings", "-c", "talk", name)
    subprocess.run([sys.executable, "-c", _CALL, str(client_file({**env}, name))], check=True, env={**env})
    ended = time.time()
    opened = max(_opened(bodies, machine.id) for machine in bodies.cloud.machines() if machine.runs)
    clusterctl({**env}, "terminate", "--yes", name)
    bodies.settle()
    return Run(ended - began, ended - opened, opened - began, said)


def _opened(bodies: Containers, instance: str) -> float:
    """When the SSH server of a body began to listen: it tells its systemd."""
    said = bodies.shell(instance, "TZ=UTC systemctl show ssh -P ActiveEnterTimestamp --timestamp=us")
    moment = datetime.strptime(said, "%a %Y-%m-%d %H:%M:%S.%f %Z").replace(tzinfo=timezone.utc)
    return moment.timestamp()


def main() -> None:
    """Print all runs, and each figure with what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--boot-seconds", type=float, default=FLOOR_S)
    parser.add_argument("--timings", action="store_true", help="show what `start --timings` printed")
    options = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    runs: dict[str, list[Run]] = {"without": [], "with a baked image": []}
    with Cloud() as cloud, Containers(cloud) as bodies, home() as own:
        Path(own["CLUSTERCTL_HOME"], "config").write_text(CONFIG)
        env = {**own, **cloud.environment()}
        for kind, results in runs.items():
            if kind != "without":
                cloud.boot_s = 0
                clusterctl(env, "image", "bake", "talk", "--yes")
                bodies.settle()
            cloud.boot_s = options.boot_seconds
            for number in range(options.runs):
                results.append(run := start(bodies, env, f"bench{number}{len(kind)}"))
                print(
                    f"  {kind}: {run.command:.1f} s; the last sshd opened after {run.opened:.1f} s, the first result"
                    f" came {run.last_sshd:.1f} s later; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                if options.timings:
                    print(run.timings, flush=True)
    print(f"\nseconds to the first result, {NODES} nodes, median (least - most) of {options.runs}")
    for (kind, since), asked in ASKED.items():
        values = [run.command if since == "command" else run.last_sshd for run in runs[kind]]
        verdict = "met" if statistics.median(values) <= asked else "MISSED"
        print(f"{kind}, from the {since}:{spread(values)}; asked at most {asked}: {verdict}")


if __name__ == "__main__":
    main()
