"""The manifest of an environment: what each of its files was when it was complete.

It lies beside the environment, as do the other words about it: ``NAME.manifest`` and ``NAME.damaged``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = "is not there"
_FORMAT = 1
_BLOCK = 1 << 20
_NO_WRITING = ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def seal(folder: Path) -> None:
    """Write the manifest of an environment, and let nobody write into the environment from now on."""
    files: dict[str, list[Any]] = {}
    for path in _walk(folder):
        name, status = str(path.relative_to(folder)), path.lstat()
        if stat.S_ISLNK(status.st_mode):
            files[name] = ["link", str(path.readlink())]
        elif stat.S_ISREG(status.st_mode):
            path.chmod(stat.S_IMODE(status.st_mode) & _NO_WRITING)
            files[name] = [status.st_size, status.st_mtime_ns, _digest(path)]
    for path in folders(folder):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & _NO_WRITING)
    new = _beside(folder, "manifest.new")
    new.write_text(json.dumps({"format": _FORMAT, "files": files}), encoding="utf-8")
    new.replace(_beside(folder, "manifest"))
    _forget(folder, "damaged", "checked")


def find_fault(folder: Path, *, hashes: bool = False, copy: Path | None = None) -> str:
    """Return what is wrong with an environment that has a manifest; empty if nothing is.

    Bytecode that was added later is no fault. An environment without a manifest, as an earlier version made it, or one
    that is not sealed yet, is believed.

    Args:
        folder: the environment.
        hashes: read all files, else look at their sizes and times alone.
        copy: a copy of it that is looked at in its place.
    """
    if not folder.is_dir():
        return MISSING
    if _beside(folder, "damaged").exists():
        return _beside(folder, "damaged").read_text(encoding="utf-8", errors="replace") or "was found damaged"
    try:
        document = json.loads(_beside(folder, "manifest").read_text(encoding="utf-8"))
        files = document["files"] if document["format"] == _FORMAT else {}
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError):
        return "has a manifest that was damaged"
    return next(
        (
            f"{name} {fault}"
            for name, known in files.items()
            if (fault := _fault((copy or folder) / name, known, hashes=hashes))
        ),
        "",
    )


def copy(folder: Path, clone: Path) -> None:
    """Give a clone of an environment its manifest. The clone is not sealed before."""
    clone.chmod(folder.stat().st_mode)
    new = _beside(clone, "manifest.new")
    shutil.copyfile(_beside(folder, "manifest"), new)
    new.replace(_beside(clone, "manifest"))


def is_sealed(folder: Path) -> bool:
    """Return whether an environment has a manifest."""
    return _beside(folder, "manifest").exists()


def mark_damaged(folder: Path, fault: str) -> None:
    """Have whoever uses the environment next make it anew."""
    _beside(folder, "damaged").write_text(fault, encoding="utf-8")


def remove(folder: Path) -> None:
    """Delete an environment, and what is said of it. One that is not there is fine."""
    for path in [*folders(folder)]:
        path.chmod(0o700)
    if folder.is_dir():
        shutil.rmtree(folder)
    _forget(folder, "manifest", "damaged", "checked")


def _forget(folder: Path, *words: str) -> None:
    for word in words:
        with contextlib.suppress(FileNotFoundError):
            _beside(folder, word).unlink()


def folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and all folders below it, links to folders not among them."""
    for root, _, _ in os.walk(folder):
        yield Path(root)


def _walk(folder: Path) -> Iterator[Path]:
    for root, names, files in os.walk(folder):
        paths = [Path(root) / name for name in sorted([*files, *names])]
        yield from (path for path in paths if path.is_symlink() or not path.is_dir())


def _fault(path: Path, known: list[Any], *, hashes: bool) -> str:
    try:
        status = path.lstat()
        if known[0] == "link":
            return "" if stat.S_ISLNK(status.st_mode) and str(path.readlink()) == known[1] else "was changed"
        if not stat.S_ISREG(status.st_mode) or [status.st_size, status.st_mtime_ns] != known[:2]:
            return "was changed"
        return "was changed" if hashes and _digest(path) != known[2] else ""
    except OSError:
        return "is gone"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _beside(folder: Path, word: str) -> Path:
    return folder.with_name(f"{folder.name}.{word}")
