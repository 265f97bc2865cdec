"""What an operation tells the user while it works: the events, and the one object that takes them."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.text import clean_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_PROGRESS_EVERY_S = 5.0


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


class Narrator(Reporter):
    """Prints the events: warnings on stderr, all else on `file`, which is what stdout is at each moment if None."""

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__(self._show_event)
        self._to = file
        self._lock = threading.Lock()
        self._quiet_until: dict[str, Deadline] = {}

    def _show_event(self, event: Event) -> None:
        with self._lock:
            if event.kind == EventKind.PROGRESS:
                self._show_progress(event)
            elif event.kind == EventKind.WARNING:
                self._print_line(f"*** WARNING - {event.text}", err=True)
            elif event.kind == EventKind.TRACE:
                self._show_trace(event.text)
            elif event.kind == EventKind.DETAIL:
                self._print_line(f"    {event.text}")
            else:
                self._print_line(f">>> {event.text}")

    def _show_progress(self, event: Event) -> None:
        """Print a line every few seconds, and the last one: not a line for each of a thousand nodes."""
        quiet = self._quiet_until.get(event.text)
        if event.done >= event.total or quiet is None or quiet.is_over:
            self._quiet_until[event.text] = Deadline.after(_PROGRESS_EVERY_S)
            self._print_line(f">>> {event.text}: {event.done}/{event.total}")

    def _show_trace(self, text: str) -> None:
        """Leave out the traceback of a fault that is told in a line elsewhere."""

    def _print_line(self, text: str, *, err: bool = False) -> None:
        print(clean_lines(text), file=sys.stderr if err else self._to or sys.stdout, flush=True)
