"""A clock for tests of what waits or measures."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from unittest.mock import patch

from clusterctl import clock

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeClock:
    """A clock that stands still until a pause or the test moves it: no test waits for it.

    ::

        with FakeClock().installed() as clock:
            deadline = Deadline.after(60)
            clock.advance(61)
            assert deadline.is_over
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._began_s = now.timestamp()
        self._passed_s = 0.0

    @property
    def passed_s(self) -> float:
        """The seconds by which the clock was moved."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._passed_s += seconds

    @contextmanager
    def installed(self) -> Iterator[FakeClock]:
        """Put this clock in the place of the real one while the body of the `with` statement runs."""
        with patch.object(clock, "time", self):
            yield self

    # The functions of the module `time` that clusterctl.clock uses.

    def monotonic(self) -> float:
        """Return the seconds of a clock that was not started at 0."""
        return 1000.0 + self._passed_s

    def time(self) -> float:
        """Return the seconds of the wall clock."""
        return self._began_s + self._passed_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass without waiting."""
        self.advance(seconds)
