"""The file of what a detached map has done: a record for each item, written behind the others, each with a check.

A process that is killed, or a disk that is full, leaves a part of a record at the end at most. It is cut off before
more is written, so that what is whole stays.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = struct.Struct(">QBQI")
_PART = 1 << 20


@dataclass(frozen=True)
class Record:
    """The outcome of an item."""

    place: int
    is_error: bool
    content: bytes
    """What came out, pickled."""


class BrokenRecordsError(ValueError):
    """The bytes are no records."""


def pack_record(record: Record) -> bytes:
    """Return the bytes of a record."""
    check = zlib.crc32(record.content, zlib.crc32(_HEAD.pack(record.place, record.is_error, len(record.content), 0)))
    return _HEAD.pack(record.place, record.is_error, len(record.content), check) + record.content


class RecordReader:
    """Makes records of the bytes of a file, which come in parts."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.size = 0
        """Bytes of the records that were whole."""

    def feed(self, part: bytes) -> Iterator[Record]:
        """Take more bytes, and yield the records that are whole now.

        Raises:
            BrokenRecordsError: they are no records.
        """
        self._bytes += part
        while len(self._bytes) >= _HEAD.size:
            place, is_error, length, _ = _HEAD.unpack_from(self._bytes)
            end = _HEAD.size + length
            if is_error > 1:
                raise BrokenRecordsError
            if len(self._bytes) < end:
                return
            record = Record(place, bool(is_error), bytes(self._bytes[_HEAD.size : end]))
            if pack_record(record)[: _HEAD.size] != self._bytes[: _HEAD.size]:
                raise BrokenRecordsError
            del self._bytes[:end]
            self.size += end
            yield record


def read_places(path: Path) -> tuple[set[int], int]:
    """Return the items that a file has the outcome of, and how many of its bytes are whole records."""
    places: set[int] = set()
    reader = RecordReader()
    try:
        with path.open("rb") as file:
            while part := file.read(_PART):
                places.update(record.place for record in reader.feed(part))
    except FileNotFoundError:
        return set(), 0
    except BrokenRecordsError:
        pass  # what comes before it is whole
    return places, reader.size
