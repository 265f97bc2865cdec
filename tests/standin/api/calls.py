"""What was asked of the stand-in, in order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Call:
    """One call that arrived: `status` is 0 where no answer was sent; `error` is the code, or empty."""

    service: str
    action: str
    region: str
    params: Mapping[str, Any] = field(repr=False)
    time: datetime
    status: int
    error: str = ""


class CallLog:
    """All calls, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Write one down."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> list[Call]:
        """A copy, oldest first."""
        with self._lock:
            return list(self._calls)

    def of(self, action: str) -> list[Call]:
        """Those of one action."""
        return [call for call in self.all() if call.action == action]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._calls.clear()
