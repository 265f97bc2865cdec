"""The two processes of a tunnel, each known by a file that it locks: the one that forwards, and the one that minds it.

A lock ends with its process, so a number in a file is never believed without it. That the forwarding one does its work,
and does not only exist, it shows by touching a file every few seconds.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

from clusterctl.clock import Deadline, utc_now
from clusterctl.laptop import locks
from clusterctl.laptop.processes import end_process, kill_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORWARDER_FILE = "tunnel.pid"
MINDER_FILE = "tunnel.minder"
BEAT_FILE = "tunnel.beat"
BEAT_S = 3.0
_DEAF_S = 20.0
_END_S = 3.0


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


def beat(folder: Path) -> None:
    """Show that this process does its work."""
    (folder / BEAT_FILE).touch(mode=0o600)


def last_beat(folder: Path) -> float | None:
    """Return when the forwarding process has beaten last; None for one of an older version, which does not."""
    try:
        return (folder / BEAT_FILE).stat().st_mtime
    except OSError:
        return None


def is_deaf(folder: Path) -> bool:
    """Return whether the forwarding process is frozen: it has not beaten for a while."""
    beaten = last_beat(folder)
    return beaten is not None and utc_now().timestamp() - beaten > _DEAF_S


def end_holder(path: Path) -> None:
    """End the process of this file, at once if it does not end by itself, and wait until it has."""
    pid = holder_pid(path)
    if not pid:
        return
    end_process(pid)
    if not any(holder_pid(path) is None for _ in Deadline.after(_END_S).polls(0.02)):
        kill_process(pid)  # one that is stopped hears nothing else
        with contextlib.suppress(FileNotFoundError), path.open() as file:
            locks.await_unlock(file)
