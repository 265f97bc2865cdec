"""The methods that every pool has: names, arguments and errors are multiprocessing.Pool's."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from clusterctl.compute.calls.choices import APPLY, PLAIN, STAR, Call, check_whole, read_map_options
from clusterctl.compute.results import AsyncResult
from clusterctl.compute.timers import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from clusterctl.compute.results import MapIterator

_RUN, _CLOSED, _TERMINATED = "RUN", "CLOSE", "TERMINATE"


class PoolClosedError(ValueError):
    """A pool that was closed or terminated is given something new."""


class PoolMethods(ABC):
    """What a pool takes and gives, and the states that it goes through."""

    def __init__(self) -> None:
        self._state = _RUN
        self._open: dict[object, Callable[[], object]] = {}
        """What is under way, and how each ends."""
        self._begun = threading.local()
        """The `result` that this thread has begun to wait for."""
        self._changed = threading.Condition()

    @abstractmethod
    def _begin(self, call: Call, result: AsyncResult, items: Sequence[object]) -> None:
        """Have a call done for each item, and its result be filled."""

    @abstractmethod
    def _iterate(
        self, call: Call, iterable: Iterable[object], buffersize: int | None, *, in_order: bool
    ) -> MapIterator:
        """Return the results of a call for each item, one by one."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what the pool has: nothing new will come."""

    def apply(
        self, func: Callable[..., Any], args: Sequence[object] = (), kwds: Mapping[str, object] | None = None
    ) -> Any:
        """Return `func(*args, **kwds)`, called on an engine."""
        return self._wait(lambda: self.apply_async(func, args, kwds))

    def map(
        self, func: Callable[..., Any], iterable: Iterable[object], chunksize: int | None = None, **options: Any
    ) -> list[Any]:
        """Return `func` of each item, in order. See `map_async` for the options."""
        result: list[Any] = self._wait(lambda: self.map_async(func, iterable, chunksize, **options))
        return result

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[object]],
        chunksize: int | None = None,
        **options: Any,
    ) -> list[Any]:
        """Return `func(*item)` of each item, in order."""
        result: list[Any] = self._wait(lambda: self.starmap_async(func, iterable, chunksize, **options))
        return result

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Sequence[object] = (),
        kwds: Mapping[str, object] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """Begin `func(*args, **kwds)` on an engine."""
        result = AsyncResult(1, single=True, callback=callback, error_callback=error_callback)
        self._check_running()
        self._begin(Call(func, APPLY), result, [(tuple(args), dict(kwds or {}))])
        return result

    def map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Begin a map.

        Args:
            func: what is called for each item.
            iterable: the items.
            chunksize: at most so many items go out at once.
            callback: called with the values when all are there.
            error_callback: called with the first error.
            options: the fields of `choices.MapOptions`, such as ``on_error="return"``.
        """
        call = Call(func, PLAIN, chunksize, read_map_options(options))
        return self._map(call, iterable, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[object]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Begin a map whose items are the arguments. See `map_async`."""
        call = Call(func, STAR, chunksize, read_map_options(options))
        return self._map(call, iterable, callback, error_callback)

    def _map(
        self,
        call: Call,
        iterable: Iterable[object],
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> AsyncResult:
        self._check_running()
        items = list(iterable)
        returned = call.options.returns_errors
        result = AsyncResult(len(items), return_errors=returned, callback=callback, error_callback=error_callback)
        self._begin(call, result, items)
        return result

    def imap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = 1,
        *,
        buffersize: int | None = None,
        **options: Any,
    ) -> MapIterator:
        """Return an iterator over `func` of each item, in order. It reads `iterable` only so far ahead.

        Args:
            func: what is called for each item.
            iterable: the items; it may have no end.
            chunksize: as multiprocessing has it; it has no effect, since chunks are cut by time.
            buffersize: so many items are read before their results are taken; by default as many as keep engines busy.
            options: see `map_async`. An error that is not returned is raised in its turn, and the rest goes on.
        """
        call = Call(func, PLAIN, chunksize, read_map_options(options))
        return self._imap(call, iterable, buffersize, in_order=True)

    def imap_unordered(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = 1,
        *,
        buffersize: int | None = None,
        **options: Any,
    ) -> MapIterator:
        """Return an iterator over the results as they come. See `imap`."""
        call = Call(func, PLAIN, chunksize, read_map_options(options))
        return self._imap(call, iterable, buffersize, in_order=False)

    def istarmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[object]],
        *,
        buffersize: int | None = None,
        **options: Any,
    ) -> MapIterator:
        """Return an iterator over `func(*item)` of each item, in order. See `imap`."""
        call = Call(func, STAR, 1, read_map_options(options))
        return self._imap(call, iterable, buffersize, in_order=True)

    def _imap(self, call: Call, iterable: Iterable[object], buffersize: int | None, *, in_order: bool) -> MapIterator:
        check_whole("buffersize", buffersize)
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be 1+, not {buffersize}")
        self._check_running()
        return self._iterate(call, iterable, buffersize, in_order=in_order)

    def _follow(self, what: object, end: Callable[[], object]) -> None:
        """Note that this is under way, and how it ends."""
        with self._changed:
            self._open[what] = end

    def _forget(self, what: object) -> None:
        """Note that this is over."""
        with self._changed:
            self._open.pop(what, None)
            self._changed.notify_all()

    def _check_running(self) -> None:
        if self._state != _RUN:
            raise PoolClosedError("Pool not running")

    def _wait(self, begin: Callable[[], AsyncResult]) -> Any:
        """Return the value. Whoever is interrupted while he waits, or before, wants the work to end too."""
        begun: list[AsyncResult] = []
        self._begun.results = begun
        try:
            return begin().get()
        except BaseException:
            while begun:  # no variable holds one: the error, which holds this frame, is held by its result
                begun.pop().cancel()
            raise
        finally:
            self._begun.results = None

    def close(self) -> None:
        """Take nothing new; what is under way goes on."""
        if self._state == _RUN:
            self._state = _CLOSED
            self._release()

    def terminate(self) -> None:
        """End all that is under way. The engines stay."""
        self._state = _TERMINATED
        for end in list(self._open.values()):
            end()
        self._release()

    def join(self) -> None:
        """Return when nothing is under way.

        Raises:
            ValueError: the pool was neither closed nor terminated.
        """
        if self._state == _RUN:
            raise ValueError("Pool is still running")
        with self._changed:
            wait_for(self._changed, lambda: not self._open)

    def __enter__(self) -> PoolMethods:
        self._check_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()
