"""What the plugin dask adds to the start of containers whose image has its packages baked.

    python tests/benchmarks/with_dask.py [--image clusterctl-node] [--nodes 2] [--runs 5]

The same baked image starts with and without the plugin, in turn; both clusters end before the next start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine, seconds, spread

IMAGE = "clusterctl-bench-dask"
CONFIG = """
[global]
DEFAULT_TEMPLATE = without

[cluster without]
PROVIDER = docker
NODE_IMAGE_ID = {image}
CLUSTER_SIZE = {nodes}
PLUGINS = ipcluster

[cluster with]
EXTENDS = without
PLUGINS = dask, ipcluster

[plugin packages]
PACKAGES = {packages}

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
PACKAGES = "distributed, dask[array,dataframe,diagnostics], cryptography"


def main() -> None:
    """Bake, start in turn, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="clusterctl-node", help="image to bake on")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    with home() as env:
        config = Path(env["CLUSTERCTL_HOME"]) / "config"
        config.write_text(CONFIG.format(image=options.image, nodes=options.nodes, packages=PACKAGES))
        took: dict[str, list[float]] = {"without": [], "with": []}
        image = json.loads(clusterctl(env, "image", "bake", "-c", "with", IMAGE, "--json"))["image"]
        try:
            for turn in range(options.runs + 1):
                for template, times in took.items():
                    passed = seconds(clusterctl, env, "start", "-c", template, "bench")
                    clusterctl(env, "terminate", "--yes", "bench")
                    if turn:  # the first ones fill caches
                        times.append(passed)
        finally:
            clusterctl(env, "image", "remove", "--yes", image)
    for template, times in took.items():
        print(f"{template} dask: {spread(times)} s")
    added = statistics.median(took["with"]) - statistics.median(took["without"])
    print(f"the plugin adds {added:.2f} s to the start of {options.nodes} containers")


if __name__ == "__main__":
    main()
