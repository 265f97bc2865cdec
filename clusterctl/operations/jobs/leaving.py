"""Jobs that end with nodes that leave, and files that they have made, for the question before it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clusterctl.clients.jobs import model
from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.jobs.wanted import read_wanted
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from clusterctl.operations.context import RunContext

T = TypeVar("T")
_PATIENCE_S = 10.0
"""For the nodes to say it: who wants to end a cluster that does not answer is not to wait for it."""


@dataclass(frozen=True)
class LeavingJobs:
    """Jobs that end with nodes, in words."""

    under_way: tuple[str, ...] = ()
    """Those that run or wait there: id and command."""
    wanted: tuple[str, ...] = ()
    """Files of the cluster's jobs, over or not, that this computer still wants, as `--fetch` has named them."""
    wanted_elsewhere: tuple[str, ...] = ()
    """Files that somebody on another computer still wants, and who."""


def name_jobs(context: RunContext, aliases: Collection[str]) -> LeavingJobs:
    """Return the jobs that end with the nodes that leave; none where no node answers."""

    def ask() -> list[model.JobStatus]:
        with RemoteJobs(context) as jobs:
            return jobs.all() if jobs.nodes else []

    try:
        statuses = within(_PATIENCE_S, ask, "jobs")
    except ClusterctlError:
        return LeavingJobs()
    mine = {one.id for one in read_wanted(context.folder.path)}
    unfetched = [one for one in statuses if one.fetch and not one.fetched]
    return LeavingJobs(
        tuple(f"{one.id} {one.name or one.words}" for one in statuses if _is_there(one, aliases)),
        tuple(_name_files(one) for one in unfetched if one.id in mine),
        tuple(f"{_name_files(one)} {describe_owner(one)}" for one in unfetched if one.id not in mine),
    )


def describe_owner(status: model.JobStatus) -> str:
    """Return whose job it is, in words."""
    return f"begun by {status.begun_by or 'somebody else'}"


def _name_files(status: model.JobStatus) -> str:
    return f"{', '.join(clean_text(path) for path in status.fetch)} of job {status.id}"


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
