"""A connected client, and a pool of a cluster's engines. To load this loads ipyparallel."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.clients.here import find_here
from clusterctl.clients.on_node import connect_here, maps_here, start_refusal
from clusterctl.clients.opening import Target, Wanted, open_client
from clusterctl.compute.pool import Options, Pool
from clusterctl.errors import StateError
from clusterctl.wiring.client import (
    client_file,
    cluster_of_file,
    dask_document,
    engines_of,
    refuse_other_ipyparallel,
    warn_of_other_python,
)
from clusterctl.wiring.clusters import resolve_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    import ipyparallel

    from clusterctl.clients.detached.results import DetachedMap
    from clusterctl.compute.client import Client
    from clusterctl.operations.jobs.job import Job

__all__ = ["Options", "Wanted", "connect_client", "find_map", "make_pool", "open_cluster", "run_job"]


def make_pool(options: Options, name: str | None, client: ipyparallel.Client | None) -> Pool:
    """See `clusterctl.Pool`."""
    return Pool(options, client=client or connect_client(name, Wanted()), closes_client=client is None)


def connect_client(name: str | Path | None, wanted: Wanted, **client_options: Any) -> Client:
    """See `clusterctl.connect`."""
    here = find_here()
    if here:  # somebody has installed all of clusterctl on a node
        return connect_here(here, name, wanted, client_options)
    cluster: str | None
    if isinstance(name, Path):
        cluster = cluster_of_file(name)
        if cluster is None:
            return open_client(_foreign_target(name), wanted, client_options)
    else:
        cluster = name
    path = client_file(cluster)
    cluster = path.parent.name
    trouble = warn_of_other_python(cluster)
    if trouble:
        warnings.warn(trouble, stacklevel=3)
    refuse_other_ipyparallel(cluster)
    repair = f"see `clusterctl status {cluster}`; `clusterctl start {cluster}` repairs it"
    target = Target(
        path,
        cluster,
        repair,
        engines_of(cluster) if wanted.wait else None,
        open_maps=lambda: _work().maps_of(cluster),
        find_dask=partial(dask_document, cluster),
    )
    return open_client(target, wanted, client_options)


def find_map(map_id: str, cluster: str | None) -> DetachedMap:
    """See `clusterctl.results`."""
    here = find_here()
    maps = maps_here(here) if here else None
    detached: DetachedMap = (maps or _work().maps_of(resolve_cluster(cluster))).find(map_id)
    return detached


def run_job(cluster: str | None, wishes: Mapping[str, Any]) -> Job:
    """See `clusterctl.run`."""
    if here := find_here():
        raise start_refusal(here, "jobs are begun")
    job: Job = _work().begin_job(resolve_cluster(cluster), wishes)
    return job


@contextmanager
def open_cluster(name: str | None, *, client_options: Mapping[str, Any], **wishes: Any) -> Iterator[Client]:
    """See `clusterctl.cluster`."""
    if here := find_here():
        raise start_refusal(here)
    with _work().keep_up(name, **wishes) as chosen:
        client = connect_client(chosen, Wanted(), **client_options)
        try:
            yield client
        finally:
            client.close()


def _work() -> ModuleType:
    from clusterctl.wiring import work  # late: all that reaches nodes, which a client alone needs none of

    return work


def _foreign_target(file: Path) -> Target:
    """Return the target of a connection file that no cluster here has."""
    if not file.exists():
        raise StateError(
            f"there is no connection file {file}", remedy="name a cluster, or the file that its controller has written"
        )
    return Target(file, file.name, "see whether its controller runs, and whether the file is its newest one")
