"""Files and folders to a stream."""

from __future__ import annotations

import glob
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .frames import CHUNK, FORMAT, CopyError, FrameKind, Omitted, Totals, make_frame, name_error, pack_frame, show_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_AS_IT_IS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Entry(NamedTuple):
    """Something that is about to be sent."""

    path: str
    """What it is called in the copy, with slashes."""
    source: Path
    status: os.stat_result


def find_sources(patterns: Iterable[str]) -> list[Path]:
    """Return the paths with these names. A name that nothing has is a pattern, with wildcards in any of its parts.

    Raises:
        CopyError: nothing has this name, nor fits this pattern.
    """
    sources: dict[str, Path] = {}
    for pattern in patterns:
        # Path.glob refuses absolute patterns.
        names = [pattern] if os.path.lexists(pattern) else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        if not names:
            raise CopyError(f"there is no {show_name(pattern)}")
        sources |= {name: Path(name) for name in names}
    return [*sources.values()]


class Outgoing:
    """Files and folders that are about to be sent, each under its own name.

    Links below them stay links. What cannot be read, or is no file, folder, link or pipe, is named in the stream.
    """

    def __init__(self, sources: Iterable[Path], entries: Iterable[Entry] = ()) -> None:
        """List what there is.

        Args:
            sources: files and folders, with all that is below them.
            entries: what else is sent, each folder before what is in it.
        """
        self._omitted: list[Omitted] = []
        listed = [entry for source in sources for entry in list_source(source, self._omitted)]
        self._entries = [*listed, *entries]
        sizes = [entry.status.st_size for entry in self._entries if stat.S_ISREG(entry.status.st_mode)]
        self.totals = Totals(len(sizes), sum(sizes))

    def stream(self) -> Iterator[bytes]:
        """Yield the stream, in pieces of about the size of a frame."""
        batch = bytearray()
        for part in self._frames():
            batch += part
            if len(batch) >= CHUNK:
                yield bytes(batch)
                batch.clear()
        yield bytes(batch)

    def _frames(self) -> Iterator[bytes]:
        yield FORMAT
        yield make_frame(FrameKind.ENTRY, self.totals._asdict())
        for item in self._omitted:
            yield make_frame(FrameKind.OMITTED, item._asdict())
        for entry in self._entries:
            yield from _send_entry(entry)
        yield make_frame(FrameKind.END, {})


def list_source(source: Path, omitted: list[Omitted]) -> Iterator[Entry]:
    """Yield a source and all that is below it, each folder before what is in it. The source itself may be a link."""
    # Of `.` and `..` the name is the folder's; a link's name is its own.
    name = (source if source.name not in ("", "..") else source.resolve()).name or "root"
    try:
        status = source.stat()
    except OSError as exc:
        omitted.append(Omitted(name, name_error(exc)))
        return
    entry = Entry(name, source, status)
    yield entry
    yield from _list_below(entry, omitted)


def _list_below(folder: Entry, omitted: list[Omitted]) -> Iterator[Entry]:
    if not stat.S_ISDIR(folder.status.st_mode):
        return
    try:
        paths = sorted(folder.source.iterdir())
    except OSError as exc:
        omitted.append(Omitted(folder.path, f"cannot be listed: {name_error(exc)}"))
        return
    for path in paths:
        try:
            entry = Entry(f"{folder.path}/{path.name}", path, path.lstat())
        except OSError as exc:
            omitted.append(Omitted(f"{folder.path}/{path.name}", name_error(exc)))
            continue
        yield entry
        yield from _list_below(entry, omitted)


def _send_entry(entry: Entry) -> Iterator[bytes]:
    mode = entry.status.st_mode
    head = {"path": entry.path, "mode": stat.S_IMODE(mode), "time": entry.status.st_mtime_ns}
    try:
        if stat.S_ISREG(mode):
            yield from _send_file(entry, head)
        elif stat.S_ISDIR(mode):
            yield make_frame(FrameKind.ENTRY, {"kind": "folder", **head})
        elif stat.S_ISFIFO(mode):
            yield make_frame(FrameKind.ENTRY, {"kind": "pipe", **head})
        elif stat.S_ISLNK(mode):
            target = os.readlink(entry.source)  # noqa: PTH115  as it is written, every slash
            yield make_frame(FrameKind.ENTRY, {"kind": "link", "target": target, **head})
        else:
            raise OSError(0, "it is a socket" if stat.S_ISSOCK(mode) else "it is a device")
    except OSError as exc:
        yield make_frame(FrameKind.OMITTED, {"path": entry.path, "why": name_error(exc)})


def _send_file(entry: Entry, head: dict[str, Any]) -> Iterator[bytes]:
    """Send a file as long as it was when it was opened: one that somebody writes to has an end, too."""
    # Below a source it may have become a link, or a pipe that would keep us waiting.
    flags = os.O_RDONLY | _AS_IT_IS | (_NO_FOLLOW if "/" in entry.path else 0)
    with os.fdopen(os.open(entry.source, flags), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file any more")
        yield make_frame(FrameKind.ENTRY, {"kind": "file", **head})
        failed = ""
        try:
            # What the kernel makes up has no size, and an end all the same.
            left = status.st_size or sys.maxsize
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                yield pack_frame(FrameKind.DATA, chunk)
                left -= len(chunk)
        except OSError as exc:
            failed = name_error(exc)
        yield make_frame(FrameKind.END_OF_FILE, {"failed": failed})
