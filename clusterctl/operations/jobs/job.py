"""A job, for Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.clients.jobs import model
from clusterctl.operations.jobs.running import begin_job, follow_job, see_to_lost
from clusterctl.operations.jobs.wanted import fetch_paths, fetch_wanted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.node.copying import Copied
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.remote_jobs import RemoteJobs
    from clusterctl.operations.jobs.running import JobRequest

_CANCEL_S = 45.0


class Job:
    """A command that runs on a node, or ran there."""

    def __init__(self, context: RunContext, jobs: RemoteJobs, job_id: str) -> None:
        self.id = job_id
        self._context, self._jobs = context, jobs

    @classmethod
    def begin(cls, context: RunContext, jobs: RemoteJobs, request: JobRequest) -> Job:
        """Begin one."""
        return cls(context, jobs, begin_job(context, jobs, request).id)

    def __repr__(self) -> str:
        """Return its id, and where it is."""
        return f"<Job {self.id} on {self._context.name}>"

    def status(self) -> JobStatus:
        """Return how it is. If it was lost and shall, it runs again."""
        return see_to_lost(self._context, self._jobs, [self._jobs.look(self.id)])[0]

    @property
    def manifest(self) -> dict[str, Any]:
        """What it was made from, and how it went."""
        return self._jobs.manifest(self.id)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end, and fetch what is to be fetched. Return its exit status; None if it has none.

        Raises:
            TimeoutError: it is not over by then. It goes on.
        """
        return self._follow(lambda _: None, timeout_s)

    def follow(self, show: Callable[[bytes], object], timeout_s: float | None = None) -> int | None:
        """Do the same, and hand on what it prints, from the beginning."""
        return self._follow(show, timeout_s)

    def _follow(self, show: Callable[[bytes], object], timeout_s: float | None) -> int | None:
        status = follow_job(self._context, self._jobs, self.id, show, timeout_s=timeout_s)
        for _ in fetch_wanted(self._context, self._jobs, [self.id]):
            continue
        return 0 if status.state == model.DONE else status.exit

    def log(self) -> str:
        """Return what it has printed so far."""
        parts: list[bytes] = []
        while part := self._jobs.read(self.id, sum(map(len, parts)), 0)[1]:
            parts.append(part)
        return b"".join(parts).decode(errors="replace")

    def cancel(self) -> JobStatus:
        """End it. Return how it is then."""
        return self._jobs.cancel(self.id, _CANCEL_S)

    def fetch(self, *paths: str, to: str | os.PathLike[str] = ".") -> Copied:
        """Copy files and folders of its folder to the same places below a folder here."""
        return fetch_paths(self._context, self._jobs, self.id, paths, Path(to))
