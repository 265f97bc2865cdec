"""A process that is known by a file that it locks. The number in the file is never believed without the lock."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

from clusterctl.laptop import locks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Be the process of this file until the end of the block. Yield False if another one is."""
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            mine = locks.try_lock(file)
            if mine and not _is_at(path, file):
                continue  # it was deleted between the two, and is nobody's file now
            if mine:
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield mine
            return


def _is_at(path: Path, file: IO[str]) -> bool:
    """Return whether an open file is still the one at this path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def release(path: Path) -> None:
    """Delete a file that no process holds. Nobody can get it in between."""
    with hold(path) as mine:
        if mine and not locks.KEEPS_OPEN_FILES:
            path.unlink(missing_ok=True)
    if mine:
        path.unlink(missing_ok=True)


def holder_pid(path: Path) -> int | None:
    """Return the process of this file, or None."""
    try:
        with path.open() as file:
            if locks.is_locked(file):
                return int(file.read().strip() or 0) or None
    except (OSError, ValueError):
        return None
    return None
