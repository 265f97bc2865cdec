"""Notes for how long no engine has been there to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Stopwatch
from clusterctl.compute.failures import NoEnginesError

if TYPE_CHECKING:
    from clusterctl.compute.engines.crew import Crew

_GROWTH_S = 900.0
"""For an engine of a node that is still to be bought: a cloud may have none at first, and a node has to boot."""


class Absence:
    """Work waits for engines for a while."""

    def __init__(self, crew: Crew, wait_s: float) -> None:
        self._crew, self._wait_s = crew, wait_s
        self._watch: Stopwatch | None = None

    def error(self, *, has_work: bool, grows: bool) -> NoEnginesError | None:
        """Return the error of all work, once it has waited for so long.

        Args:
            has_work: whether anything waits.
            grows: whether somebody adds nodes for what waits. Then it waits longer.
        """
        if not has_work or self._crew.working():
            self._watch = None
            return None
        if self._watch is None:
            self._watch = Stopwatch()
        wait_s = max(self._wait_s, _GROWTH_S) if grows else self._wait_s
        if self._watch.elapsed_s < wait_s:
            return None
        remedy = "see `clusterctl status`; `clusterctl start` repairs a cluster"
        if grows:
            remedy = "see what `clusterctl watch` says: it adds nodes for what waits"
        return NoEnginesError(f"no engine was there for {wait_s:.0f} s", remedy=remedy)
