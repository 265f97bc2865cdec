"""clusterctl: one INI file and one command start an ipyparallel cluster that is connected to your laptop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    import ipyparallel

    from clusterctl.clients.detached.results import DetachedMap
    from clusterctl.compute.client import Client
    from clusterctl.compute.faces.methods import PoolMethods
    from clusterctl.operations.jobs.job import Job

__version__ = "0.2.0"
__all__ = ["DistributedPool", "Pool", "__version__", "cluster", "connect", "results", "run"]


def connect(
    name: str | os.PathLike[str] | None = None,
    *,
    wait: int | bool | None = None,
    wait_s: float = 120.0,
    **client_options: object,
) -> Client:
    """Return a connected client of a running cluster: an ``ipyparallel.Client`` that can do more.

    If the cluster needs a tunnel and none is up, the tunnel is opened first. On a node of a cluster, in a notebook, an
    engine or a login, it is the client of that cluster.

    Args:
        name: the name of the cluster, optional if exactly one is up; or the path of a connection file.
        wait: wait until so many engines are there; True: all that were set up.
        wait_s: the longest wait for them, in seconds.
        client_options: passed on to ``ipyparallel.Client``.

    Raises:
        clusterctl.errors.ClusterctlError: the cluster does not exist, does not run, or does not answer, or lacks
            engines.
    """
    connecting = _load_connecting()
    client: Client = connecting.connect_client(_file_or_name(name), connecting.Wanted(wait, wait_s), **client_options)
    return client


def cluster(
    name: str | None = None,
    *,
    size: int | None = None,
    template: str | None = None,
    keep: bool = False,
    config: str | None = None,
    progress: bool = True,
    **client_options: object,
) -> AbstractContextManager[Client]:
    """Return a context manager: a cluster is up in the body of its `with` statement, and the value is its client.

    What is not up is started, as `clusterctl start` does, and nobody is asked what it may cost. At the end, also by an
    exception or Ctrl-C, a cluster that was not there is terminated, one that was stopped is stopped again, and one that
    was up stays as it is. If this Python is killed the cluster stays up.

    Args:
        name: the name of the cluster; by default the one that is up, or a new one of a name of its own.
        size: nodes, with the master. A cluster that is smaller grows, and stays so; a larger one is left alone.
        template: the [cluster NAME] section to start from.
        keep: leave it up at the end.
        config: the config file, if not the usual one.
        progress: print what is done.
        client_options: passed on to ``ipyparallel.Client``.

    Raises:
        clusterctl.errors.ClusterctlError: it did not come up. What was started is ended.
    """
    opened: AbstractContextManager[Client] = _load_connecting().open_cluster(
        name,
        size=size,
        template=template,
        keep=keep,
        config=config,
        progress=progress,
        client_options=client_options,
    )
    return opened


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


def results(map_id: str, cluster: str | None = None) -> DetachedMap:
    """Return a map that was begun with ``detach=True`` or with a name: what is there, and the rest when it comes.

    Args:
        map_id: its id, or its name.
        cluster: the name of the cluster; optional if exactly one is up.

    Raises:
        clusterctl.errors.ClusterctlError: there is no such map, or the master does not answer.
    """
    detached: DetachedMap = _load_connecting().find_map(map_id, cluster)
    return detached


def run(
    command: Sequence[str],
    *,
    cluster: str | None = None,
    cores: int = 1,
    name: str = "",
    env: Mapping[str, str] | None = None,
    max_time_s: float | None = None,
    retry: int = 0,
    retry_on: Sequence[str] = ("failed", "lost", "timeout"),
    fetch: Sequence[str] = (),
    image: str = "",
    folder: str | os.PathLike[str] = ".",
) -> Job:
    """Run a command on a node, with a copy of a folder's files, as `clusterctl run --detach` does.

    Args:
        command: its words.
        cluster: the name of the cluster; optional if exactly one is up.
        cores: cores that it takes.
        name: a text that `clusterctl jobs` shows.
        env: variables, by name.
        max_time_s: end it after so many seconds.
        retry: run it again so many times.
        retry_on: after which ends.
        fetch: files and folders that come back to `folder` at its end, where `Job.wait` or a command of clusterctl
            sees it.
        image: of a container in which it runs, by the node's docker or podman.
        folder: whose files go along.

    Raises:
        clusterctl.errors.ClusterctlError: it cannot be begun.
    """
    wishes = {
        "command": tuple(command),
        "folder": _expand(folder).absolute(),
        "name": name,
        "cores": cores,
        "max_time_s": max_time_s,
        "retries": retry,
        "retry_on": tuple(retry_on),
        "fetch": tuple(fetch),
        "image": image,
        "environment": dict(env or {}),
    }
    job: Job = _load_connecting().run_job(cluster, wishes)
    return job


def _file_or_name(name: str | os.PathLike[str] | None) -> str | Path | None:
    """Return the path of a file as a path, and a name, which cannot have a slash or a dot in it, as a text."""
    if isinstance(name, str) and not (os.sep in name or name.endswith(".json")):
        return name
    return None if name is None else _expand(name)


def _expand(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  the method of Path raises for a name of nobody here


def _load_connecting() -> ModuleType:
    from clusterctl.wiring import connecting  # heavy: loaded when a client is asked for

    return connecting
