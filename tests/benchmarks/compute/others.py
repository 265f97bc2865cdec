"""The other tools of maps.py, warm: each a function that maps, or None where it is not installed."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.pool import Pool as Pool

    Map = Callable[[Callable[..., Any], Sequence[Any]], list[Any]]


@contextmanager
def processes(count: int) -> Iterator[Pool]:
    """So many processes of multiprocessing's."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield pool


@contextmanager
def loky(count: int) -> Iterator[Map | None]:
    """So many processes of joblib's."""
    try:
        from joblib import Parallel, delayed
    except ImportError:
        yield None
        return
    with Parallel(n_jobs=count, backend="loky") as parallel:
        yield lambda function, items: parallel(delayed(function)(item) for item in items)


@contextmanager
def dask(count: int) -> Iterator[Map | None]:
    """So many processes of Dask's, with TLS."""
    try:
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ImportError:
        yield None
        return
    about = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None, "protocol": "tls://"}
    with LocalCluster(security=Security.temporary(), **about) as cluster, Client(cluster) as client:
        yield lambda function, items: client.gather(client.map(function, items, pure=False))
