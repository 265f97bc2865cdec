"""What a map gives back: a result that is waited for, or an iterator."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from concurrent.futures import CancelledError
from multiprocessing import TimeoutError as PoolTimeoutError
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.compute.calls.progress import Display, Progress
from clusterctl.compute.event_thread import refuse_in_event_thread
from clusterctl.compute.work import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusterctl.compute.dispatch import Dispatcher
    from clusterctl.compute.work import Work


class _Outcome:
    """What both have in common: the work behind it, its report, and how to end it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._work: Work | None = None
        self._dispatcher: Dispatcher | None = None
        self._report = Report()
        self._done = 0
        self._display = Display("", self._measurement(), wanted=False)

    def follow(self, work: Work, dispatcher: Dispatcher) -> None:
        """Take the outcome of this work, and have it begin."""
        self._work, self._dispatcher, self._report = work, dispatcher, work.report
        self._display = Display(work.name, self._measurement(), wanted=work.progress)
        work.prints.write = self._display.say
        dispatcher.begin(work)

    def cancel(self) -> None:
        """End the work: nothing more is sent, and engines that work on it are interrupted.

        What has begun may have been done. An engine that does not let itself be interrupted is ended after 5 seconds
        and started anew. `get` raises `concurrent.futures.CancelledError` then.
        """
        if self._work is not None and self._dispatcher is not None:
            self._dispatcher.cancel(self._work, CancelledError())

    def _measurement(self) -> Callable[[], Progress]:
        """Return what measures how far it is, and does not keep it: an iterator that nobody has ends."""
        measure = weakref.WeakMethod(self._measure)
        return lambda: (measure() or _measure_nothing)()  # noqa: PLW0108  it looks each time whether there is any

    def _measure(self) -> Progress:
        """Return how far it is."""
        work, dispatcher = self._work, self._dispatcher
        if work is None or dispatcher is None:
            return Progress(self._done, self._done, 0, 0)
        engines = dispatcher.engine_count()
        return Progress(
            self._done,
            self._done + work.left if work.is_complete else None,
            engines if work.engines is None else min(engines, work.engines),
            len(work.report.rerun_items),
        )

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._measure()

    @property
    def report(self) -> Report:
        """What it has cost until now."""
        return self._report


def _measure_nothing() -> Progress:
    return Progress(0, 0, 0, 0)


class AsyncResult(_Outcome):
    """The result of `map_async`, as multiprocessing's has it, and `cancel` and `report` besides."""

    def __init__(
        self,
        count: int,
        *,
        single: bool = False,
        return_errors: bool = False,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        super().__init__()
        self._values: list[object] = [None] * count
        self._error: BaseException | None = None
        self._is_ready = False
        self._single, self._return_errors = single, return_errors
        self._callback, self._error_callback = callback, error_callback

    @property
    def is_single(self) -> bool:
        """Whether it is of one call, and calls nobody back."""
        return self._single and self._callback is None and self._error_callback is None

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """Take the value of an item. See `work.Sink`."""
        self._done += 1
        if error is not None and not self._return_errors:
            self._error = self._error or error
        self._values[place] = value if error is None else error

    def end(self) -> None:
        """Be ready."""
        self._finish(self._error)

    def fail(self, error: BaseException) -> None:
        """Be ready, with an error."""
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        self._error = error
        self._display.end()  # a callback may print
        try:
            if error is None and self._callback is not None:
                self._callback(self._value())
            if error is not None and self._error_callback is not None:
                self._error_callback(error)
        except BaseException:  # it is the caller's, and no fault of the map; SystemExit would end the thread
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
        self._callback = self._error_callback = None  # they may hold this result, and it what they were called with
        with self._changed:
            self._is_ready = True
            self._changed.notify_all()

    def _value(self) -> Any:
        return self._values[0] if self._single else self._values

    def get(self, timeout: float | None = None) -> Any:
        """Return the values, or raise what a task raised.

        Raises:
            multiprocessing.TimeoutError: they are not there after so many seconds.
        """
        self.wait(timeout)
        if not self._is_ready:
            raise PoolTimeoutError
        try:
            if self._error is not None:
                raise self._error
            return self._value()
        finally:
            del self  # which holds the error, and that its traceback, and that this frame

    def wait(self, timeout: float | None = None) -> None:
        """Return when it is ready, or after so many seconds.

        Raises:
            RuntimeError: this is a callback, and it is not ready.
        """
        if not self._is_ready:
            refuse_in_event_thread()
        self._display.wait(self._changed, lambda: self._is_ready, timeout)

    def ready(self) -> bool:
        """Return whether all has come, or an error."""
        return self._is_ready

    def successful(self) -> bool:
        """Return whether no error has come.

        Raises:
            ValueError: it is not ready.
        """
        if not self._is_ready:
            raise ValueError(f"{self!r} not ready")
        return self._error is None


class MapIterator(_Outcome):
    """The results of `imap` and `imap_unordered`, one by one."""

    def __init__(self, *, in_order: bool, return_errors: bool = False) -> None:
        super().__init__()
        self._in_order, self._return_errors = in_order, return_errors
        self._waiting: dict[int, tuple[object, BaseException | None]] = {}
        self._ready: deque[tuple[object, BaseException | None]] = deque()
        self._next_place = 0
        self._is_over = False
        self._error: BaseException | None = None
        self.last: BaseException | None = None
        """What the input has raised."""
        self.on_taken: Callable[[], object] = lambda: None
        """Called when a result has been handed out."""

    def __del__(self) -> None:
        if not self._is_over:  # nobody can take a result any more: a loop was left, or interrupted
            self.cancel()

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """Take the value of an item. See `work.Sink`."""
        self._done += 1
        with self._changed:
            if not self._in_order:
                self._ready.append((value, error))
            else:
                self._waiting[place] = (value, error)
                while self._next_place in self._waiting:
                    self._ready.append(self._waiting.pop(self._next_place))
                    self._next_place += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Stop after what is there, or raise what the input has raised."""
        self.fail(self.last or StopIteration())

    def fail(self, error: BaseException) -> None:
        """Raise this after what is there."""
        self._display.end()
        with self._changed:
            self._is_over, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> MapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result.

        Raises:
            multiprocessing.TimeoutError: it is not there after so many seconds.
            RuntimeError: this is a callback, and it is not there yet.
        """
        deadline = None if timeout is None else Deadline.after(timeout)
        try:
            while (taken := self._pop()) is None:  # another thread may be quicker
                refuse_in_event_thread()
                left_s = None if deadline is None else deadline.left_s
                if not self._display.wait(self._changed, lambda: self._ready or self._is_over, left_s):
                    raise PoolTimeoutError
        except KeyboardInterrupt:  # who is interrupted here wants the work to end too
            self.cancel()
            raise
        value, error = taken
        self.on_taken()  # outside of the lock: it lets another thread go on
        if error is None or self._return_errors:
            return value if error is None else error
        raise error

    def _pop(self) -> tuple[object, BaseException | None] | None:
        with self._changed:
            if self._ready:
                return self._ready.popleft()
            if not self._is_over:
                return None
            if self._error is None or isinstance(self._error, StopIteration):
                raise StopIteration  # a new one: with its traceback it holds whoever takes the results
            raise self._error

    def until(self, timeout: float | None) -> Iterator[Any]:
        """Yield the results; raise `TimeoutError` for one that is not there so many seconds from now.

        Whoever does not take all of them ends the work.
        """
        deadline = None if timeout is None else Deadline.after(timeout)
        try:
            while True:
                try:
                    yield self.next(None if deadline is None else deadline.left_s)
                except StopIteration:
                    return
                except PoolTimeoutError as exc:
                    raise TimeoutError from exc
        finally:
            self.cancel()
