"""How far a map is, on the terminal or in the notebook of the one who waits for it.

It is drawn only while somebody waits, by his own thread. On a terminal it is wiped away before his program goes on: so
it is never in the way of what the program prints. Below the cell of a notebook it has a place of its own, and stays.
"""

from __future__ import annotations

import shutil
import sys
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.compute.calls.prints import write_line
from clusterctl.compute.timers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

_AFTER_S = 3.0
"""A map that is done by then needs no display."""
_EVERY_S = 0.2
_LINE_EVERY_S = 10.0
"""Where nothing can be wiped away: in a file or a pipe."""


@dataclass(frozen=True)
class Progress:
    """How far a map is."""

    done: int
    """Items that have a value or an error."""
    total: int | None
    """All items; None while they are not known."""
    engines: int
    """Engines that can work on it."""
    reruns: int
    """Items that went out again since their engine was lost."""


class Display:
    """Shows the progress of one map."""

    def __init__(self, name: str, measure: Callable[[], Progress], *, wanted: bool | None = None) -> None:
        """Show nothing yet.

        Args:
            name: of the map.
            measure: how far it is now.
            wanted: None where it is shown by itself: on a terminal or in a notebook, if the map takes seconds.
        """
        self._name, self._wanted = name, wanted
        self._measure: Callable[[], Progress] | None = measure
        self._since = Stopwatch()
        self._lock = threading.Lock()
        self._width = 0
        """Of what stands on the terminal."""
        self._output = ""
        """The id of what stands in the notebook."""
        self._next = Deadline.after(0)

    def wait(self, condition: threading.Condition, is_ready: Callable[[], object], timeout: float | None) -> bool:
        """Wait until it is ready, or for so many seconds. Return whether it is."""
        with condition:
            if is_ready() or self._wanted is False:
                return wait_for(condition, is_ready, timeout)
        deadline = Deadline.after(threading.TIMEOUT_MAX if timeout is None else timeout)
        try:
            while True:
                with condition:
                    if condition.wait_for(is_ready, min(_EVERY_S, deadline.left_s)) or deadline.is_over:
                        return bool(is_ready())
                self._draw()  # without the lock: a terminal can be stopped
        finally:
            self.hide()

    def say(self, line: str, stream: str) -> None:
        """Write a line of a task's above what is drawn."""
        self.hide()
        write_line(line, stream)

    def hide(self) -> None:
        """Wipe away what is drawn."""
        with self._lock:
            if self._width:
                self._write("\r" + " " * self._width + "\r")
                self._width = 0

    def end(self) -> None:
        """Show nothing any more."""
        with self._lock:
            shell = _notebook() if self._output else None
            if shell is not None and self._measure is not None:  # what stands there stays: how far it came
                self._publish(shell, _line(self._name, self._measure(), self._since.elapsed_s, _width()))
            self._measure = None  # it holds the result, which holds this
        self.hide()

    def _draw(self) -> None:
        shell = _notebook()
        can_wipe = shell is not None or _is_terminal()
        if self._wanted is None and not (can_wipe and self._since.elapsed_s > _AFTER_S):
            return
        with self._lock:
            if self._measure is None or not self._next.is_over:
                return
            line = _line(self._name, self._measure(), self._since.elapsed_s, _width() if can_wipe else None)
            if shell is not None:
                self._publish(shell, line)
            elif can_wipe:
                self._write("\r" + line.ljust(self._width))
                self._width = len(line)
            else:
                self._next = Deadline.after(_LINE_EVERY_S)
                self._write(line + "\n")

    def _publish(self, shell: Any, line: str) -> None:
        is_new, self._output = not self._output, self._output or uuid.uuid4().hex
        with suppress(OSError, ValueError):  # nobody reads it any more
            about = {"transient": {"display_id": self._output}, "update": not is_new}
            shell.display_pub.publish({"text/plain": line}, **about)

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it any more
            sys.stderr.write(text)
            sys.stderr.flush()


def _line(name: str, progress: Progress, elapsed_s: float, width: int | None) -> str:
    from tqdm import tqdm

    about = f"{progress.engines or 'no'} engine{'s' * (progress.engines > 1)}"
    about += f", {progress.reruns} again" if progress.reruns else ""
    line: str = tqdm.format_meter(
        progress.done,
        progress.total,
        elapsed_s,
        ncols=width,
        prefix=name,
        unit=" items",
        postfix=about,
        ascii=not (getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf"),
    )
    return line if width is None else line[:width]


def _is_terminal() -> bool:
    with suppress(AttributeError, ValueError):  # there is none, or it was closed
        return sys.stderr.isatty()
    return False


def _notebook() -> Any:
    """Return the shell of the kernel in which this runs; None where this is no notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell if hasattr(shell, "kernel") else None


def _width() -> int:
    return shutil.get_terminal_size().columns - 1
