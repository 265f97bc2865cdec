"""A client of the cluster that this node is a part of.

A node has this module as `clusterctl.wiring.connecting`: of wiring, nothing else is there (`node/library.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from clusterctl.clients.detached.local_store import LocalStore
from clusterctl.clients.detached.submitting import DetachedMaps
from clusterctl.clients.here import Here, find_cloudpickle, find_here
from clusterctl.clients.opening import Target, Wanted, open_client
from clusterctl.clients.through_master import WAY
from clusterctl.compute.pool import Options, Pool
from clusterctl.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ipyparallel

    from clusterctl.clients.detached.results import DetachedMap
    from clusterctl.compute.client import Client

__all__ = ["Options", "Wanted", "connect_client", "find_map", "make_pool", "open_cluster", "run_job"]


def make_pool(options: Options, name: str | None, client: ipyparallel.Client | None) -> Pool:
    """See `clusterctl.Pool`."""
    find_cloudpickle()
    return Pool(options, client=client or connect_client(name, Wanted()), closes_client=client is None)


def connect_client(name: str | Path | None, wanted: Wanted, **client_options: Any) -> Client:
    """See `clusterctl.connect`."""
    return connect_here(_require_here(), name, wanted, client_options)


def open_cluster(*_: object, **__: object) -> NoReturn:
    """Refuse: see `clusterctl.cluster`."""
    raise start_refusal(_require_here())


def start_refusal(here: Here, what: str = "clusters are started") -> UsageError:
    """Return the error of whoever wants to start a cluster, or what else is begun elsewhere, from a node."""
    return UsageError(
        f"this is {here.node} of the cluster {here.cluster}: {what} from your own computer",
        remedy="`clusterctl.connect()` is a client of this one",
    )


def _require_here() -> Here:
    here = find_here()
    if here is None:
        raise StateError(
            "this node does not know its cluster any more", remedy="`clusterctl start` on your own computer repairs it"
        )
    return here


def connect_here(here: Here, name: str | Path | None, wanted: Wanted, client_options: Mapping[str, Any]) -> Client:
    """Return a client of the cluster that a node is a part of, or of the file that is named."""
    find_cloudpickle()
    named = isinstance(name, Path)
    file = name if isinstance(name, Path) else here.client_file(name)
    document = WAY.document(here.master, file) if here.master and not named else None
    repair = (
        f"see `clusterctl status {here.cluster}` on your own computer; `clusterctl start {here.cluster}` repairs it"
    )
    maps = maps_here(here)
    open_maps = (lambda: maps) if maps else None
    target = Target(file, here.cluster, repair, document=document, open_maps=open_maps, find_dask=here.dask_document)
    return open_client(target, wanted, client_options)


def maps_here(here: Here) -> DetachedMaps | None:
    """Return the detached maps of this node's cluster, if this node keeps them."""
    return DetachedMaps(LocalStore(here.maps)) if here.maps is not None else None


def run_job(cluster: str | None, _wishes: Mapping[str, Any]) -> NoReturn:
    """See `clusterctl.run`."""
    here = _require_here()
    here.client_file(cluster)
    raise start_refusal(here, "jobs are begun")


def find_map(map_id: str, cluster: str | None) -> DetachedMap:
    """See `clusterctl.results`."""
    here = _require_here()
    here.client_file(cluster)
    maps = maps_here(here)
    if maps is None:
        raise StateError("this node keeps no detached maps", remedy="ask the master, or your own computer")
    return maps.find(map_id)
