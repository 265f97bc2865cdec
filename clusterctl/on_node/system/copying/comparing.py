"""The program for a node that has a folder become as one elsewhere is: it says what it lacks, and takes only that.

Its input is a line of JSON with what there is elsewhere, then a line with what is to be deleted, and then the stream of
a copy. Files are the same that have the same size, time and mode, as rsync takes them.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .frames import Copied, CopyError, name_error, show_name
from .receiving import receive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SAFE_BITS = 0o1777
_TIME_UNIT = 1000
"""Nanoseconds: not every file system keeps the last digits of a time."""


def describe(path: str, status: os.stat_result, target: str) -> list[Any]:
    """Return what is compared of a file, folder or link: path, kind, size, time and mode, and where a link leads."""
    mode = status.st_mode
    kind = "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file" if stat.S_ISREG(mode) else "?"
    if kind != "file":
        return [path, kind, 0, 0, mode & _SAFE_BITS if kind == "folder" else 0, target]
    return [path, kind, status.st_size, status.st_mtime_ns // _TIME_UNIT, mode & _SAFE_BITS, ""]


def find_wanted(place: Path, rows: Sequence[Sequence[Any]]) -> list[int]:
    """Return the numbers of the rows that are otherwise here, or not at all."""
    return [number for number, row in enumerate(rows) if _look(place, row[0]) != list(row)]


def _look(place: Path, path: str) -> list[Any] | None:
    here = place / path if path else place
    try:
        status = here.lstat()
        target = os.readlink(here) if stat.S_ISLNK(status.st_mode) else ""  # noqa: PTH115  as it is written
    except (OSError, ValueError):
        return None
    return describe(path, status, target)


def find_others(place: Path, rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the paths of files and links below a folder that no row has."""
    known = {row[0] for row in rows}
    return sorted(path for path in _list_below(place) if path not in known)


def _list_below(place: Path) -> Iterator[str]:
    for above, folders, names in os.walk(place):
        below = Path(above).relative_to(place)
        links = [name for name in folders if (Path(above) / name).is_symlink()]
        for name in (*names, *links):
            yield (below / name).as_posix()


def delete(place: Path, paths: Iterable[str], rows: Iterable[Sequence[Any]]) -> int:
    """Delete files, and the folders that are empty then and in no row. Return how many files."""
    kept = {row[0] for row in rows}
    count = 0
    for path in paths:
        (place / path).unlink()
        count += 1
        for above in Path(path).parents:
            if above.as_posix() in {".", *kept} or any((place / above).iterdir()):
                break
            (place / above).rmdir()
    return count


def main(values: dict[str, Any]) -> str | None:
    """Compare, take what is wanted, and delete. Return what failed."""
    source = sys.stdin.buffer
    target, into = Path(values["target"]), values["into"]
    try:
        rows = json.loads(source.readline())
        is_folder = rows[0][1] == "folder"
        place = target.resolve()
        place = place / values["name"] if into or (not is_folder and place.is_dir()) else place
        wanted = find_wanted(place, rows)
        others = find_others(place, rows) if values["delete"] and is_folder and place.is_dir() else []
        _tell({"wanted": wanted, "others": others})
        line = source.readline()
        if not line:
            return None  # it was only asked
        deleted = [path for path in json.loads(line) if path in set(others)]
        copied = receive(source, target, into=into, trusted=True) if wanted else Copied(0, 0, [])
        count = delete(place, deleted, rows)
        _tell({**copied._asdict(), "deleted": count})
    except CopyError as exc:
        return str(exc)
    except OSError as exc:
        return f"{show_name(exc.filename)}: {name_error(exc)}"
    return None


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
