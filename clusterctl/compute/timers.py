"""What is to be done later, by a thread that looks now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """Acts that are due after a while. True while there are any."""

    def __init__(self) -> None:
        self._acts: list[tuple[Deadline, Callable[[], object]]] = []

    def __bool__(self) -> bool:
        return bool(self._acts)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Have this done so many seconds from now."""
        self._acts.append((Deadline.after(seconds), act))

    def run_due(self) -> None:
        """Do what is due."""
        due = [entry for entry in self._acts if entry[0].is_over]
        self._acts = [entry for entry in self._acts if entry not in due]
        for _, act in due:
            act()
