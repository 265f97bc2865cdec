"""Files to and from a node, over a channel of its connection."""

from __future__ import annotations

import fnmatch
import stat
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def put(sftp: Any, local: Path, remote: PurePosixPath) -> None:
    """Copy a file there, with its permissions; missing folders are made."""
    for folder in reversed(remote.parents):
        with suppress(OSError):  # it exists, or the copy says what is wrong
            sftp.stat(str(folder))
            continue
        with suppress(OSError):
            sftp.mkdir(str(folder))
    sftp.put(str(local), str(remote))
    sftp.chmod(str(remote), stat.S_IMODE(local.stat().st_mode))


def get(sftp: Any, remote: PurePosixPath, local: Path) -> None:
    """Copy a file from there, with its permissions."""
    sftp.get(str(remote), str(local))
    local.chmod(stat.S_IMODE(sftp.stat(str(remote)).st_mode))


def mode(sftp: Any, path: PurePosixPath) -> int:
    """What a path is, and who may do what with it."""
    return int(sftp.stat(str(path)).st_mode)


def find(sftp: Any, pattern: PurePosixPath) -> list[PurePosixPath]:
    """What matches a path whose last part has wildcards."""
    names = sftp.listdir(str(pattern.parent))
    return [pattern.parent / name for name in sorted(fnmatch.filter(names, pattern.name))]


def walk(sftp: Any, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
    """A path and all that is below it: the path, the part of it below the first one, and its mode."""
    its_mode = mode(sftp, path)
    yield path, PurePosixPath(), its_mode
    if stat.S_ISDIR(its_mode):
        for name in sorted(sftp.listdir(str(path))):
            for below, relative, mode_below in walk(sftp, path / name):
                yield below, PurePosixPath(name) / relative, mode_below
