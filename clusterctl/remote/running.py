"""A command that runs on a node: bytes in both directions, at once and as they are."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clusterctl.remote.base import RunningCommand

A = TypeVar("A")
T = TypeVar("T")
_CHUNK = 65536
_MOST_NOISE = 1 << 20
MOST_OUTPUT = 64 << 20
"""The most bytes that a script or a question may answer; what a user's own command prints is passed on without end."""
_ANSWER_S = 60.0
"""How long a server may take to answer: a machine may be very busy."""


class SSHCommand:
    """A `RunningCommand` on a channel of a connection.

    Many login shells print something before they run a command. What comes before the mark is theirs and is dropped; of
    a command that never began there is no mark, and what came says why.

    Args:
        channel: the channel, whose timeout says how long it may be silent.
        mark: see above.
        answers: tells after each such silence whether to go on waiting; None to give up.
    """

    def __init__(self, channel: Any, mark: bytes, *, answers: Callable[[], bool] | None = None) -> None:
        self._channel = channel
        self._mark = mark
        self._answers = answers
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
        return bytes(self._wait_for(self._channel.recv, size))

    def _wait_for(self, act: Callable[[A], T], argument: A) -> T:
        while True:
            try:
                return act(argument)
            except TimeoutError:
                if self._answers is None:
                    raise
                if not self._answers():
                    raise TimeoutError("its SSH server does not answer any more") from None

    def _skip_noise(self) -> bytes:
        received = b""
        while len(received) < _MOST_NOISE and (chunk := self._wait_for(self._channel.recv, _CHUNK)):
            received += chunk
            _, mark, rest = received.partition(self._mark)
            if mark:
                return rest or bytes(self._wait_for(self._channel.recv, _CHUNK))
        return received

    def read_errors(self, size: int = _CHUNK, /) -> bytes:
        """Do the same with stderr."""
        return bytes(self._wait_for(self._channel.recv_stderr, size))

    def write(self, data: bytes) -> None:
        """Send input."""
        left = memoryview(data)
        while left:
            left = left[self._wait_for(self._channel.send, left) :]

    def end_input(self) -> None:
        """Say that no more input comes."""
        self._channel.shutdown_write()

    def wait(self) -> int:
        """Return the exit status, -1 where the connection was lost."""
        while not self._channel.status_event.wait(_ANSWER_S) and self._answers and self._answers():
            pass  # its output may have ended long before it
        return int(self._channel.recv_exit_status())

    def close(self) -> None:
        """Give up the command, if it still runs."""
        self._channel.close()


def send_input(running: RunningCommand, parts: Iterable[bytes]) -> None:
    """Send a command all of its input, and say that no more comes. One that ends before it took all says why itself.

    Raises:
        TimeoutError: it was silent for too long.
    """
    try:
        for part in parts:
            running.write(part)
        running.end_input()
    except TimeoutError:
        raise
    except OSError:
        pass


class ErrorReader:
    """Reads what a command says on stderr while somebody else reads its stdout, since they share one window.

    Args:
        read: returns some bytes, none at the end.
        keep: how many of the last bytes are kept.
        give_up: called where there is more than MOST_OUTPUT: ends the command. None to read on.
    """

    def __init__(self, read: Callable[[int], bytes], *, keep: int, give_up: Callable[[], object] | None = None) -> None:
        self._read = read
        self._keep = keep
        self._give_up = give_up
        self._size = 0
        self._text = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while chunk := self._read(_CHUNK):
                self._size += len(chunk)
                self._text += chunk
                del self._text[: -self._keep]
                if self._give_up and self._size > MOST_OUTPUT:
                    self._give_up()
                    return
        except OSError:
            return  # the command was closed, and its owner knows

    def finish(self) -> str:
        """Wait for the end, and return the text.

        Raises:
            OSError: it was given up.
        """
        self._thread.join()
        if self._give_up and self._size > MOST_OUTPUT:
            raise _too_much()
        return self._text.decode(errors="replace")


def answers(transport: Any, asking: threading.Lock) -> bool:
    """Return whether an SSH server lives: one that is frozen keeps its connections. If it does not, end this one.

    Args:
        transport: the connection.
        asking: is held meanwhile, since an answer does not say which question it is for.
    """
    with asking:
        question = threading.Thread(
            target=transport.global_request, args=("keepalive@openssh.com",), kwargs={"wait": True}, daemon=True
        )
        question.start()
        question.join(_ANSWER_S)
        if question.is_alive():
            transport.close()
        return not question.is_alive() and bool(transport.is_active())


@contextmanager
def ended_if_deaf(ask: Callable[[], bool], every_s: float) -> Iterator[None]:
    """Ask a server again and again for the time of the block. To ask ends the connection of one that is deaf."""
    over = threading.Event()

    def ask_until_over() -> None:
        while not over.wait(every_s) and ask():
            pass

    threading.Thread(target=ask_until_over, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def close_late(running: SSHCommand) -> None:
    """Give up a command whose time is over. A connection that has ended already is fine."""
    with suppress(OSError, EOFError):
        running.close()


def _too_much() -> OSError:
    return OSError(f"more than {MOST_OUTPUT >> 20} MiB of output")


def read_lines(receive: Callable[[int], bytes], on_line: Callable[[str], None] | None) -> str:
    """Return all output, and tell each line as it comes.

    Raises:
        OSError: there is no end of it. A node that floods us must not fill this computer's memory.
    """
    seen, pending, size = [], b"", 0
    while chunk := receive(_CHUNK):
        size += len(chunk)
        if size > MOST_OUTPUT:
            raise _too_much()
        seen.append(chunk)
        if on_line:
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace"))
    if on_line and pending:
        on_line(pending.decode(errors="replace"))
    return b"".join(seen).decode(errors="replace")
