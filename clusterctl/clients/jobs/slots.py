"""The cores of a node, which jobs take in the order in which they came. Nobody hands them out: locks on files do it.

FOLDER/core-0          locked by who has the core
FOLDER/tickets/N-ID    locked by the job that waits with this number; a ticket that nobody locks is void
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from clusterctl.clock import pause
from clusterctl.files import write_atomically
from clusterctl.laptop import locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

_LOOK_S = 0.2
"""Between two looks whether one that waits is to end."""
_FIRST_S, _LONGEST_S = 0.02, 0.2
"""Between two looks for free cores, by the one whose turn it is."""


class Ticket:
    """A place in the line of a node."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file

    @classmethod
    def take(cls, folder: Path, job_id: str) -> Ticket:
        """Join the line at its end."""
        tickets = folder / "tickets"
        tickets.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "turn").open("a+b") as turn:
            locks.lock(turn)
            last = folder / "last"
            numbers = [int(path.name.partition("-")[0]) for path in tickets.iterdir()]
            with contextlib.suppress(OSError, ValueError):
                numbers.append(int(last.read_text()))
            number = max(numbers, default=0) + 1
            write_atomically(last, str(number))
            path = tickets / f"{number:012d}-{job_id}"
            file = path.open("xb")
            locks.lock(file)
        return cls(path, file)

    @classmethod
    def inherit(cls, path: Path, descriptor: int) -> Ticket:
        """Take over the ticket that the process which began this one has taken."""
        return cls(path, os.fdopen(descriptor, "wb"))

    @property
    def descriptor(self) -> int:
        """The number of the open file, for the process that shall inherit it."""
        return self._file.fileno()

    def close(self) -> None:
        """Let go of it here: who has inherited it keeps it."""
        self._file.close()

    def leave(self) -> None:
        """Leave the line."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    def wait(self, cores: int, total: int, is_told_to_end: Callable[[], bool]) -> list[IO[bytes]] | None:
        """Wait for this one's turn and for cores, and leave the line. Return what holds them; None if told to end.

        Args:
            cores: how many.
            total: how many the node has.
            is_told_to_end: asked again and again.
        """
        every_s = _FIRST_S
        try:
            while not is_told_to_end():
                before = self._nearest_before()
                if before is not None:
                    _await_unlock(before, is_told_to_end)
                elif held := _take_cores(self.path.parents[1], cores, total):
                    return held
                else:
                    pause(every_s)
                    every_s = min(_LONGEST_S, every_s * 1.5)
            return None
        finally:
            self.leave()

    def _nearest_before(self) -> IO[bytes] | None:
        """Return the ticket before this one, open. Void ones are deleted."""
        earlier = sorted(path for path in self.path.parent.iterdir() if path.name < self.path.name)
        for path in reversed(earlier):
            with contextlib.suppress(FileNotFoundError):
                file = path.open("rb")
                if locks.is_locked(file):
                    return file
                file.close()
                path.unlink(missing_ok=True)
        return None


def _await_unlock(file: IO[bytes], is_told_to_end: Callable[[], bool]) -> None:
    """Wait until a ticket is void, or until this process is told to end."""
    over = threading.Event()

    def wait() -> None:
        locks.await_unlock(file)
        file.close()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    while not over.wait(_LOOK_S) and not is_told_to_end():
        continue


def _take_cores(folder: Path, cores: int, total: int) -> list[IO[bytes]]:
    """Return what holds so many cores; nothing if fewer are free."""
    held: list[IO[bytes]] = []
    for number in range(total):
        file: IO[bytes] = (folder / f"core-{number}").open("ab")
        if locks.try_lock(file):
            held.append(file)
        else:
            file.close()
        if len(held) == cores:
            return held
    for file in held:
        file.close()
    return []
