"""File transfer to and from a node, over a channel of its connection."""

from __future__ import annotations

import fnmatch
import stat
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from clusterctl.laptop.places import permissions_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def put_file(sftp: Any, local: Path, remote: PurePosixPath) -> None:
    """Copy a file to the node, with its permissions. Missing folders are made."""
    for folder in reversed(remote.parents):
        with suppress(OSError):  # it exists, or the copy below reports what is wrong
            sftp.stat(str(folder))
            continue
        with suppress(OSError):
            sftp.mkdir(str(folder))
    sftp.put(str(local), str(remote))
    mode = permissions_of(local)
    if mode is not None:
        sftp.chmod(str(remote), mode)


def get_file(sftp: Any, remote: PurePosixPath, local: Path) -> None:
    """Copy a file from the node, with its permissions."""
    sftp.get(str(remote), str(local))
    local.chmod(stat.S_IMODE(sftp.stat(str(remote)).st_mode))


def file_mode(sftp: Any, path: PurePosixPath) -> int:
    """Return the mode of a path: its type and its permissions."""
    return int(sftp.stat(str(path)).st_mode)


def find_paths(sftp: Any, pattern: PurePosixPath) -> list[PurePosixPath]:
    """Return the paths that match a pattern whose last part has wildcards."""
    names = sftp.listdir(str(pattern.parent))
    return [pattern.parent / name for name in sorted(fnmatch.filter(names, pattern.name))]


def walk_tree(sftp: Any, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
    """Yield a path and everything below it: the full path, the path relative to the first one, and the mode."""
    own_mode = file_mode(sftp, path)
    yield path, PurePosixPath(), own_mode
    if stat.S_ISDIR(own_mode):
        for name in sorted(sftp.listdir(str(path))):
            for below, relative, mode_below in walk_tree(sftp, path / name):
                yield below, PurePosixPath(name) / relative, mode_below
