"""Dask's scheduler and workers: the services that keep them running, and the programs that start them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.api import Cluster, Facet, Node, Probe, Service, node_program, notes

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from .options import Options

ON_NODE = "clusterctl.on_node.with_dask"
SCHEDULER, WORKER = "dask-scheduler", "dask-worker"
"""The names of the services."""


@dataclass(frozen=True)
class Shape:
    """How a node's cores are shared out."""

    workers: int
    threads: int

    def names(self, alias: str) -> list[str]:
        """Return the names of the workers."""
        return [f"{alias}-{number}" for number in range(self.workers)]


def shape_of(cluster: Cluster, node: Node, options: Options) -> Shape:
    """Return how many workers a node has, and how many threads each of them."""
    # The scheduler deserves a core of a machine of its own, as ipyparallel's controller does.
    spare = 1 if node.is_master and cluster.workers and Facet.MACHINE in node.facets else 0
    cores = max(1, (node.cores or 1) - spare)
    told = options.workers_per_node
    if node.is_master and options.master_workers != "auto":
        told = options.master_workers
    # Threads of one process share data, and wait for each other in Python code: Dask's own middle way.
    middle = cores if cores <= 4 else min(n for n in range(1, cores + 1) if cores % n == 0 and n * n >= cores)
    workers = middle if told == "auto" else told
    threads = options.threads_per_worker
    return Shape(workers, max(1, cores // max(1, workers)) if threads == "auto" else threads)


def folder_of(node: Node) -> PurePosixPath:
    """Return the folder of what a node has of Dask. It is the cluster user's alone."""
    return node.layout.state / "dask"


def connection_file(node: Node) -> PurePosixPath:
    """Return the file that says where the scheduler is, with the certificates."""
    return folder_of(node) / "connection.json"


def restart_token(cluster: Cluster) -> str:
    """Return what changes with what scheduler and workers can only take over by starting anew."""
    environment = cluster.recall(notes.LOADED) or cluster.recall(notes.ENVIRONMENT)
    variables = sorted(dict(cluster.request.environment).items())
    return hashlib.sha256(f"{environment} {variables}".encode()).hexdigest()[:12]


def _service(cluster: Cluster, node: Node, name: str, program: str, version: str, probe: Probe | None) -> Service:
    return Service(
        name=name,
        command=[str(node.layout.env / "bin" / "python"), str(folder_of(node) / program)],
        user=cluster.user,
        home=node.layout.home,
        directory=node.layout.home,
        environment={**cluster.request.environment, "CLUSTERCTL_NODE": node.alias},
        # A worker's process that stays behind would keep its memory.
        whole_group=True,
        version=f"{restart_token(cluster)} {version}",
        probe=probe,
    )


def scheduler_service(cluster: Cluster, node: Node) -> Service:
    """Return the scheduler, as the master's service manager takes it."""
    probe = Probe(f"{ON_NODE}.probe_scheduler", {"file": connection_file(node)})
    return _service(cluster, node, SCHEDULER, "scheduler.py", "", probe)


def worker_service(cluster: Cluster, node: Node, options: Options, version: str) -> Service:
    """Return all workers of a node, which one process looks after."""
    shape = shape_of(cluster, node, options)
    told = f"{shape.workers} {shape.threads} {options.memory_limit} {version}"
    return _service(cluster, node, WORKER, "workers.py", told, None)


def programs(cluster: Cluster, node: Node, options: Options) -> dict[str, str]:
    """Return the programs of a node, by the names of their files. No secrets: these are in the connection's file."""
    shape, folder = shape_of(cluster, node, options), folder_of(node)
    values: dict[str, object] = {
        "file": connection_file(node),
        "alias": node.alias,
        "address": node.private_address,
        "workers": shape.workers,
        "threads": shape.threads,
        "memory": options.memory_limit,
        "space": folder / "space",
        "notice": node.layout.interruption,
        "leave": folder / "leave",
        "left": folder / "left",
    }
    texts = {"workers.py": node_program(f"{ON_NODE}.start_workers", values)} if shape.workers else {}
    if node.is_master:
        texts["scheduler.py"] = node_program(f"{ON_NODE}.start_scheduler", {"file": connection_file(node)})
    return texts
