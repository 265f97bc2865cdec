"""Waiting for what the world does in its own time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(probe: Callable[[], T], what: str, *, deadline_s: float = 120.0, every_s: float = 0.1) -> T:
    """What `probe` returns as soon as that is true; what is being waited for goes into the message if it never is."""
    end = time.monotonic() + deadline_s
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        threading.Event().wait(every_s)
