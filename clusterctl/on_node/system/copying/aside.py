"""Hidden folders in which copies are built. Those of runs that were killed go with the next copy to the same place."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ASIDE = ".clusterctl-copy-"
"""How their names begin."""


@contextmanager
def built_aside(target: Path) -> Iterator[Path]:
    """Have a folder on the file system where `target` is or will be; it is gone in the end."""
    # Where the target is a folder, a mount say, what is beside it may be out of reach.
    above = next(path for path in (target, *target.parents) if path.is_dir())
    for folder in above.glob(f"{ASIDE}*"):
        _remove_left_over(folder)
    aside, lock = _make_locked(above)
    try:
        yield aside
    finally:
        _remove(aside)
        if lock is not None:
            os.close(lock)


def _make_locked(above: Path) -> tuple[Path, int | None]:
    """Make a folder, and hold a lock on it that goes with the process, where the system has such."""
    while True:
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=above))
        try:
            import fcntl
        except ImportError:
            return aside, None
        try:
            lock = os.open(aside, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another copy took it for left over, before it was opened
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if aside.exists():
            return aside, lock
        os.close(lock)  # another copy took it for left over, before it was locked


def _remove_left_over(folder: Path) -> None:
    """Remove a folder that is ours and whose process is gone; not where that cannot be told."""
    try:
        import fcntl

        lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except (ImportError, OSError):
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.geteuid():
            _remove(folder)
    except OSError:
        return
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, with folders in it that nobody may write to."""
    for path, names, _ in os.walk(folder):
        for name in names:
            below = Path(path, name)
            with suppress(OSError):
                if stat.S_ISDIR(below.lstat().st_mode):
                    below.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
