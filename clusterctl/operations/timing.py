"""The timing of the laptop's own steps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.clock import Stopwatch
from clusterctl.model import Step

if TYPE_CHECKING:
    from collections.abc import Iterator


class StepTimer:
    """A timer that runs from its creation, and the steps that it timed."""

    def __init__(self) -> None:
        self._watch = Stopwatch()
        self.steps: list[Step] = []

    def elapsed_s(self) -> float:
        """Return the seconds since the creation, without the time that the timer was stopped."""
        return self._watch.elapsed_s

    @contextmanager
    def time_step(self, name: str) -> Iterator[None]:
        """Time the body of the `with` statement as one step."""
        began = self.elapsed_s()
        waited_for = self.steps[-1].plugin if self.steps else ""
        yield
        self.steps.append(Step("laptop", name, waited_for, began, began, self.elapsed_s()))

    @contextmanager
    def pause_timer(self) -> Iterator[None]:
        """Stop the timer during the body of the `with` statement: the user's time to think does not count."""
        with self._watch.paused():
            yield
