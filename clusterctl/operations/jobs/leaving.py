"""Jobs that end with nodes that leave, for the question before it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from clusterctl.clients.jobs import model
from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.operations.jobs.remote_jobs import RemoteJobs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from clusterctl.operations.context import RunContext

T = TypeVar("T")
_PATIENCE_S = 10.0
"""For the nodes to say it: who wants to end a cluster that does not answer is not to wait for it."""


def name_jobs(context: RunContext, aliases: Collection[str]) -> tuple[str, ...]:
    """Return the jobs that run or wait on the nodes that leave, by id and command; none where no node answers."""

    def ask() -> tuple[str, ...]:
        with RemoteJobs(context) as jobs:
            statuses = jobs.all() if jobs.nodes else []
            return tuple(f"{one.id} {one.name or one.words}" for one in statuses if _is_there(one, aliases))

    try:
        return within(_PATIENCE_S, ask, "jobs")
    except ClusterctlError:
        return ()


def within(seconds: float, act: Callable[[], T], what: str) -> T:
    """Return what this returns, in a thread that is left alone when its time is over.

    Raises:
        RemoteError: its time is over, or the system would not.
        ClusterctlError: what it raises.
    """
    answers: list[T | ClusterctlError | OSError] = []

    def run() -> None:
        try:
            answers.append(act())
        except (ClusterctlError, OSError) as exc:
            answers.append(exc)

    thread = threading.Thread(target=run, name="jobs that leave", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise RemoteError(f"{what} did not come in {seconds:.0f} s", remedy="see `clusterctl status`")
    (answer,) = answers
    if isinstance(answer, OSError):
        raise RemoteError(f"{what} did not come: {answer}", remedy="see `clusterctl status`") from answer
    if isinstance(answer, ClusterctlError):
        raise answer
    return answer


def _is_there(status: model.JobStatus, aliases: Collection[str]) -> bool:
    return status.state in model.UNDER_WAY and status.node in aliases
