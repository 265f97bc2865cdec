"""Gives a node the modules that a client of its cluster needs, and has every Python of its environment find them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import stat
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT_S = 30 * 86400.0
"""A process that began with former modules may still load one of them."""


def main(values: dict[str, Any]) -> None:
    """Unpack, and point to it.

    `packed` has the texts of the modules, by their paths; `folder` is where they go, and `link` shall point there.
    `word_name` and `word` are a file of it, which is written last. `pth` is a file in the environment, and `line` its
    content: where the link is, as seen from there.
    """
    folder, link = Path(values["folder"]), Path(values["link"])
    if not (folder / values["word_name"]).exists():
        _unpack(folder, values)
    _point(link, folder)
    _announce(Path(values["pth"]), values["line"])
    _sweep(link, folder)


def _unpack(folder: Path, values: dict[str, Any]) -> None:
    new = folder.with_name(f"{folder.name}.new")
    for old in (new, folder):
        _remove(old)
    for name, text in json.loads(zlib.decompress(base64.b64decode(values["packed"]))).items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.parent.name == "bin":
            path.chmod(0o755)
    (new / values["word_name"]).write_text(values["word"], encoding="utf-8")
    new.rename(folder)


def _point(link: Path, folder: Path) -> None:
    if link.is_symlink() and link.readlink() == Path(folder.name):
        return
    new = link.with_name(f"{link.name}.link")
    _remove(new)
    new.symlink_to(folder.name)
    if not link.is_symlink():
        _remove(link)
    new.replace(link)


def _announce(pth: Path, line: str) -> None:
    """Write the file that Python reads. Its folder may be sealed, and this file is none of what is sealed."""
    text = f"{line}\n"
    try:
        if pth.read_text(encoding="utf-8") == text:
            return
    except (OSError, ValueError):
        pass
    with _unsealed(pth.parent):
        draft = pth.with_name(f"{pth.name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(pth)


@contextlib.contextmanager
def _unsealed(folder: Path) -> Iterator[None]:
    """Let the owner write into a folder meanwhile. Nodes that share an environment come here one after the other."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mode = stat.S_IMODE(folder.stat().st_mode)
        folder.chmod(mode | stat.S_IWUSR)
        try:
            yield
        finally:
            folder.chmod(mode)
    finally:
        os.close(lock)


def _sweep(link: Path, folder: Path) -> None:
    for old in link.parent.glob(f"{link.name}-*"):
        if old != folder and old.lstat().st_mtime < time.time() - _KEPT_S:
            _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
