"""What commands on nodes print, byte by byte: passed on, with the nodes' names, or collected for JSON."""

from __future__ import annotations

import base64
import os
import sys
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import click

from clusterctl.cli.standard_streams import drop_output
from clusterctl.cli.terminal import echo
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.operations.nodes.access import OutputLine
    from clusterctl.remote.base import RunningCommand

_CHUNK = 65536
_LOST, _BROKEN_PIPE = 255, 141
_MOST_COLLECTED = 64 << 20


def pass_bytes_on(running: RunningCommand) -> int:
    """Connect this process's stdin, stdout and stderr to a command, as ssh does. Return its exit status."""
    threading.Thread(target=_send_input, args=(running,), daemon=True).start()
    errors = threading.Thread(target=_pump, args=(running.read_errors, sys.stderr.buffer), daemon=True)
    errors.start()
    try:
        _pump(running.read, sys.stdout.buffer)
        errors.join()
        status = running.wait()
    except BrokenPipeError:
        drop_output()  # whoever read has enough
        return _BROKEN_PIPE
    finally:
        running.close()
    if status < 0:
        echo("the connection was lost", err=True)
    return status if status >= 0 else _LOST


def _send_input(running: RunningCommand) -> None:
    """Send stdin as it comes. It may stay open for ever: the command's end ends the process and this thread."""
    try:
        # Not by sys.stdin: a thread that waits in there may not be left alone at the end of Python.
        descriptor = sys.stdin.fileno() if sys.stdin else None
    except (OSError, ValueError):
        descriptor = None
    with suppress(OSError, EOFError):  # the command wants no more
        while descriptor is not None and (chunk := os.read(descriptor, _CHUNK)):
            running.write(chunk)
        running.end_input()


def _pump(read: Callable[[int], bytes], target: IO[bytes]) -> None:
    while chunk := read(_CHUNK):
        target.write(chunk)
        target.flush()


class PrefixedOutput:
    """Prints each line with the name of its node. On a terminal, a node's control characters are shown, not obeyed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: OutputLine) -> None:
        """Print one line."""
        stream = sys.stderr if line.is_error else sys.stdout
        text = line.text.rstrip(b"\n")
        if stream.isatty():
            text = clean_text(text.decode(errors="replace")).encode()
        with self._lock:
            stream.flush()
            stream.buffer.write(b"%s: %s\n" % (line.alias.encode(), text))
            stream.buffer.flush()


class CollectedOutput:
    """Keeps what each node prints, up to a limit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[tuple[str, str], list[bytes]] = {}
        self._size = 0

    def __call__(self, line: OutputLine) -> None:
        """Keep one line."""
        with self._lock:
            self._size += len(line.text)
            if self._size > _MOST_COLLECTED:
                raise click.UsageError(f"More than {_MOST_COLLECTED >> 20} MiB of output: leave out --json.")
            self._parts.setdefault((line.alias, "stderr" if line.is_error else "stdout"), []).append(line.text)

    def of(self, alias: str) -> dict[str, str]:
        """Return a node's output. What is no text has its exact bytes beside it, in Base64."""
        fields = {}
        for name in ("stdout", "stderr"):
            output = b"".join(self._parts.get((alias, name), []))
            fields[name] = output.decode(errors="replace")
            if fields[name].encode() != output:
                fields[f"{name}_base64"] = base64.b64encode(output).decode()
        return fields
