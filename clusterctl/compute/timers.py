"""What is to be done later by a thread that looks now and then, and waits that Ctrl-C always ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_LOOK_S = 0.2
"""Between looks for Ctrl-C."""


def wait_for(changed: threading.Condition, is_so: Callable[[], object], timeout: float | None = None) -> bool:
    """Wait as `Condition.wait_for` does, which returns whether it is so in the end.

    A Python that is waiting for its turn when Ctrl-C comes, and then begins to wait for the condition, hears of it when
    the wait is over. So no wait is long.
    """
    deadline = None if timeout is None else Deadline.after(timeout)
    while not is_so():
        if deadline is not None and deadline.is_over:
            return False
        changed.wait(_LOOK_S if deadline is None else min(_LOOK_S, deadline.left_s))
    return True


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
