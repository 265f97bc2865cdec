"""The lock on a cluster's folder. It lies in the folder, and is gone with it."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.files import ensure_folder, open_lock, set_aside
from clusterctl.laptop.locks import try_lock

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = "lock"
_MOST_TIMES = 100
"""For which the folder may be deleted while it is opened."""


def open_locked(folder: Path, name: str) -> IO[str]:
    """Return the lock file of a cluster's folder, open and locked. The folder is made if it is missing.

    The folder may be deleted between the opening and the locking. Then the lock is one of a file that has no name any
    more, and another command may hold that of its successor: so the file is looked up once more.

    Raises:
        StateError: another process holds the lock, or the folder cannot be written.
    """
    gone: OSError = FileNotFoundError("it is deleted again and again")
    for _ in range(_MOST_TIMES):
        try:
            lock = _open_in(folder)
        except FileNotFoundError as exc:  # the folder was deleted in between; or it is where none can be made
            gone = exc
            continue
        except OSError as exc:
            raise write_error(folder, exc) from exc
        if not try_lock(lock):
            with lock:
                lock.seek(0)
                holder = lock.read(20).strip()
            raise StateError(
                f"another clusterctl is at work on {name} (process {holder or 'unknown'})",
                remedy="wait for it to end, or end it; what it leaves half-done the next `start` completes",
            )
        if _is_same_file(lock, folder / LOCK_FILE):
            return lock
        lock.close()
    raise write_error(folder, gone) from gone


def _open_in(folder: Path) -> IO[str]:
    if not folder.is_dir():
        if os.path.lexists(folder):
            set_aside(folder)
        ensure_folder(folder)
    if (folder / LOCK_FILE).is_dir():
        set_aside(folder / LOCK_FILE)
    return open_lock(folder / LOCK_FILE)


def _is_same_file(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def write_error(path: Path, exc: OSError) -> StateError:
    """Return the error for a file that cannot be written."""
    return StateError(
        f"cannot write {path}: {exc.strerror or exc}",
        remedy="free some space or fix its permissions, or set CLUSTERCTL_HOME to another folder",
    )
