"""The steps of a start, and the timing of the laptop's own ones."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.clock import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Step:
    """A step of the wavefront: a plugin, or ``ssh`` (wait for an answer), on a node. Seconds since `start` began."""

    node: str
    plugin: str
    waited_for: str
    """The last step that it had to wait for, such as ``master/packages``; empty if none."""
    ready_s: float
    began_s: float
    ended_s: float
    commands: int = 0
    """Number of remote commands."""
    error: str = ""


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
