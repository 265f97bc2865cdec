"""Folders with every kind of file in them, and what can be told of one."""

from __future__ import annotations

import os
import random
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(
    os.fsdecode(name)
    for name in (
        *(b"a", b"it's", b"br[1].txt", b"*", b"two words", "zwölf".encode()),
        *(b"\xff\xfe", b"-rf", b"line\nbreak", b".hidden"),
    )
)


def make_tree(folder: Path, seed: int) -> None:
    """Fill a new folder with files, folders, links inside of it and pipes, by this seed."""
    folder.mkdir()
    _fill(folder, random.Random(seed), depth=0)


def _fill(folder: Path, draw: random.Random, depth: int) -> None:
    for name in draw.sample(NAMES, draw.randint(0, 6)):
        path = folder / name
        kind = draw.choice(("file", "file", "folder", "link", "pipe"))
        if kind == "file":
            path.write_bytes(draw.randbytes(draw.choice((0, 1, 4096, 131072, 300_001))))
            path.chmod(draw.choice((0o600, 0o644, 0o755, 0o444, 0o000)))
            os.utime(path, ns=(draw.randrange(1 << 60), draw.randrange(1 << 60)))
        elif kind == "folder" and depth < 3:
            path.mkdir()
            _fill(path, draw, depth + 1)
            path.chmod(draw.choice((0o700, 0o755, 0o555)))
        elif kind == "link":
            path.symlink_to(draw.choice(("a", "nowhere", ".", "a/b")))
        elif kind == "pipe":
            os.mkfifo(path, 0o640)


def describe(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every path below a folder, with its kind, mode, time, and content or target."""
    told: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*"), key=os.fsencode):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            told[str(path.relative_to(folder))] = ("link", str(path.readlink()))
        else:
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
            told[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return told
