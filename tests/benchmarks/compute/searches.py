"""27 fits of a grid search: on a cluster, in joblib's own processes, and by ipyparallel's own backend of joblib.

python tests/benchmarks/compute/searches.py [--rows 100000] [--columns 100] [--nodes 3]

One local cluster of two engines a node, and as many processes for joblib. 100,000 rows of 100 columns are 80 MB. Every
way is run once in turn, `stock` for ipyparallel's: a computer that does other things then shows ratios alone. Of the
cluster it also prints the bytes of arrays that were sent in each run, and by how much the private memory of all
engines grows in a search of other data, once they have loaded scikit-learn. `stock` is compared with that one: it finds
scikit-learn loaded as well, and sends its data with each task.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))
import joblib
import numpy as np
from common import clusterctl, home, machine, seconds
from joblib.externals.loky import get_reusable_executor
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from clusterctl.compute.pool import Pool

if TYPE_CHECKING:
    from clusterctl.compute.client import Client


def private_bytes(_: int) -> tuple[int, int]:
    """An engine, and the memory that it has for itself alone."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return os.getpid(), 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def memory(client: Client, engines: int) -> dict[int, int]:
    """Each engine's process, and the memory that it has for itself alone."""
    return dict(client.map(private_bytes, range(10 * engines), chunksize=1))


def main() -> None:
    """Run each way, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=3)
    asked = parser.parse_args()
    data = np.random.default_rng(0).normal(size=(asked.rows, asked.columns))
    labels = data[:, 0] > 0
    model = SGDClassifier(random_state=0, max_iter=3, tol=None)
    grid = {"alpha": [10.0**power for power in range(-6, 3)]}
    print(machine(), f"{data.nbytes / 1e6:.0f} MB")
    works, give = [], Pool._give
    Pool._give = lambda *arguments: works.append(give(*arguments)) or works[-1]
    with home() as env:
        os.environ.update(env)
        packages = ("--set", "packages.packages=scikit-learn", "--set", "ipcluster.engines_per_node=2")
        clusterctl(env, "start", "-s", str(asked.nodes), *packages, "searches")
        import clusterctl as library

        client = library.connect("searches")
        try:
            engines = len(client.ids)
            client.load_balanced_view().register_joblib_backend("stock")

            def search(backend: str, rows: object = data) -> None:
                with joblib.parallel_config(backend, n_jobs=engines):
                    GridSearchCV(model, grid, cv=3).fit(rows, labels)

            client.map(abs, range(100))
            took = {}
            other = data + 1
            for way, backend, rows in (
                ("first", "clusterctl", data),
                ("again", "clusterctl", data),
                ("other data", "clusterctl", other),
                ("loky, cold", "loky", data),
                ("loky, warm", "loky", data),
                ("stock", "stock", data),
            ):
                works.clear()
                before = memory(client, engines) if rows is other else {}
                took[way] = seconds(search, backend, rows)
                stored = sum(work.report.bytes_stored for work in works)
                sent = f", {stored / 1e6:.1f} MB of arrays sent" if backend == "clusterctl" else ""
                print(f"{way:20} {took[way]:8.2f} s {took[way] / took['first']:6.2f}{sent}")
                if before:
                    after = memory(client, engines)
                    grown = sum(after[pid] - before[pid] for pid in before.keys() & after.keys())
                    print(f"private memory of {len(before.keys() & after.keys())} engines: {grown / 1e6:+.0f} MB")
            for own, others, most in (
                ("again", "loky, warm", 1.0),
                ("first", "loky, cold", 0.5),
                ("other data", "stock", 0.2),
            ):
                ratio = took[own] / took[others]
                print(f"{own} / {others}: {ratio:.2f}, asked {most}: {'met' if ratio <= most else 'MISSED'}")
        finally:
            get_reusable_executor().shutdown(kill_workers=True)
            client.close()
            clusterctl(env, "terminate", "--yes", "searches")


if __name__ == "__main__":
    main()
