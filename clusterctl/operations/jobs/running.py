"""`run`: begin a job on a node that fits, follow it, and see to what was lost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import model
from clusterctl.clients.jobs.model import JobOrder, new_id
from clusterctl.clock import Deadline, pause
from clusterctl.errors import RemoteError, UsageError
from clusterctl.laptop.user import user_and_laptop
from clusterctl.operations.jobs.snapshot import take_snapshot
from clusterctl.operations.jobs.wanted import Wanted, note_wanted
from clusterctl.providers.money import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.remote_jobs import RemoteJobs
    from clusterctl.operations.jobs.snapshot import Snapshot

_WAIT_S = 10.0
"""How long a node waits for more of a log before it answers."""
_LOST_S = 2.0
_DEAF_S = 90.0
"""For any node to answer, while a job is followed."""


@dataclass(frozen=True)
class JobRequest:
    """A job as a user asks for it."""

    command: tuple[str, ...]
    folder: Path
    """Whose files go along, and where what is fetched comes to."""
    name: str = ""
    cores: int | None = None
    """None for one; on a node that is named, for all of its cores."""
    max_time_s: float | None = None
    retries: int = 0
    retry_on: tuple[str, ...] = tuple(sorted(model.REASONS.values()))
    fetch: tuple[str, ...] = ()
    port: int | None = None
    image: str = ""
    """Of a container; empty for none."""
    environment: Mapping[str, str] = field(default_factory=dict)


def begin_job(context: RunContext, jobs: RemoteJobs, request: JobRequest, alias: str = "") -> JobStatus:
    """Begin a job. Return how it is then.

    Args:
        context: the context of the run.
        jobs: the jobs of the cluster.
        request: the job.
        alias: its node; empty for the least loaded one that has so many cores.

    Raises:
        UsageError: no node has so many cores, or the folder is too large.
    """
    snapshot = take_snapshot(request.folder)
    if alias:
        cores = request.cores or 0
        node = choose_node(context.name, [jobs.nodes[alias]], (), cores)
    else:
        cores = request.cores or 1
        node = choose_node(context.name, list(jobs.nodes.values()), jobs.all(), cores)
    order = JobOrder(
        id=new_id(),
        command=request.command,
        node=node.alias,
        name=request.name,
        cores=cores,
        max_time_s=request.max_time_s,
        retries=request.retries,
        retry_on=request.retry_on,
        fetch=request.fetch,
        port=request.port,
        image=request.image,
        begun_by=user_and_laptop(),
        manifest={
            "commit": snapshot.commit,
            "changed": snapshot.is_dirty,
            "tree": snapshot.tree,
            "lock": _lock_digest(snapshot),
            "variables": sorted(request.environment),
            "type": node.type,
            "market": str(node.market),
            "on_demand_usd": _list_price(context, node),
        },
    )
    if request.fetch:
        note_wanted(context.folder.path, Wanted(order.id, str(request.folder), request.fetch))
    return jobs.submit(order, snapshot, request.environment)


def _list_price(context: RunContext, node: Node) -> str | None:
    """Return the node's list price for an hour; None if it has none."""
    price = context.provider.list_price(node) if isinstance(context.provider, Listed) else None
    return None if price is None else f"{price:f}"


def _lock_digest(snapshot: Snapshot) -> str:
    """Return the hash of the file that says what the job needs; empty where the folder has none."""
    digests = {file.path: file.digest for file in snapshot.files}
    return next((digests[name] for name in ("uv.lock", "requirements.txt") if name in digests), "")


def choose_node(cluster: str, nodes: Sequence[Node], jobs: Sequence[JobStatus], cores: int) -> Node:
    """Return the node on which a job begins first, as far as the jobs tell: with the most room, for the cores it has.

    Raises:
        UsageError: none has so many cores.
    """
    fitting = [node for node in nodes if node.cores is None or node.cores >= cores]
    if not fitting:
        most = max((node.cores or 0 for node in nodes), default=0)
        raise UsageError(
            f"no node of {cluster} has {cores} cores; the largest has {most}",
            remedy="take fewer with --cores, or add a larger node with `clusterctl addnode`",
        )

    def load(node: Node) -> tuple[bool, float]:
        taken = sum(job.cores for job in jobs if job.state in model.UNDER_WAY and job.node == node.alias)
        total = node.cores or 1
        return taken + cores > total, taken / total

    return min(fitting, key=load)


def see_to_lost(context: RunContext, jobs: RemoteJobs, statuses: Sequence[JobStatus]) -> list[JobStatus]:
    """Have jobs run again that are lost and shall, where a node has room. Return how all are then."""
    seen: list[JobStatus] = []
    for status in statuses:
        seen.append(status)
        if status.can_rerun:
            with suppress(UsageError):  # no node has its cores now: the next contact tries again
                seen[-1] = _revive(context, jobs, status, [*statuses, *seen])
    return seen


def _revive(context: RunContext, jobs: RemoteJobs, status: JobStatus, others: Sequence[JobStatus]) -> JobStatus:
    jobs.look_up_nodes()
    node = choose_node(context.name, list(jobs.nodes.values()), others, status.cores)
    return jobs.resume(status.id, node.alias)


def follow_job(
    context: RunContext,
    jobs: RemoteJobs,
    job_id: str,
    show: Callable[[bytes], object],
    *,
    timeout_s: float | None = None,
) -> JobStatus:
    """Show what a job prints until it is over. Return how it is then.

    Nodes and connections may go meanwhile: any node that answers is asked, and a lost job runs again if it shall.

    Raises:
        TimeoutError: it is not over by then. It goes on.
        RemoteError: no node answers any more. The job may go on.
    """
    offset, deaf = 0, Deadline.after(_DEAF_S)
    until = Deadline.after(float("inf") if timeout_s is None else timeout_s)
    while True:
        try:
            status, part = jobs.read(job_id, offset, min(_WAIT_S, until.left_s))
            if part:
                show(part)
                offset += len(part)
            elif status.is_over:
                return status
            elif status.can_rerun:
                if _revive(context, jobs, status, jobs.all()).state == model.LOST:  # nodes just end
                    pause(_LOST_S)
            elif until.is_over:
                raise TimeoutError(f"job {job_id} is not over after {timeout_s} s")
            deaf = Deadline.after(_DEAF_S)
        except RemoteError:
            if deaf.is_over:
                raise
            for _ in Deadline.after(1.0).polls(0.5):
                jobs.look_up_nodes()
