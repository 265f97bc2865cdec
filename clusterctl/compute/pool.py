"""multiprocessing's Pool, on the engines of a cluster."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.feeding import LooseSink, feed_items
from clusterctl.compute.payload import pickle_for_engines
from clusterctl.compute.results import AsyncResult, MapIterator
from clusterctl.compute.timers import wait_for
from clusterctl.compute.work import APPLY, PLAIN, STAR, Initializer, Work, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from ipyparallel import Client

_AHEAD = 4
"""Items that `imap` reads ahead of its caller, for each engine, at least."""
_AHEAD_LEAST = 1000
_RUN, _CLOSED, _TERMINATED = "RUN", "CLOSE", "TERMINATE"


@dataclass(frozen=True)
class Options:
    """What `clusterctl.Pool` is told, checked before anything is connected.

    Raises:
        ValueError: a number is below 1.
        TypeError: the initializer is no function.
    """

    processes: int | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[object, ...] = ()
    maxtasksperchild: int | None = None

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError("Number of processes must be at least 1")
        most = self.maxtasksperchild
        if most is not None and (not isinstance(most, int) or most <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError("initializer must be a callable")


class Pool:
    """The engines of a cluster as a pool of workers: names, arguments and errors are multiprocessing.Pool's.

    Items go out by time, not by number: `chunksize` is only an upper limit here, and never needed. Every item has a
    value or an error. An item runs a second time only if the engine that had it ended: `report` names those.
    """

    def __init__(self, options: Options, *, client: Client, closes_client: bool = False) -> None:
        """Use the engines of a connected client.

        Args:
            options: how many, and what they do first.
            client: the client.
            closes_client: close the client when the pool has ended.

        Raises:
            TypeError: the initializer cannot be pickled.
        """
        self._dispatcher = Dispatcher.of(client)
        self._engines, self._closes_client = options.processes, closes_client
        self._initializer = Initializer()
        if options.initializer is not None:
            pickled = pickle_for_engines((options.initializer, options.initargs), "the initializer")
            self._initializer = Initializer(new_id(), pickled)
        self._state = _RUN
        self._open: set[Work] = set()
        self._begun = threading.local()
        self._changed = threading.Condition()

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
        self._begin(func, result, items=[(tuple(args), dict(kwds or {}))], star=APPLY)
        return result

    def map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        on_error: str = "raise",
        max_crashes: int = 3,
    ) -> AsyncResult:
        """Begin a map.

        Args:
            func: what is called for each item.
            iterable: the items.
            chunksize: at most so many items go out at once.
            callback: called with the values when all are there.
            error_callback: called with the first error.
            on_error: ``raise`` ends the map at the first error; ``return`` puts errors in the places of values.
            max_crashes: so many engines may end with an item before it fails with `CrashError`.
        """
        return self._map(func, iterable, chunksize, callback, error_callback, PLAIN, on_error, max_crashes)

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[object]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        on_error: str = "raise",
        max_crashes: int = 3,
    ) -> AsyncResult:
        """Begin a map whose items are the arguments. See `map_async`."""
        return self._map(func, iterable, chunksize, callback, error_callback, STAR, on_error, max_crashes)

    def _map(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        star: int,
        on_error: str,
        max_crashes: int,
    ) -> AsyncResult:
        if on_error not in {"raise", "return"}:
            raise ValueError(f"on_error is raise or return, not {on_error!r}")
        items = list(iterable)
        returned = on_error == "return"
        result = AsyncResult(len(items), return_errors=returned, callback=callback, error_callback=error_callback)
        self._begin(func, result, items=items, star=star, most=chunksize, stop=not returned, max_crashes=max_crashes)
        return result

    def imap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = 1,
        *,
        buffersize: int | None = None,
    ) -> MapIterator:
        """Return an iterator over `func` of each item, in order. It reads `iterable` only so far ahead.

        Args:
            func: what is called for each item.
            iterable: the items; it may have no end.
            chunksize: as multiprocessing has it; it has no effect, since chunks are cut by time.
            buffersize: so many items are read before their results are taken; by default as many as keep engines busy.
        """
        return self._imap(func, iterable, chunksize, buffersize, in_order=True)

    def imap_unordered(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None = 1,
        *,
        buffersize: int | None = None,
    ) -> MapIterator:
        """Return an iterator over the results as they come. See `imap`."""
        return self._imap(func, iterable, chunksize, buffersize, in_order=False)

    def istarmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[object]], *, buffersize: int | None = None
    ) -> MapIterator:
        """Return an iterator over `func(*item)` of each item, in order. See `imap`."""
        return self._imap(func, iterable, 1, buffersize, in_order=True, star=STAR)

    def _imap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[object],
        chunksize: int | None,
        buffersize: int | None,
        *,
        in_order: bool,
        star: int = PLAIN,
    ) -> MapIterator:
        if chunksize is not None and chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be 1+, not {buffersize}")
        result = MapIterator(in_order=in_order)
        try:
            work = self._begin(func, result, sink=LooseSink(result), is_complete=False, star=star, stop=False)
            ahead = buffersize or max(_AHEAD_LEAST, _AHEAD * self._dispatcher.engine_count())
            feed_items(self._dispatcher, work, result, iterable, ahead)
        except BaseException:
            result.cancel()
            raise
        return result

    def _begin(
        self,
        func: Callable[..., Any],
        result: AsyncResult | MapIterator,
        *,
        sink: LooseSink | None = None,
        most: int | None = None,
        is_complete: bool = True,
        **about: Any,
    ) -> Work:
        self._check_running()
        if most is not None and most < 1:
            raise ValueError(f"Chunksize must be 1+, not {most}")
        work = Work(func, sink or result, most=most, engines=self._engines, initializer=self._initializer, **about)
        work.is_complete = is_complete
        work.on_over = lambda: self._forget(work)
        with self._changed:
            self._open.add(work)
        if sink is None:
            self._begun.result = result
        result.follow(work, self._dispatcher)
        return work

    def _forget(self, work: Work) -> None:
        with self._changed:
            self._open.discard(work)
            self._changed.notify_all()

    def _check_running(self) -> None:
        if self._state != _RUN:
            raise ValueError("Pool not running")

    def _wait(self, begin: Callable[[], AsyncResult]) -> Any:
        """Return the value. Whoever is interrupted while he waits, or before, wants the work to end too."""
        self._begun.result = None
        try:
            return begin().get()
        except BaseException:
            result: AsyncResult | None = self._begun.result
            if result is not None:
                result.cancel()
            raise
        finally:
            self._begun.result = None

    def close(self) -> None:
        """Take nothing new; what is under way goes on."""
        if self._state == _RUN:
            self._state = _CLOSED
            self._close_client()

    def terminate(self) -> None:
        """End all that is under way. The engines stay."""
        self._state = _TERMINATED
        for work in list(self._open):
            self._dispatcher.cancel(work, CancelledError())
        self._close_client()

    def _close_client(self) -> None:
        if self._closes_client:
            self._dispatcher.close_when_done()

    def join(self) -> None:
        """Return when nothing is under way.

        Raises:
            ValueError: the pool was neither closed nor terminated.
        """
        if self._state == _RUN:
            raise ValueError("Pool is still running")
        with self._changed:
            wait_for(self._changed, lambda: not self._open)

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()
