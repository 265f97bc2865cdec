"""Tells what is written to the logs of this node from now on, a line of JSON for each, until who looks has gone.

Each says where in the file it ended: who was cut off goes on from there. A log that is rotated is read to its end
first.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import looking

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY_S = 0.5
_ALIVE_ROUNDS = 10
"""After so many rounds in which nothing was written, that is told, too: who looks knows that the node lives."""
_PART = 64 * 1024
_LONGEST = 8 * 1024
"""Bytes of a line."""
_TAIL = 256 * 1024


class Log:
    """A file that is written to, by name: rotated, cut off and made anew as it may be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._rest = b""

    @property
    def number(self) -> int:
        """The number of the file that is open."""
        return os.fstat(self._file.fileno()).st_ino

    def go_to_last(self, lines: int) -> None:
        """Go on from the last lines."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL)
        self._file.seek(start)
        # The end of a line that is not whole yet counts, too: it goes on.
        new_lines = self._file.read(size - start).splitlines(keepends=True)
        self._file.seek(size - sum(map(len, new_lines[len(new_lines) - lines :] if lines else [])))

    def go_on(self, number: int, offset: int) -> None:
        """Go on from where somebody was, if it is still that file."""
        if number == self.number and offset <= os.fstat(self._file.fileno()).st_size:
            self._file.seek(offset)

    def read(self) -> Iterator[tuple[bytes, list[int]]]:
        """Yield new whole lines, each with the number of the file and where in it the line ended."""
        while True:
            yield from self._read_open()
            try:
                now = self._path.stat()
            except OSError:
                return  # it is being rotated, or gone
            if now.st_ino == self.number:
                if now.st_size < self._file.tell():  # it was cut off
                    self._file.seek(0)
                    self._rest = b""
                    continue
                return
            yield from self._read_open()  # what came before it was rotated
            try:
                other = self._path.open("rb")
            except OSError:
                return
            self._file.close()
            self._file, self._rest = other, b""

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    def _read_open(self) -> Iterator[tuple[bytes, list[int]]]:
        for _ in range(16):  # then others have their turn
            part = self._file.read(_PART)
            if not part:
                return
            at = self._file.tell() - len(self._rest) - len(part)
            *lines, self._rest = (self._rest + part).split(b"\n")
            for line in lines:
                at += len(line) + 1
                yield line, [self.number, at]
            if len(self._rest) > _PART:
                yield self._rest, [self.number, at + len(self._rest)]
                self._rest = b""


class Logs:
    """The logs of a folder whose names fit a pattern, also those that come later."""

    def __init__(self, folder: str, pattern: str, positions: dict[str, list[int]], lines: int) -> None:
        self._folder, self._pattern = Path(folder), pattern
        self._open: dict[str, Log] = {}
        self._find()
        for name, log in self._open.items():
            if name in positions:
                log.go_on(*positions[name])
            elif not positions:
                log.go_to_last(lines)

    def _find(self) -> None:
        for path in sorted(self._folder.glob("*.log")):
            name = path.name[: -len(".log")]
            if name not in self._open and fnmatch.fnmatchcase(name, self._pattern):
                try:
                    self._open[name] = Log(path)
                except OSError:
                    continue  # it has just gone

    def read(self) -> Iterator[tuple[str, bytes, list[int]]]:
        """Yield what was written: the name of the log, a line, and where that ended."""
        self._find()
        for name, log in self._open.items():
            for line, position in log.read():
                yield name, line, position

    def close(self) -> None:
        """Read no more."""
        for log in self._open.values():
            log.close()


def main(values: dict[str, Any]) -> None:
    """Follow the logs in `folder` that `pattern` names, from `positions` on, or from the last `lines`."""
    logs = Logs(values["folder"], values["pattern"], values["positions"], values["lines"])
    quiet, wait_s = 0, 0.0
    try:
        while not looking.is_over(wait_s):
            quiet += 1
            for name, line, position in logs.read():
                quiet = 0
                looking.tell({"log": name, "text": line[:_LONGEST].decode(errors="replace"), "at": position})
            if quiet >= _ALIVE_ROUNDS:
                quiet = 0
                looking.tell({})
            wait_s = _EVERY_S
    except BrokenPipeError:
        looking.listen_no_more()
    finally:
        logs.close()
