"""Reads and writes the files of an end in the home that all nodes share, as the cluster user, by a process of its own.

Root has no business in a folder that others can write, may not be let in by a server, and must not hang where a home
does. What is read is others' word: small, few, and judged by who asked.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

FOLDER = "ending"
ORDER, KEEP, BEAT, WARNING, WORDS = "order.json", "keep.json", "beat.json", "warning", "words"
_MOST_FILES = 2000
_MOST_BYTES = 64 << 10


def look(place: Path, maps: Path, *, unfetched: bool = False) -> dict[str, Any]:
    """Return what is in ``.clusterctl`` of a home: texts of files, and which locks somebody holds there and of maps.

    Args:
        place: the folder.
        maps: that of the maps that the master keeps.
        unfetched: look for files as well that somebody still wants to fetch.
    """
    own = place / FOLDER
    return {
        "order": _read(own / ORDER),
        "keep": _read(own / KEEP),
        "beat": _read(own / BEAT),
        "words": _texts(own / WORDS),
        "demand": read_demand(place),
        "notices": [name for name in _names(place / "interruptions") if not name.startswith(".")],
        "unfetched": find_unfetched(place / "jobs") if unfetched else [],
        "held": [held for kind in _names(place) for held in _held(place / kind)] + _held(maps),
    }


def find_unfetched(jobs: Path) -> list[str]:
    """Return the jobs with files that somebody has asked for, and has not fetched yet."""
    return [name for name in _names(jobs) if not (jobs / name / "fetched").exists() and _is_wanted(jobs / name)]


def _is_wanted(job: Path) -> bool:
    try:
        order = json.loads(_read(job / "order.json"))
    except (ValueError, RecursionError):
        return False
    return isinstance(order, dict) and bool(order.get("fetch"))


def read_demand(place: Path) -> dict[str, str]:
    """Return the texts of the files in which clients say what waits, by their names."""
    return _texts(place / "demand")


def write(place: Path, name: str, text: str) -> None:
    """Write one of the files whole or not at all; without a text, delete it.

    Raises:
        OSError: it cannot be written.
    """
    path = place / FOLDER / name
    if not text:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _texts(folder: Path) -> dict[str, str]:
    return {name[: -len(".json")]: _read(folder / name) for name in _names(folder) if name.endswith(".json")}


def _names(folder: Path) -> list[str]:
    """Return some of the names in a folder: somebody may have made a million."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) >= _MOST_FILES:
                    break
    except OSError:
        return []
    return sorted(names)


def _open(path: Path) -> int:
    """Open a file that may be a pipe, a link, or nothing at all; -1 if it is no plain file."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return -1


def _read(path: Path) -> str:
    opened = _open(path)
    if opened < 0:
        return ""
    with os.fdopen(opened, "rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", errors="replace")


def _held(folder: Path) -> list[str]:
    """Return those whose locks somebody holds of the jobs or the maps in a folder: ``KIND/NAME``."""
    return [f"{folder.name}/{name}" for name in _names(folder) if _is_held(folder / name / "lock")]


def _is_held(path: Path) -> bool:
    """Return whether somebody holds a lock. To ask is to hold it for some microseconds, beside others who ask."""
    opened = _open(path)
    if opened < 0:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nobody can hold one
        return False
    finally:
        os.close(opened)
    return False


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    if asked["write"]:
        write(Path(asked["place"]), asked["write"], asked["text"])
    print(json.dumps(look(Path(asked["place"]), Path(asked["maps"]), unfetched=asked["unfetched"])))
