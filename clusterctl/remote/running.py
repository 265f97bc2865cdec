"""A command that runs on a node: bytes in both directions, at once and as they are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536
_MOST_NOISE = 1 << 20


class SSHCommand:
    """A `RunningCommand` on a channel of a connection.

    Many login shells print something before they run a command. What comes before the mark is theirs and is dropped; of
    a command that never began there is no mark, and what came says why.
    """

    def __init__(self, channel: Any, mark: bytes) -> None:
        self._channel = channel
        self._mark = mark
        self._pending = b""
        self._began = False

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Wait for output and return some of it; none when it has ended."""
        if not self._began:
            self._pending = self._skip_noise()
            self._began = True
        if self._pending:
            chunk, self._pending = self._pending[:size], self._pending[size:]
            return chunk
        return bytes(self._channel.recv(size))

    def _skip_noise(self) -> bytes:
        received = b""
        while len(received) < _MOST_NOISE and (chunk := self._channel.recv(_CHUNK)):
            received += chunk
            _, mark, rest = received.partition(self._mark)
            if mark:
                return rest or bytes(self._channel.recv(_CHUNK))
        return received

    def read_errors(self, size: int = _CHUNK, /) -> bytes:
        """Do the same with stderr."""
        return bytes(self._channel.recv_stderr(size))

    def write(self, data: bytes) -> None:
        """Send input."""
        self._channel.sendall(data)

    def end_input(self) -> None:
        """Say that no more input comes."""
        self._channel.shutdown_write()

    def wait(self) -> int:
        """Return the exit status, -1 where the connection was lost."""
        return int(self._channel.recv_exit_status())

    def close(self) -> None:
        """Give up the command, if it still runs."""
        self._channel.close()


class ErrorReader:
    """Reads what a command says on stderr while somebody else reads its stdout, since they share one window.

    Args:
        read: returns some bytes, none at the end.
        keep: how many of the last bytes are kept; None for all.
    """

    def __init__(self, read: Callable[[int], bytes], *, keep: int | None = None) -> None:
        self._read = read
        self._keep = keep
        self._text = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while chunk := self._read(_CHUNK):
                self._text += chunk
                if self._keep is not None:
                    del self._text[: -self._keep]
        except OSError:
            return  # the command was closed, and its owner knows

    def finish(self) -> str:
        """Wait for the end, and return the text."""
        self._thread.join()
        return self._text.decode(errors="replace")
