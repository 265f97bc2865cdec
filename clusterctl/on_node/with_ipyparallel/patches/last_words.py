"""How an engine has ended, as far as its nanny can know: its parent alone is told the exit status, and that is not it.

An engine that dies of a signal such as a segmentation fault writes where it was into a file in memory, which its nanny
has too. Of an engine that the kernel has ended for want of memory, the kernel's own count tells.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
from pathlib import Path

from ..agreed import ends

_LINES = 4
_NO_NEWS = ("Current thread", "Thread", "Extension modules", "Stack (")
"""Beginnings of lines that a person does not need."""
_MOST_BYTES = 8192


class LastWords:
    """What an engine leaves to its nanny. Both are made from the process that makes this."""

    def __init__(self, log: str = "") -> None:
        """Make room for them. `log` is the engine's log: its output may be a pipe that is closed when it has ended."""
        self._log = log
        self._file = os.memfd_create("last words")
        self._kills = _count_kills()

    def keep(self) -> None:
        """Have this process, the engine, leave them. Its children, such as those of a pool in a task, do not."""
        faulthandler.enable(self._file, all_threads=False)
        os.register_at_fork(after_in_child=faulthandler.disable)

    def read(self) -> str:
        """Return how the engine has ended, in a line; empty if nothing tells."""
        lines = [line.strip() for line in self._text().splitlines()]
        lines = [line for line in lines if line and not line.startswith(_NO_NEWS)]
        if not lines and _count_kills() > self._kills:
            lines = ["the kernel has ended a process for want of memory"]
        return "; ".join(lines[:_LINES])[: ends.LONGEST]

    def log(self) -> None:
        """Write the whole of it to the engine's log, or to the output where another user writes the log."""
        if text := self._text():
            try:
                number = os.open(self._log, os.O_WRONLY | os.O_APPEND)
            except OSError:
                number = 2
            with contextlib.suppress(OSError):
                os.write(number, f"{text}\n".encode())

    def _text(self) -> str:
        return os.pread(self._file, _MOST_BYTES, 0).decode(errors="replace")


def _count_kills() -> int:
    """Return how many processes the kernel has ended for want of memory, here or, where that is not told, anywhere."""
    for file in (_events_of_own_group, lambda: Path("/proc/vmstat")):
        try:
            lines = file().read_text(encoding="utf-8").splitlines()
            return int(dict(line.split(maxsplit=1) for line in lines)["oom_kill"])
        except (OSError, ValueError, KeyError):  # another kernel, or a container that hides it
            continue
    return 0


def _events_of_own_group() -> Path:
    group = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("0::/")[2].partition("\n")[0]
    return Path("/sys/fs/cgroup", group, "memory.events")
