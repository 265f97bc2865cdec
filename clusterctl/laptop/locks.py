"""Locks on open files. They end with the process that holds them, however it ends."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
    import os

    _PLACE = 1 << 30
    """The byte that is locked: far behind the content, since Windows keeps others from reading what is locked."""
    KEEPS_OPEN_FILES = True
    """True where a file cannot be deleted while it is open."""

    def try_lock(file: IO[Any]) -> bool:
        """Lock a file for this process alone. Return False if another process has locked it."""
        return _change(file, msvcrt.LK_NBLCK)

    def lock(file: IO[Any]) -> None:
        """Lock a file for this process alone. Wait while another process has locked it."""
        while not _change(file, msvcrt.LK_LOCK):  # gives up after ten seconds
            continue

    def is_locked(file: IO[Any]) -> bool:
        """Return whether another process has locked a file."""
        if not try_lock(file):
            return True
        _change(file, msvcrt.LK_UNLCK)
        return False

    def await_unlock(file: IO[Any]) -> None:
        """Wait until no other process has locked a file."""
        lock(file)
        _change(file, msvcrt.LK_UNLCK)

    def _change(file: IO[Any], how: int) -> bool:
        descriptor = file.fileno()
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, how, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)
        return True

else:
    import fcntl

    KEEPS_OPEN_FILES = False
    """True where a file cannot be deleted while it is open."""

    def try_lock(file: IO[Any]) -> bool:
        """Lock a file for this process alone. Return False if another process has locked it."""
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def lock(file: IO[Any]) -> None:
        """Lock a file for this process alone. Wait while another process has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX)

    def is_locked(file: IO[Any]) -> bool:
        """Return whether another process has locked a file."""
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several may ask at once
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False

    def await_unlock(file: IO[Any]) -> None:
        """Wait until no other process has locked a file."""
        fcntl.flock(file, fcntl.LOCK_SH)
        fcntl.flock(file, fcntl.LOCK_UN)
