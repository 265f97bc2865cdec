"""A grid search over 20 MB through the tunnel: clusterctl, ipyparallel's own backend of joblib, and Dask with scatter.

python tests/benchmarks/compute/far_search.py [--rounds 3] [--megabytes 20]
python tests/benchmarks/compute/far_search.py --rounds 1 --round-trip 0.08 --mbit 20

One local cluster of three nodes with two engines and two workers of Dask each. All go through the tunnel, and with
`--mbit` that goes through a relay on loopback (tests/support/far_way.py). Each round has data of its own, which no node
has yet: 9 candidates, 3 folds. Each way runs once in turn; clusterctl a second time, which shows what the fits alone
take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[3]))
import joblib
import numpy as np
from common import client_file, clusterctl, home, machine, seconds
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from tests.support.far_way import far_tunnel

CONFIG = """
[global]
DEFAULT_TEMPLATE = far

[cluster far]
PROVIDER = local
CLUSTER_SIZE = 3
PLUGINS = dask, ipcluster

[plugin packages]
PACKAGES = scikit-learn

[plugin ipcluster]
ENGINES_PER_NODE = 2

[plugin dask]
WORKERS_PER_NODE = 2
MASTER_WORKERS = 2
THREADS_PER_WORKER = 1
"""
COLUMNS = 50
ASKED = {"ipyparallel's own backend": 0.2, "Dask with scatter": 0.5}


def search(backend: str, data: np.ndarray, **options: object) -> None:
    """Run the search."""
    model = SGDClassifier(random_state=0, max_iter=3, tol=None)
    grid = {"alpha": [10.0**power for power in range(-6, 3)]}
    with joblib.parallel_config(backend, n_jobs=6, **options):
        GridSearchCV(model, grid, cv=3).fit(data, data[:, 0] > 0)


def run_ways(library: object, rounds: int, rows: int) -> dict[str, list[float]]:
    """Return the seconds that each way took."""
    client = library.connect("far", wait=6)
    dask = client.dask()
    client.load_balanced_view().register_joblib_backend("stock")
    client.map(abs, range(100))
    random = np.random.default_rng(0)
    small = random.normal(size=(300, COLUMNS))
    ways = {
        "clusterctl": "clusterctl",
        "clusterctl, again": "clusterctl",
        "ipyparallel's own backend": "stock",
        "Dask with scatter": "dask",
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for backend in ways.values():
        with suppress(Exception):
            search(backend, small)  # they load what they need
    for _ in range(rounds):
        data = random.normal(size=(rows, COLUMNS))
        for name, backend in ways.items():
            more = {"scatter": [data, data[:, 0] > 0]} if backend == "dask" else {}
            try:
                taken[name].append(seconds(partial(search, backend, data, **more)))
                print(f"  {name:28}{taken[name][-1]:8.2f} s", flush=True)
            except Exception as error:  # noqa: BLE001  whatever another backend raises: the others go on
                print(f"  {name:28} failed: {type(error).__name__}: {error}", flush=True)
    dask.close()
    client.close()
    return taken


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--round-trip", type=float, default=0.0, help="seconds")
    parser.add_argument("--mbit", type=float, default=0.0, help="a second, in each direction; 0: as it is")
    asked = parser.parse_args()
    rows = int(asked.megabytes * 1e6 / 8 / COLUMNS)
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    with home() as env:
        (Path(env["CLUSTERCTL_HOME"]) / "config").write_text(CONFIG)
        os.environ.update(env, CLUSTERCTL_TUNNEL="always")
        clusterctl(dict(os.environ), "start", "far")
        try:
            import clusterctl as library

            folder = client_file(env, "far").parent
            way = far_tunnel(folder, round_trip_s=asked.round_trip, mbit_s=asked.mbit) if asked.mbit else nullcontext()
            with way:
                medians = {name: statistics.median(s) for name, s in run_ways(library, asked.rounds, rows).items() if s}
        finally:
            clusterctl(env, "terminate", "--yes", "far")
    for name, limit in ((name, limit) for name, limit in ASKED.items() if name in medians):
        ratio = medians["clusterctl"] / medians[name]
        print(f"clusterctl / {name}: {ratio:.2f}, asked {limit}: {'met' if ratio <= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
