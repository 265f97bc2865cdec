"""A cache of environments that many clusters of one computer use: each has a clone of the one that its nodes run.

CACHE/NAME              an environment, which nobody writes into any more
CACHE/NAME.manifest     what its files were
CACHE/.building/NAME/   where it is built; whoever builds has this folder locked
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from typing import TYPE_CHECKING, Callable

from . import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY_S = 86400.0
_OF_THE_FORMER = ("lock.txt", "complete", "compiled", "compiling.pid", "compiling.lock", ".lock")
"""Files that are about one environment alone, in its own folder."""


class Cache:
    """The environments below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str, build: Callable[[Path], None]) -> tuple[Path, str]:
        """Return an environment that is whole, file by file, and what was wrong with the one that was there before.

        Of many that ask at the same time one builds, and the others wait for it.

        Args:
            name: its name.
            build: called with a folder that does not exist; it makes the environment there.
        """
        folder = self._folder / name
        with locked(self._folder / ".building" / name, passing=True) as scratch:
            fault = find_fault(folder, hashes=True)
            if fault:
                part = scratch / "part"
                manifest.remove(part)
                build(part)
                manifest.remove(folder)
                part.rename(folder)
                manifest.seal(folder)
            shutil.rmtree(scratch)
        os.utime(folder)
        return folder, "" if fault == manifest.MISSING else fault

    def sweep(self, days: float) -> None:
        """Delete environments that nobody asked for in so many days. Clones live on."""
        oldest = time.time() - days * _DAY_S
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.is_dir() and not folder.name.startswith(".") and folder.stat().st_mtime < oldest:
                manifest.remove(folder)


def find_fault(folder: Path, command: str = "", *, hashes: bool = False) -> str:
    """Return why an environment must be made anew; empty if it is whole.

    Args:
        folder: the environment.
        command: an id of the command that asks. Once it has looked at all files it believes what it saw.
        hashes: read all files, else look at their sizes and times alone.
    """
    checked = folder.with_name(f"{folder.name}.checked")
    with contextlib.suppress(FileNotFoundError):
        if command and folder.is_dir() and checked.read_text(encoding="utf-8", errors="replace") == command:
            return ""
    fault = manifest.find_fault(folder, hashes=hashes)
    if not fault and not manifest.is_sealed(folder):
        return "is not complete"
    if fault:
        return fault
    if not (folder / "bin" / "python").exists():
        return "has lost its interpreter"
    if command:
        checked.write_text(command, encoding="utf-8")
    return ""


def clone(folder: Path, target: Path) -> None:
    """Make a clone of an environment, in the place of what is there. Its files are the same ones, where they can be."""
    new = target.with_name(f"{target.name}.new")
    for old in (new, target):
        manifest.remove(old)
    try:
        shutil.copytree(folder, new, symlinks=True, copy_function=_link)
    except OSError as exc:
        manifest.remove(new)  # the disk may be full
        raise OSError(_first_reason(exc)) from exc
    new.chmod(0o700)  # to be renamed
    new.rename(target)
    manifest.copy(folder, target)


def grow(former: Path, target: Path) -> bool:
    """Make a clone of an environment to which packages can be added; return whether it could be made.

    What is added are new files in folders of its own: those of the former one stay as they are.
    """
    config = former / "pyvenv.cfg"
    if not config.is_file() or "relocatable = true" not in config.read_text(encoding="utf-8"):
        return False  # its programs name the place where it is
    try:
        shutil.copytree(former, target, symlinks=True, copy_function=_link)
    except OSError:
        fault = "is not whole"
    else:
        fault = manifest.find_fault(former, hashes=True, copy=target)
    for folder in [*manifest.folders(target)]:
        folder.chmod(0o755)
    if fault:
        manifest.remove(target)
        return False
    # What is said of the former one alone. Unlinked, not overwritten: the file is the former one's too.
    for path in [*(target / name for name in _OF_THE_FORMER), *target.glob("lib/*/site-packages/clusterctl-node.pth")]:
        path.unlink(missing_ok=True)
    return True


def _first_reason(error: OSError) -> str:
    """Return why a copy failed; of many files the first one's reason."""
    faults = error.args[0] if isinstance(error, shutil.Error) else ()
    return str(faults[0][2]) if faults else str(error)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target, follow_symlinks=False)


@contextlib.contextmanager
def locked(folder: Path, *, passing: bool = False) -> Iterator[Path]:
    """Make a folder and lock it. The body may delete it.

    Args:
        folder: the folder.
        passing: programs that the body starts hold the lock too, until they end: one that outlives its builder must not
            write into what the next one builds.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except (FileExistsError, FileNotFoundError):
            continue  # another one has deleted it
        try:
            os.set_inheritable(lock, passing)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_same(folder, lock):
                yield folder
                return
        finally:
            os.close(lock)


def _is_same(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
