"""The standard streams of a command, whatever it was started with: closed, full, or read by nobody."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from clusterctl.errors import ClusterctlError

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputError(ClusterctlError):
    """What a command says cannot be written."""

    def __init__(self, error: OSError) -> None:
        remedy = "free some space on its disk, or send it elsewhere"
        super().__init__(f"the output cannot be written: {error.strerror or error}", remedy=remedy)


# What is between a buffer and the system must not be Python: Ctrl-C between the writing and the return of how much was
# written would have the same lines written again.


class _Said(io.BufferedWriter):
    """Standard output: that it cannot be written is no bug, and says so."""

    def write(self, data: Any, /) -> int:
        with _telling():
            return super().write(data)

    def flush(self) -> None:
        with _telling():
            super().flush()


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise OutputError(exc) from exc


class _Warned(io.BufferedWriter):
    """Standard error: where it cannot be written, there is nowhere to say so."""

    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Have all three open, and know what became of what is written. Not where a test has put its own in their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would take its place
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  it stays open
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, 1, _Said)
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, 2, _Warned)


def _replaced(stream: TextIO | None, own: TextIO | None, number: int, kind: type[io.BufferedWriter]) -> TextIO:
    if stream is not None and stream is not own:
        return stream
    lines = os.isatty(number) or number == 2
    buffer = kind(io.FileIO(number, "w", closefd=False))
    encoding, errors = getattr(stream, "encoding", None), getattr(stream, "errors", None)
    return io.TextIOWrapper(buffer, encoding=encoding, errors=errors, line_buffering=lines)


def drop_output() -> None:
    """Write nothing more, and have Python not complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
