"""The stream that a copy travels as.

It begins with a line that names its format. Then come frames: a letter, the length of what follows in four bytes, and
so many bytes. Who reads it believes nothing: each frame has its limit, and a stream without its end is none.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = b"clusterctl-copy 1\n"
CHUNK = 128 * 1024
"""Bytes of a file in one frame, at most."""
_NO_SENSE = "what came is no copy: a part of it has no sense"


class FrameKind(bytes, Enum):
    """What a frame tells; each but the second is JSON."""

    ENTRY = b"h"
    """A file, a folder, a link or a pipe begins. The first of all has the totals instead."""
    DATA = b"d"
    """Bytes of the file that began last."""
    END_OF_FILE = b"f"
    """The file is whole, or could not be read to its end."""
    OMITTED = b"o"
    """Something was left out."""
    END = b"e"
    """The stream is whole."""


_LONGEST = dict.fromkeys(FrameKind, 64 * 1024) | {FrameKind.DATA: CHUNK}


class CopyError(Exception):
    """A copy was not made. The message says why."""


class Omitted(NamedTuple):
    """Something that was not copied."""

    path: str
    why: str


class Totals(NamedTuple):
    """The number of files, and the sum of their sizes in bytes."""

    files: int
    size: int


class Copied(NamedTuple):
    """What was copied."""

    files: int
    size: int
    """In bytes."""
    omitted: list[Omitted]


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return some bytes, at most so many; none at the end."""


def make_frame(kind: FrameKind, value: dict[str, Any]) -> bytes:
    """Return a frame with JSON. Names are bytes on some systems: what is no text in them becomes surrogates."""
    return pack_frame(kind, json.dumps(value).encode("ascii"))


def pack_frame(kind: FrameKind, body: bytes) -> bytes:
    """Return a frame."""
    return kind.value + len(body).to_bytes(4, "big") + body


class FrameReader:
    """Reads the frames of a stream, up to its end; raises CopyError where it is cut off or makes no sense."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read_start(self) -> Totals:
        """Check the format, and return what the sender is about to send."""
        start = self._read(len(FORMAT))
        if start != FORMAT:
            raise CopyError("what came is no copy: the other side failed, or has another version of clusterctl")
        kind, body = self._read_frame()
        head = parse_json(body) if kind is FrameKind.ENTRY else {}
        return Totals(number_in(head, "files"), number_in(head, "size"))

    def __iter__(self) -> Iterator[tuple[FrameKind, bytes]]:
        while True:
            kind, body = self._read_frame()
            if kind is FrameKind.END:
                return
            yield kind, body

    def _read_frame(self) -> tuple[FrameKind, bytes]:
        start = self._read(5)
        size = int.from_bytes(start[1:], "big")
        try:
            kind = FrameKind(start[:1])
        except ValueError:
            raise CopyError(_NO_SENSE) from None
        if size > _LONGEST[kind]:
            raise CopyError(_NO_SENSE)
        return kind, self._read(size)

    def _read(self, size: int) -> bytes:
        parts = []
        while size > 0:
            chunk = self._source.read(size)
            if not chunk:
                raise CopyError("the copy was cut off, and nothing of it is kept")
            parts.append(chunk)
            size -= len(chunk)
        return b"".join(parts)


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the object of a frame."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CopyError(_NO_SENSE)
    return value


def number_in(value: dict[str, Any], key: str) -> int:
    """Return a number of an object; 0 where it has none that a file system could have."""
    number = value.get(key)
    return number if isinstance(number, int) and 0 <= number < 1 << 63 else 0


def name_error(exc: Exception) -> str:
    """Return an error's reason, without its path."""
    return (isinstance(exc, OSError) and exc.strerror) or str(exc) or type(exc).__name__


def show_name(name: object) -> str:
    """Return a name as text that may be shown: what is no text in it becomes a question mark."""
    return str(name).encode("utf-8", "replace").decode()
