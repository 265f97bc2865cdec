"""What an item of a map may take: how much time, and how many bytes.

The text of this module is sent before that of `chunks.py`, and both run as one program.
"""

from __future__ import annotations

import faulthandler
import io
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

GRACE_S = 5.0
"""For an item that was interrupted. Then the engine ends, and its service starts it anew."""
LOOKED_AT = 100
"""Parts of a list that are looked at to guess how large it is."""
AGAIN_S = 0.5
"""Until an item is interrupted again that has kept the first interruption to itself."""


class OverdueError(BaseException):
    """Interrupts an item. Not an Exception: code that forgives much must not forgive this."""


class ItemLimit:
    """Interrupts each item that takes too long. Works in the main thread, which alone gets signals.

    Where C code does not come back to Python, no Python code can do anything, in no thread. A thread of C then writes
    to the engine's log where it is, and ends the engine.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_on = self._has_fired = False
        self._before: Any = None
        self._timer = (0.0, 0.0)

    def __enter__(self) -> ItemLimit:
        self._timer = signal.getitimer(signal.ITIMER_REAL)
        self._before = signal.signal(signal.SIGALRM, self._fire)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGALRM, self._before or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, *self._timer)

    def _fire(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_on:
            self._has_fired = True
            raise OverdueError

    def call(self, act: Callable[[], Any], item: int) -> Any:
        """Return what this gives.

        Args:
            act: what works on the item.
            item: its number.

        Raises:
            TimeoutError: it took too long. Its traceback says where it was.
        """
        value, error = None, None
        try:
            self._start()
            try:
                value = act()
            finally:
                self._is_on = False  # from here on nothing is interrupted
        except KeyboardInterrupt:  # somebody has cancelled the whole chunk
            raise
        except BaseException as exc:
            error = exc
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
        if self._has_fired:
            late = TimeoutError(f"item {item} took longer than {self._seconds:g} s")
            raise late.with_traceback(_without_last(error)) from None
        if error is not None:
            raise error
        return value

    def _start(self) -> None:
        self._has_fired, self._is_on = False, True
        faulthandler.dump_traceback_later(self._seconds + GRACE_S, exit=True, file=_log())
        signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN_S)


def _without_last(error: BaseException | None) -> TracebackType | None:
    """Return the traceback of an error, without the frame in which an interruption raised it."""
    first = frames = error.__traceback__ if error else None
    while isinstance(error, OverdueError) and frames and frames.tb_next:
        if frames.tb_next.tb_next is None:
            frames.tb_next = None
        frames = frames.tb_next
    return first


def _log() -> int:
    """Return the file number of the engine's log: ipykernel keeps it, and reads what is written to the usual one."""
    number = getattr(sys.stderr, "_original_stdstream_copy", None)
    return number if isinstance(number, int) else 2


class TooLargeError(Exception):
    """More was to be sent than a controller should carry."""


class LimitedBytes(io.BytesIO):
    """Takes at most so many bytes: what is too large is known before the memory is full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def write(self, data: Any) -> int:
        """Take some more.

        Raises:
            TooLargeError: it is too much.
        """
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise TooLargeError
        return super().write(data)


def guess_bytes(value: Any) -> int:
    """Return about how large a value is: enough to see one that is large, and quick for one that is not."""
    if value is None or isinstance(value, (int, float)):
        return 0
    try:
        size = int(getattr(value, "nbytes", 0)) + sys.getsizeof(value)
        if isinstance(value, (list, tuple)):
            size += sum(int(getattr(part, "nbytes", 0)) + sys.getsizeof(part) for part in value[:LOOKED_AT])
    except BaseException as error:  # it is the user's class
        raise_if_interrupted(error)
        return 0
    return size


def raise_if_interrupted(error: BaseException) -> None:
    """Raise it again if somebody has interrupted this engine; all else that a user's code raises ends nothing here."""
    if isinstance(error, KeyboardInterrupt):
        raise error
