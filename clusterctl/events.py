"""What an operation tells the user while it works: the events, and the one object that takes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class EventKind(str, Enum):
    """The kinds of events, which say how to show them."""

    STEP = "step"
    """A new phase: ``>>> text``."""
    PROGRESS = "progress"
    """`done` of `total` in the phase `text`."""
    NOTE = "note"
    """Information, nothing to do."""
    DETAIL = "detail"
    """A line of what another program says."""
    WARNING = "warning"
    """A warning that the user should see."""
    TRACE = "trace"
    """The traceback of a plugin's fault, for who looks for it."""


@dataclass(frozen=True)
class Event:
    """One report of an operation. The cli shows it; no module below the cli prints."""

    kind: EventKind
    text: str
    node: str = ""
    done: int = 0
    total: int = 0


class Reporter:
    """Tells the user what an operation does: says, notes, warns, shows progress. Many threads may call it."""

    def __init__(self, show: Callable[[Event], None]) -> None:
        self._show = show

    def say(self, text: str) -> None:
        """Say which step begins now."""
        self._show(Event(EventKind.STEP, text))

    def note(self, text: str) -> None:
        """Say something about which there is nothing to do."""
        self._show(Event(EventKind.NOTE, text))

    def detail(self, text: str) -> None:
        """Show a line of what another program says."""
        self._show(Event(EventKind.DETAIL, text))

    def warn(self, text: str) -> None:
        """Warn of a fault that is not fatal."""
        self._show(Event(EventKind.WARNING, text))

    def trace(self, text: str) -> None:
        """Give the traceback of a fault that is told in a line elsewhere."""
        self._show(Event(EventKind.TRACE, text))

    def progress(self, text: str, *, done: int, total: int, node: str = "") -> None:
        """Show how far the step `text` is, and which node brought it there."""
        self._show(Event(EventKind.PROGRESS, text, node=node, done=done, total=total))


SILENT = Reporter(lambda _: None)
"""Tells nobody."""
