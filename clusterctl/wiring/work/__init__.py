"""What is more than a client: detached maps, jobs, and a cluster that is up for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterctl.clients.detached.submitting import DetachedMaps
from clusterctl.events import Reporter
from clusterctl.model import MASTER
from clusterctl.operations.jobs.job import Job
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.running import JobRequest
from clusterctl.operations.nodes.detached import RemoteStore
from clusterctl.operations.sending.places import open_node
from clusterctl.wiring.context import lenient_context
from clusterctl.wiring.work.temporary import keep_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

__all__ = ["begin_job", "keep_up", "maps_of"]


def begin_job(cluster: str, wishes: Mapping[str, Any]) -> Job:
    """Begin a job. See `clusterctl.run`."""
    context, _ = lenient_context(cluster, config_file=None, report=Reporter(lambda _: None))
    return Job.begin(context, RemoteJobs(context), JobRequest(**wishes))


def maps_of(cluster: str) -> DetachedMaps:
    """Return who keeps the detached maps of a cluster. Its master is asked at the first question."""

    def open_master() -> tuple[Cluster, Node]:
        context, _ = lenient_context(cluster, config_file=None, report=Reporter(lambda _: None))
        return open_node(context, MASTER, user=context.settings.cluster.cluster_user)

    return DetachedMaps(RemoteStore(cluster, open_master))
