"""`clusterctl install` of a small package on a cluster that runs: seconds, and whether the engines went on.

    python tests/benchmarks/install.py [--provider docker] [--image clusterctl-node] [--nodes 3] [--runs 5]

The package comes from uv's cache after the first run; each run takes another one, since one that is there costs less.
Containers need a Docker engine and the image of `clusterctl image build`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine, seconds, spread

NAME = "bench-install"
PACKAGES = (
    "tabulate",
    "humanize",
    "toolz",
    "more-itertools",
    "pyfiglet",
    "inflection",
    "xmltodict",
    "sortedcontainers",
)
PIDS = """
import json, os, sys, ipyparallel
client = ipyparallel.Client(sys.argv[1], timeout=60)
print(json.dumps(client[:].apply_sync(os.getpid)))
"""


def main() -> None:
    """Start a cluster, install one package a run, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="docker", choices=("docker", "local"))
    parser.add_argument("--image", default="clusterctl-node", help="image of the containers")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5, choices=range(1, len(PACKAGES) + 1))
    options = parser.parse_args()
    print(machine())
    with home() as env:
        folder = Path(env["CLUSTERCTL_HOME"])
        image = f"NODE_IMAGE_ID = {options.image}\n" if options.provider == "docker" else ""
        (folder / "config").write_text(
            f"[global]\nDEFAULT_TEMPLATE = t\n[cluster t]\nPROVIDER = {options.provider}\n{image}"
            f"CLUSTER_SIZE = {options.nodes}\nPLUGINS = ipcluster\n[plugin ipcluster]\nENGINES_PER_NODE = 1\n"
        )

        def pids() -> list[int]:
            client = folder / "clusters" / NAME / "client.json"
            command = [sys.executable, "-c", PIDS, str(client)]
            return list(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))

        clusterctl(env, "start", "--yes", NAME)
        try:
            before, took = pids(), []
            for number, package in enumerate(PACKAGES[: options.runs], start=1):
                took.append(seconds(clusterctl, env, "install", NAME, package))
                print(f"  run {number}: {package} {took[-1]:.2f} s", flush=True)
            kept = sum(old == new for old, new in zip(before, pids(), strict=True))
        finally:
            clusterctl(env, "terminate", "--yes", NAME)
    print(f"{options.nodes} {options.provider} nodes, seconds an install: {spread(took)}; engines that went on: {kept}")


if __name__ == "__main__":
    main()
