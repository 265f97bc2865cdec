"""Jobs that end with nodes that leave, for the question before it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.clients.jobs import model
from clusterctl.errors import ClusterctlError
from clusterctl.operations.jobs.remote_jobs import RemoteJobs

if TYPE_CHECKING:
    from collections.abc import Collection

    from clusterctl.operations.context import RunContext

_PATIENCE_S = 10.0
"""For the nodes to say it: who wants to end a cluster that does not answer is not to wait for it."""


def name_jobs(context: RunContext, aliases: Collection[str]) -> tuple[str, ...]:
    """Return the jobs that run or wait on the nodes that leave, by id and command; none where no node answers."""
    found: list[str] = []

    def ask() -> None:
        with suppress(ClusterctlError, OSError), RemoteJobs(context) as jobs:
            statuses = jobs.all() if jobs.nodes else []
            found.extend(f"{one.id} {one.name or one.words}" for one in statuses if _is_there(one, aliases))

    thread = threading.Thread(target=ask, name="jobs that leave", daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return tuple(found)


def _is_there(status: model.JobStatus, aliases: Collection[str]) -> bool:
    return status.state in model.UNDER_WAY and status.node in aliases
