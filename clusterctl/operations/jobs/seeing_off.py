"""Jobs of a cluster that ends: they get a signal and their grace, and what `--fetch` names is brought here first."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import model
from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError, StateError
from clusterctl.model import NodeState
from clusterctl.operations.jobs.leaving import describe_owner, within
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.wanted import fetch_wanted, is_gone, read_wanted
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_ANSWER_S = 15.0
"""For a node to say whether there are jobs: who wants to end a cluster that does not answer is not to wait for it."""
_GRACE_S = 45.0
"""A job has 30 seconds of it; what it has begun is gone some seconds later."""
_FETCH_S = 1800.0


def see_off_jobs(context: RunContext, nodes: Sequence[Node], *, for_good: bool) -> None:
    """End all jobs of a cluster whose nodes end. Where they end for good, fetch first what this computer wants of jobs.

    Jobs that shall run again do so where their nodes come back. A node that cannot be asked, or that answers nonsense,
    is said, and keeps nothing.

    Args:
        context: the context of the run.
        nodes: all nodes that there are.
        for_good: the home goes with them.

    Raises:
        StateError: a file that is there did not come. The nodes are still up, and the jobs have ended.
    """
    running = sorted((node for node in nodes if node.state == NodeState.RUNNING), key=lambda node: not node.is_master)
    troubles: Sequence[str] = ()
    try:
        if not running or not within(_ANSWER_S, lambda: _has_jobs(context, running[0]), "its jobs"):
            return
        with RemoteJobs(context) as jobs:
            statuses = _end_jobs(context, jobs, cancel=for_good)
            if for_good:
                troubles = _fetch(context, jobs, statuses)
    except ClusterctlError as exc:
        context.report.warn(f"{context.name}: its jobs cannot be asked: {exc.message}; they end with their nodes")
    if troubles:
        raise StateError(
            f"nothing has ended yet but the jobs: files that are to be fetched did not come: {'; '.join(troubles)}",
            remedy=f"mend that and say it again; `clusterctl terminate --force {context.name}` ends it without them",
        )


def _has_jobs(context: RunContext, node: Node) -> bool:
    """Return whether there are jobs, without a Python on the node: most clusters have none."""
    cluster = context.make_cluster([node])
    try:
        folder = shlex.quote(str(node.layout.home / ".clusterctl" / model.FOLDER))
        script = f"ls -A {folder} 2>/dev/null | head -n 1"
        return bool(cluster.on(node).run_script(script, name="jobs: any", sudo=True, reads=True).stdout.strip())
    finally:
        cluster.close()


def _end_jobs(context: RunContext, jobs: RemoteJobs, *, cancel: bool) -> Sequence[JobStatus]:
    """Have all jobs end, and wait for that. Return all jobs."""
    going = {status.id for status in jobs.all() if status.state in model.UNDER_WAY}
    statuses = jobs.end_all(cancel=cancel)
    if not going:
        return statuses
    text = f"Jobs of {context.name} end"
    for _ in Deadline.after(_GRACE_S).polls(0.2, longest_s=1.0):
        left = sum(status.id in going and status.state in model.UNDER_WAY for status in statuses)
        context.report.progress(text, done=len(going) - left, total=len(going))
        if not left:
            return statuses
        statuses = jobs.all()
    context.report.warn(f"{context.name}: {plural(left, 'job')} did not end in {_GRACE_S:.0f} s")
    return statuses


def _fetch(context: RunContext, jobs: RemoteJobs, statuses: Sequence[JobStatus]) -> list[str]:
    """Bring what `--fetch` names of jobs that this computer has begun. Return what kept files from coming.

    What others wait for is a warning.
    """
    wanted = {one.id: one for one in read_wanted(context.folder.path)}
    for status in statuses:
        if status.fetch and not status.fetched and status.id not in wanted:
            named = ", ".join(status.fetch)
            context.report.warn(f"job {status.id} {describe_owner(status)}: {named}: not fetched")
    mine = [status.id for status in statuses if status.id in wanted]
    if not mine:
        return []
    text = f"Fetching from jobs of {context.name}"
    context.report.progress(text, done=0, total=len(mine))

    def fetch() -> list[str]:
        troubles = []
        for done, (one, trouble) in enumerate(fetch_wanted(context, jobs, mine), start=1):
            context.report.progress(text, done=done, total=len(mine))
            if not trouble:
                context.report.note(f"job {one.id}: {', '.join(one.paths)} fetched to {one.folder}")
            elif is_gone(trouble):
                context.report.warn(f"job {one.id}: {trouble}")
            else:
                troubles.append(f"job {one.id}: {', '.join(one.paths)}: {trouble}")
        return troubles

    try:
        return within(_FETCH_S, fetch, "the files of its jobs")
    except ClusterctlError as exc:
        return [exc.message]
