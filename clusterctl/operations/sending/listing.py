"""The files of a folder that are its user's work: those that git knows or would take, or that no ignore file names."""

from __future__ import annotations

import fnmatch
import os
import stat
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IGNORE_FILE = ".clusterctlignore"
_ALWAYS_IGNORED = (".git", "__pycache__", ".venv", "node_modules")
_GIT_S = 60.0


def list_files(folder: Path) -> tuple[list[str], bool]:
    """Return the paths of files and links below a folder, in order, and whether git has said which."""
    listed = _list_git(folder)
    return (listed, True) if listed is not None else (sorted(_list_all(folder)), False)


def leave_ignored_out(folder: Path, paths: Sequence[str]) -> list[str]:
    """Return those paths below a folder that would be listed if they were there."""
    patterns = _read_patterns(folder)
    ignored = {path for path in paths if _is_ignored(path, patterns) or {*path.split("/")} & {*_ALWAYS_IGNORED}}
    asked = "\0".join(paths).encode(errors="surrogateescape")
    said = ask_git(folder, "check-ignore", "-z", "--no-index", "--stdin", stdin=asked) or b""
    ignored |= {os.fsdecode(name) for name in said.split(b"\0")}
    return [path for path in paths if path not in ignored]


def _list_git(folder: Path) -> list[str] | None:
    """Return the files that git knows in a folder, and those that it would take; None where it knows none."""
    said = ask_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    if not said:  # also where git ignores all of the folder
        return None
    names = sorted({os.fsdecode(name) for name in said.split(b"\0") if name})
    patterns = _read_patterns(folder)
    return [name for name in names if _is_file(folder / name) and not _is_ignored(name, patterns)]


def ask_git(folder: Path, *words: str, stdin: bytes = b"") -> bytes | None:
    """Return what git says about a folder; None where there is no git, or it fails."""
    try:
        said = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, timeout=_GIT_S, input=stdin)
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
