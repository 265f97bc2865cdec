"""clusterctl: one INI file and one command start an ipyparallel cluster that is connected to your laptop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    import ipyparallel

    from clusterctl.compute.client import Client
    from clusterctl.compute.faces.methods import PoolMethods

__version__ = "0.2.0"
__all__ = ["DistributedPool", "Pool", "__version__", "connect"]


def connect(name: str | None = None, **client_options: object) -> Client:
    """Return a connected client of a running cluster: an ``ipyparallel.Client`` that can do more.

    If the cluster needs a tunnel and none is up, the tunnel is opened first.

    Args:
        name: the name of the cluster; optional if exactly one is up.
        client_options: passed on to ``ipyparallel.Client``.

    Raises:
        clusterctl.errors.ClusterctlError: the cluster does not exist, does not run, or does not answer.
    """
    client: Client = _load_connecting().connect_client(name, **client_options)
    return client


def Pool(  # noqa: N802  as multiprocessing has it
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[object] = (),
    maxtasksperchild: int | None = None,
    *,
    cluster: str | None = None,
    client: ipyparallel.Client | None = None,
) -> PoolMethods:
    """Return the engines of a running cluster as a pool: its methods are those of ``multiprocessing.Pool``.

    In a task, on an engine, the pool does everything itself.

    Args:
        processes: at most so many engines; all, also those that come later, if None.
        initializer: what each engine calls before its first item of this pool.
        initargs: the arguments of the initializer.
        maxtasksperchild: is checked as multiprocessing does, and has no effect: engines live on.
        cluster: the name of the cluster; optional if exactly one is up.
        client: a client that is connected already, of any ipyparallel cluster, in place of a name.

    Raises:
        ValueError: a number is below 1.
        clusterctl.errors.ClusterctlError: the cluster does not exist, does not run, or does not answer.
    """
    if os.environ.get("CLUSTERCTL_IN_TASK"):
        from clusterctl.compute.faces import nested  # loads no ipyparallel, and connects nowhere

        return nested.make_pool(processes, initializer, tuple(initargs), maxtasksperchild)
    connecting = _load_connecting()
    options = connecting.Options(processes, initializer, tuple(initargs), maxtasksperchild)
    made: PoolMethods = connecting.make_pool(options, cluster, client)
    return made


def DistributedPool(n: int | None = None, *, cluster: str | None = None) -> PoolMethods:  # noqa: N802  a class elsewhere
    """Return a pool of `n` engines of a running cluster. See `Pool`."""
    return Pool(n, cluster=cluster)


def _load_connecting() -> ModuleType:
    from clusterctl.wiring import connecting  # heavy: loaded when a client is asked for

    return connecting
