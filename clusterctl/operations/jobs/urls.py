"""The port of a job, on this computer: by a tunnel of its own to the job's node, which ends with the job.

CLUSTER/jobs/ID/    the tunnel's files
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import model
from clusterctl.clock import Deadline
from clusterctl.errors import DeadlineError, StateError, UsageError
from clusterctl.files import ensure_folder
from clusterctl.model import Facet
from clusterctl.operations.sending.places import choose_node
from clusterctl.tunnel import process
from clusterctl.tunnel.publish import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_READY_S = 300.0
"""For a program to listen on its port: it may load for long."""


def open_url(context: RunContext, node: Node, status: JobStatus, is_over: Callable[[], bool]) -> str:
    """Return the URL of a job's port on this computer, once the port answers.

    Args:
        context: the context of the run.
        node: where the job runs.
        status: how it is.
        is_over: whether it has ended meanwhile, and nobody waits any more.

    Raises:
        UsageError: the job has no port.
        StateError: it does not run.
        DeadlineError: the port does not answer.
    """
    if status.port is None:
        raise UsageError(f"job {status.id} has no port", remedy="begin it with --port")
    if status.state not in model.UNDER_WAY:
        raise StateError(f"job {status.id} is {status.state}", remedy="its port ended with it")
    port = status.port if Facet.DIRECT in node.facets else _forward(context, node, status.id, status.port)
    for _ in Deadline.after(_READY_S).polls(0.1, longest_s=1.0):
        if is_over():
            raise StateError(f"job {status.id} is over", remedy="its port ended with it")
        if process.goes_through(port):
            return f"http://127.0.0.1:{port}/"
    raise DeadlineError(
        f"port {status.port} of job {status.id} does not answer within {_READY_S:.0f} s",
        remedy=f"see whether the job listens there: `clusterctl job logs {status.id}`",
    )


def _forward(context: RunContext, node: Node, job_id: str, port: int) -> int:
    """Return the port of this computer that leads to a node's, with the tunnel up."""
    folder = _folder(context.folder.path, job_id)
    ensure_folder(folder)
    known = [forward.local_port for forward in process.read_forwards(folder) if forward.port == port]
    local = known[0] if known else free_port(port, taken=())
    cluster = context.make_cluster([node])
    member = choose_node(context, cluster, node.alias, user=context.settings.cluster.cluster_user)
    target = process.Target.for_node(member, context.folder.private_key_file, context.folder.known_hosts_file)
    process.open_tunnel(folder, target, [process.Forward(local, "127.0.0.1", port)])
    return local


def close_ports(context: RunContext, over: Collection[str]) -> None:
    """Close the tunnels of jobs that are over."""
    for job_id in over:
        folder = _folder(context.folder.path, job_id)
        if folder.is_dir():
            process.close_tunnel(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _folder(cluster_folder: Path, job_id: str) -> Path:
    return cluster_folder / model.FOLDER / job_id
