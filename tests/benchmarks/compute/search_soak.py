"""Grid searches one after the other, each on data of its own: whether the memory of controller and engines grows.

python tests/benchmarks/compute/search_soak.py [--searches 12] [--rows 20000] [--nodes 3]

One local cluster of two engines a node. 20,000 rows of 100 columns are 16 MB, which become a file below the home, and
which every engine maps. Each part's memory (PSS, of all of its processes) is taken after each search. The first two
searches load scikit-learn and do not count. The exit status says whether each part was flat within 10 % after them.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import joblib
import numpy as np
from common import clusterctl, home, machine
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV
from soak import memory_mb, processes

_FLAT = 1.1
_FIRST = 2
"""Searches that do not count."""


def main() -> None:
    """Print the memory of each part after each search, and how much it grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=12)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=3)
    asked = parser.parse_args()
    model = SGDClassifier(random_state=0, max_iter=3, tol=None)
    grid = {"alpha": [10.0**power for power in range(-6, 3)]}
    print(machine())
    samples: list[dict[str, float]] = []
    with home() as env:
        os.environ.update(env)
        packages = ("--set", "packages.packages=scikit-learn", "--set", "ipcluster.engines_per_node=2")
        clusterctl(env, "start", "-s", str(asked.nodes), *packages, "searches")
        import clusterctl as library

        client = library.connect("searches")
        parts = processes(env["CLUSTERCTL_HOME"])
        try:
            for number in range(asked.searches):
                data = np.random.default_rng(number).normal(size=(asked.rows, 100))
                with joblib.parallel_config("clusterctl"):
                    GridSearchCV(model, grid, cv=3).fit(data, data[:, 0] > 0)
                samples.append(memory_mb(parts))
                said = "  ".join(f"{name} {value:.1f} MB" for name, value in samples[-1].items())
                print(f"{number + 1:4} searches of {data.nbytes / 1e6:.0f} MB  {said}", flush=True)
        finally:
            client.close()
            clusterctl(env, "terminate", "--yes", "searches")
    is_flat = True
    for name in parts:
        values = [memory[name] for memory in samples[_FIRST:]]
        growth = max(values) / values[0]
        is_flat = is_flat and growth <= _FLAT
        print(f"  {name:12}{values[0]:8.1f} -> {values[-1]:.1f} MB, at most {growth:.3f} times")
    sys.exit(not is_flat)


if __name__ == "__main__":
    main()
