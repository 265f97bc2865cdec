"""The code of a job: the files of a folder, each known by the hash of its content."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.clients.jobs.code import CodeFile
from clusterctl.errors import UsageError
from clusterctl.operations.sending.listing import IGNORE_FILE, ask_git, list_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LARGEST = 500 * 10**6
"""Bytes of a whole snapshot."""
_NAMED = 5
_PART = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """The files of a folder, as they were when it was looked at."""

    folder: Path
    files: tuple[CodeFile, ...]
    commit: str = ""
    """Of git; empty where the folder is not git's."""
    is_dirty: bool = False
    """Whether files differ from the commit's."""
    tree: str = field(default="")
    """The hash of all: paths and contents."""

    def read(self, file: CodeFile) -> Iterator[bytes]:
        """Yield the content of a file, as long as it was: what has changed meanwhile is found out by its hash."""
        path = self.folder / file.path
        if file.is_link:
            yield str(path.readlink()).encode(errors="surrogateescape")[: file.size].ljust(file.size)
            return
        left = file.size
        with path.open("rb") as source:
            while left:
                part = source.read(min(left, _PART)) or b"\0" * min(left, _PART)
                left -= len(part)
                yield part


def take_snapshot(folder: Path) -> Snapshot:
    """Return the files of a folder: those that git knows or would take, or all that its ignore file does not name.

    Raises:
        UsageError: it is too large, or cannot be read.
    """
    paths, is_of_git = list_files(folder)
    _refuse_large(folder, paths)
    try:
        files = tuple(_describe(folder, path) for path in paths)
    except OSError as exc:
        raise UsageError(
            f"{exc.filename} cannot be read: {exc.strerror}", remedy=f"leave it out: name it in {IGNORE_FILE}"
        ) from exc
    tree = hashlib.sha256(repr([(f.path, f.digest, f.is_program, f.is_link) for f in files]).encode()).hexdigest()
    commit = ask_git(folder, "rev-parse", "HEAD") if is_of_git else None
    dirty = ask_git(folder, "status", "--porcelain", "--", ".") if commit else None
    return Snapshot(folder, files, (commit or b"").decode().strip(), bool(dirty), tree)


def _refuse_large(folder: Path, paths: Sequence[str]) -> None:
    sizes = {path: (folder / path).lstat().st_size for path in paths}
    if sum(sizes.values()) > LARGEST:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:_NAMED]
        named = ", ".join(f"{path} ({sizes[path] / 1e6:.0f} MB)" for path in largest)
        raise UsageError(
            f"{folder} has {sum(sizes.values()) / 1e6:.0f} MB, and a job takes at most {LARGEST // 10**6} MB of code."
            f" The largest: {named}",
            remedy=f"name what is no code in {IGNORE_FILE}, and bring data with `clusterctl put`",
        )


def _describe(folder: Path, path: str) -> CodeFile:
    place = folder / path
    about = place.lstat()
    if stat.S_ISLNK(about.st_mode):
        target = str(place.readlink()).encode(errors="surrogateescape")
        return CodeFile(path, hashlib.sha256(target).hexdigest(), len(target), is_link=True)
    content, size = hashlib.sha256(), 0
    with place.open("rb") as source:
        while part := source.read(_PART):
            content.update(part)
            size += len(part)
    return CodeFile(path, content.hexdigest(), size, is_program=bool(about.st_mode & 0o100))
