"""The code of a job: the files of a folder, each known by the hash of its content."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.clients.jobs.code import CodeFile
from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IGNORE_FILE = ".clusterctlignore"
LARGEST = 500 * 10**6
"""Bytes of a whole snapshot."""
_ALWAYS_IGNORED = (".git", "__pycache__", ".venv", "node_modules")
_NAMED = 5
_PART = 1 << 20
_GIT_S = 60.0


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
    listed = _list_git(folder)
    paths = listed if listed is not None else sorted(_list_all(folder))
    _refuse_large(folder, paths)
    try:
        files = tuple(_describe(folder, path) for path in paths)
    except OSError as exc:
        raise UsageError(
            f"{exc.filename} cannot be read: {exc.strerror}", remedy=f"leave it out: name it in {IGNORE_FILE}"
        ) from exc
    tree = hashlib.sha256(repr([(f.path, f.digest, f.is_program, f.is_link) for f in files]).encode()).hexdigest()
    commit = _ask_git(folder, "rev-parse", "HEAD") if listed is not None else None
    dirty = _ask_git(folder, "status", "--porcelain", "--", ".") if commit else None
    return Snapshot(folder, files, (commit or b"").decode().strip(), bool(dirty), tree)


def _list_git(folder: Path) -> list[str] | None:
    """Return the files that git knows in a folder, and those that it would take; None where it knows none."""
    said = _ask_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    if not said:  # also where git ignores all of the folder
        return None
    names = sorted({os.fsdecode(name) for name in said.split(b"\0") if name})
    patterns = _read_patterns(folder)
    return [name for name in names if _is_file(folder / name) and not _is_ignored(name, patterns)]


def _ask_git(folder: Path, *words: str) -> bytes | None:
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, timeout=_GIT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout if said.returncode == 0 else None


def _list_all(folder: Path) -> Iterator[str]:
    patterns = _read_patterns(folder)
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        linked = [name for name in folders if (Path(place) / name).is_symlink()]
        folders[:] = [
            name
            for name in folders
            if name not in {*linked, *_ALWAYS_IGNORED} and not _is_ignored((below / name).as_posix(), patterns)
        ]
        for name in (*names, *linked):
            path = (below / name).as_posix()
            if _is_file(folder / path) and not _is_ignored(path, patterns):
                yield path


def _read_patterns(folder: Path) -> list[str]:
    try:
        lines = (folder / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]


def _is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a pattern names a path, a folder above it, or the name of either."""
    parts = PurePosixPath(path).parts
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(
        fnmatch.fnmatchcase(name, pattern.lstrip("/"))
        for pattern in patterns
        for name in (above if "/" in pattern else [*above, *parts])
    )


def _is_file(path: Path) -> bool:
    """Return whether this is a file or a link; not a folder, nor a pipe, nor one that is not there any more."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


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
