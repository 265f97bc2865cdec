"""Notes for how long no engine has been there to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.compute.failures import NoEnginesError

if TYPE_CHECKING:
    from clusterctl.compute.engines.crew import Crew


class Absence:
    """Work waits for engines for a while."""

    def __init__(self, crew: Crew, wait_s: float) -> None:
        self._crew, self._wait_s = crew, wait_s
        self._deadline: Deadline | None = None

    def error(self, *, has_work: bool) -> NoEnginesError | None:
        """Return the error of all work, once it has waited for so long."""
        if not has_work or self._crew.working():
            self._deadline = None
        elif self._deadline is None:
            self._deadline = Deadline.after(self._wait_s)
        elif self._deadline.is_over:
            remedy = "see `clusterctl status`; `clusterctl start` repairs a cluster"
            return NoEnginesError(f"no engine was there for {self._wait_s:.0f} s", remedy=remedy)
        return None
