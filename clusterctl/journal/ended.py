"""The names of clusters that this home has ended, so that to end one again is a success and no misspelt name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.files import append_lines
from clusterctl.journal.lock import write_error

if TYPE_CHECKING:
    from pathlib import Path


def was_ended(home: Path, name: str) -> bool:
    """Return whether a cluster of this name was ended from this home."""
    try:
        return name in _ended_file(home).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


def remember_end(home: Path, name: str) -> None:
    """Remember that a cluster of this name was ended.

    Raises:
        StateError: the file cannot be written.
    """
    if was_ended(home, name):
        return
    try:
        append_lines(_ended_file(home), f"{name}\n")
    except OSError as exc:
        raise write_error(_ended_file(home), exc) from exc


def _ended_file(home: Path) -> Path:
    return home / "ended.txt"
