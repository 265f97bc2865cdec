"""What can go wrong on the way to the cloud and back. Each fault says which actions it hits and how often."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY = "*"


class LostError(Exception):
    """The connection is closed without an answer."""


@dataclass(frozen=True)
class Fault:
    """Hits the next `times` calls of `action` (`*`: of any)."""

    action: str = ANY
    times: int = 1

    def before(self, request: wire.Request) -> None:
        """What happens instead of the call: raises."""

    def after(self, request: wire.Request) -> None:
        """What happens in place of the answer: raises."""


@dataclass(frozen=True)
class Fails(Fault):
    """The call is refused with this error and has no effect."""

    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 400

    def before(self, request: wire.Request) -> None:
        raise wire.AwsError(self.code, self.message, status=self.status)


@dataclass(frozen=True)
class LostRequest(Fault):
    """The connection breaks before the call arrives."""

    def before(self, request: wire.Request) -> None:
        raise LostError


@dataclass(frozen=True)
class LostAnswer(Fault):
    """The call has its effect; the connection breaks before the answer comes back."""

    def after(self, request: wire.Request) -> None:
        raise LostError


class Faults:
    """The faults that are in force, for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[Fault, int] = {}

    def add(self, *faults: Fault) -> None:
        """Put these in force."""
        with self._lock:
            for fault in faults:
                self._left[fault] = self._left.get(fault, 0) + fault.times

    def remove(self, *faults: Fault) -> None:
        """End these; one that is used up or unknown is no error."""
        with self._lock:
            for fault in faults:
                self._left.pop(fault, None)

    def clear(self) -> None:
        """End all."""
        with self._lock:
            self._left.clear()

    def left(self) -> dict[Fault, int]:
        """What is still in force, and how often it will hit."""
        with self._lock:
            return dict(self._left)

    def hitting(self, request: wire.Request) -> Iterator[Fault]:
        """Those that hit this call; each is counted as used once."""
        with self._lock:
            hits = [fault for fault in self._left if fault.action in (ANY, request.action)]
            for fault in hits:
                self._left[fault] -= 1
                if not self._left[fault]:
                    del self._left[fault]
        yield from hits
