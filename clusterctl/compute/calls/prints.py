"""What tasks print, on the terminal or in the notebook of the one who has begun the map.

Whole lines come as ipyparallel shows them, with the engine in front: those of several engines are never mixed.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 100_000
"""Of a line that does not end."""


def write_line(line: str, stream: str) -> None:
    """Write a line to this Python's own output, or to its errors."""
    with suppress(OSError, ValueError, AttributeError):  # nobody reads it any more
        file = sys.stderr if stream == "stderr" else sys.stdout
        file.write(f"{line}\n")
        file.flush()


class Prints:
    """The lines of one map."""

    def __init__(self, *, wanted: bool) -> None:
        """Show nothing yet.

        Args:
            wanted: whether anything is shown.
        """
        self.write: Callable[[str, str], object] = write_line
        """Called with a line and the name of its stream."""
        self._wanted = wanted
        self._cell = copy_context()
        """By which a notebook's output knows the cell that has begun the map: the next one may run already."""
        self._begun: dict[tuple[int, str], str] = {}
        """What each engine has printed since its last whole line."""
        self._is_over = False
        self._lock = threading.Lock()

    def take(self, engine: int, stream: str, text: str) -> None:
        """Take what an engine has printed."""
        if not self._wanted:
            return
        with self._lock:
            *lines, rest = (self._begun.pop((engine, stream), "") + text).split("\n")
            if rest and not self._is_over and len(rest) < _LONGEST:
                self._begun[engine, stream] = rest
            elif rest:
                lines.append(rest)
        for line in lines:
            self._show(engine, stream, line)

    def end(self) -> None:
        """Show what has no end of a line: the map is over."""
        with self._lock:
            self._is_over = True
            left, self._begun = self._begun, {}
        for (engine, stream), line in left.items():
            self._show(engine, stream, line)

    def _show(self, engine: int, stream: str, line: str) -> None:
        # What stands before a carriage return was to be written over.
        text = f"[{stream}:{engine}] {line.rstrip(chr(13)).rpartition(chr(13))[2]}"
        self._cell.copy().run(self.write, text, stream)
