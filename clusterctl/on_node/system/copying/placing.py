"""From aside to its place: what was built is renamed. What stands in the way is found before anything is moved."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from .frames import CopyError, show_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SAFE_BITS = 0o1777
"""Of a mode what is taken over: no copy becomes a program that runs as its owner."""


def put_in_place(
    aside: Path, roots: Sequence[str], folders: Mapping[str, tuple[int, int]], target: Path, *, into: bool
) -> None:
    """Rename what was built.

    Args:
        aside: where it was built.
        roots: the names of what is there.
        folders: mode and time of each folder among them and below, by their paths; each stands before those below it.
        target: what it becomes, or the folder that it goes into.
        into: whether it goes into that folder; a single file does so where there is one.
    """
    into = into or (target.is_dir() and not set(roots) & set(folders))
    places = {root: target / root if into else target for root in roots}
    for root, place in places.items():
        _find_obstacle(aside / root, place)
    if places:
        (target if into else target.parent).mkdir(parents=True, exist_ok=True)
    for root, place in places.items():
        _move(aside / root, place)
    for path, (mode, time_ns) in reversed([*folders.items()]):
        root, *below = path.split("/")
        set_facts(places[root].joinpath(*below), mode, time_ns)


def set_facts(place: Path, mode: int, time_ns: int) -> None:
    """Give a file or folder its mode and its time."""
    os.utime(place, ns=(time_ns, time_ns))
    place.chmod(mode & _SAFE_BITS)


def _find_obstacle(built: Path, place: Path) -> None:
    """Raise an error where a rename would fail."""
    try:
        status = place.lstat()
    except FileNotFoundError:
        return
    is_folder = _is_folder(built)
    if is_folder != stat.S_ISDIR(status.st_mode):
        kinds = ("no folder", "a folder") if is_folder else ("a folder", "none")
        raise CopyError(f"{show_name(place)} is {kinds[0]} there, and would have to become {kinds[1]}")
    if not is_folder:
        return
    if status.st_dev != built.lstat().st_dev:
        raise CopyError(f"{show_name(place)} is another disk there: copy what belongs on it by itself")
    for path in built.iterdir():
        _find_obstacle(path, place / path.name)


def _move(built: Path, place: Path) -> None:
    """Rename a file, or a folder; into a folder that exists all that is in it."""
    if not (_is_folder(built) and os.path.lexists(place)):
        built.replace(place)
        return
    place.chmod(stat.S_IMODE(place.lstat().st_mode) | 0o700)
    for path in built.iterdir():
        _move(path, place / path.name)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
