"""How files of the store come, are checked, and go. See `objects.py`.

The text of this module is sent before that of `objects.py`, and all run as one program.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STORE_BYTES, STORE_S = 20 * 2**30, 7 * 86400
"""What is kept; what was not used for the longest time goes first."""
PART_S = 86400
"""After so long, what was begun and never finished goes."""
BLOCK = 2**20
NAME_LETTERS = 64


class StoreError(Exception):
    """The folder cannot be used."""


class Part:
    """A file that comes piece by piece."""

    def __init__(self, folder: Path, name: str, key: str) -> None:
        self.name, self._target = name, folder / name
        self._path = folder / f".{key}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._number = os.open(self._path, flags, 0o600)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, piece: Any, offset: int) -> None:
        """Append a piece."""
        if offset != self.size:
            raise StoreError("a piece is missing")
        view = memoryview(piece).cast("B")
        self._hash.update(view)
        while view:
            written = os.write(self._number, view)
            self.size += written
            view = view[written:]

    def finish(self) -> os.stat_result:
        """Give the file its name, if its content is right. Return what the system says of it."""
        os.close(self._number)
        if self._hash.hexdigest() != self.name:
            self._path.unlink()
            raise StoreError("what has come is not what was announced: an array must not change while it is sent")
        self._path.rename(self._target)
        return self._target.lstat()

    def drop(self) -> None:
        """Remove it."""
        with suppress(OSError):
            os.close(self._number)
        with suppress(OSError):
            self._path.unlink()


def is_own(about: os.stat_result) -> bool:
    """Return whether a file is there still, and its user's alone."""
    is_plain = stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    return is_plain and about.st_uid == os.geteuid() and not about.st_mode & 0o077


def state_of(about: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file does."""
    return about.st_dev, about.st_ino, about.st_size, about.st_ctime_ns


def digest(number: int) -> str:
    """Return the name that an open file should have."""
    content = hashlib.sha256()
    offset = 0
    while block := os.pread(number, BLOCK, offset):
        content.update(block)
        offset += len(block)
    return content.hexdigest()


def sweep(folder: Path, size: int) -> None:
    """Make room for so many bytes, by removing what nobody has mapped.

    Raises:
        StoreError: the disk is full of other things.
    """
    files = sorted((about.st_mtime, about.st_size, entry) for entry, about in _list_files(folder))
    kept, now = sum(length for _, length, _ in files) + size, time.time()
    for used, length, entry in files:
        is_old = now - used > (PART_S if entry.endswith(".part") else STORE_S)
        is_too_much = kept > STORE_BYTES or _free_bytes(folder) < size
        if (is_old or (is_too_much and not entry.endswith(".part"))) and remove(folder / entry):
            kept -= length
    if _free_bytes(folder) < size:
        raise StoreError(f"{folder} has no room for {size >> 20} MiB")


def _list_files(folder: Path) -> Iterable[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False)


def _free_bytes(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


def remove(path: Path) -> bool:
    """Remove a file that nobody has mapped. Return whether it is gone."""
    try:
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(number)
    return True
