"""The one place that reads a clock. Code asks a deadline or a stopwatch, and adds no times up itself.

Durations come from a clock that nobody sets, moments from the clock of the wall. `clusterctl.testing.FakeClock` takes
the place of both in tests.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROWTH = 1.5


@dataclass(frozen=True, order=True)
class Deadline:
    """The moment at which a wait is given up. The earlier of two deadlines is the lesser one."""

    _at_s: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is so many seconds from now; with 0 it is over at once."""
        return cls(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """The seconds until then; 0 once it is over."""
        return max(0.0, self._at_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self._at_s

    def polls(self, every_s: float, *, longest_s: float | None = None) -> Iterator[None]:
        """Yield when it is time to look again: at once, then after every pause, and for the last time at the deadline.

        Whatever the deadline, there is one look. A loop that ends by itself has run out of time.

        Args:
            every_s: the pause, or the first one.
            longest_s: let the pauses grow up to this.
        """
        while True:
            last = self.is_over
            yield
            if last:
                return
            pause(min(every_s, self.left_s))
            every_s = min(every_s * _GROWTH, longest_s) if longest_s else every_s


class Stopwatch:
    """Measures how long something takes, from its creation on."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """The seconds since the creation, without those in which it was paused."""
        return time.monotonic() - self._began_s

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the body of the `with` statement."""
        before = self.elapsed_s
        yield
        self._began_s = time.monotonic() - before


def pause(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)


def utc_now() -> datetime:
    """Return the time of the wall clock, in UTC."""
    return datetime.fromtimestamp(time.time(), timezone.utc)


def log_stamp() -> str:
    """Return the time for a line of a log, in the laptop's time zone: ``2025-06-10T09:00:00+0200``."""
    return utc_now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
