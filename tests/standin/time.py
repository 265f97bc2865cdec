"""The stand-in's own time, which a test may set: what costs money by the hour is not waited for."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_clock: list[Callable[[], float]] = []


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.fromtimestamp(_clock[-1](), timezone.utc) if _clock else datetime.now(timezone.utc)


def follow(clock: Callable[[], float] | None) -> None:
    """From now on take the time, in seconds since 1970, from this function; None: from the system."""
    _clock[:] = [clock] if clock else []
