"""The engines of a cluster as a pool of workers."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from clusterctl.compute.calls.choices import Call, Options
from clusterctl.compute.channel import make_swapper
from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.faces.methods import PoolMethods
from clusterctl.compute.faces.nested import InlinePool
from clusterctl.compute.feeding import LooseSink, feed_items
from clusterctl.compute.payload import pickle_for_engines
from clusterctl.compute.results import AsyncResult, MapIterator
from clusterctl.compute.work import Initializer, Work, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ipyparallel import Client

    from clusterctl.compute.large_arrays import Swapper
    from clusterctl.compute.work import Sink

__all__ = ["Options", "Pool"]
_AHEAD = 4
"""Items that `imap` reads ahead of its caller, for each engine, at least."""
_AHEAD_LEAST = 1000


class Pool(PoolMethods):
    """The engines of a cluster as a pool of workers: names, arguments and errors are multiprocessing.Pool's.

    Items go out by time, not by number: `chunksize` is only an upper limit here, and never needed. Every item has a
    value or an error. An item runs a second time only if the engine that had it ended: `report` names those.
    """

    def __init__(
        self,
        options: Options,
        *,
        client: Client,
        closes_client: bool = False,
        swap: Callable[[float | None], Swapper] = make_swapper,
    ) -> None:
        """Use the engines of a connected client.

        Args:
            options: how many, and what they do first.
            client: the client.
            closes_client: close the client when the pool has ended.
            swap: returns who knows the arrays of a call that are large, which is said in bytes.

        Raises:
            TypeError: the initializer cannot be pickled.
        """
        super().__init__()
        self._dispatcher = Dispatcher.of(client)
        self._engines, self._closes_client = options.processes, closes_client
        self._swap = swap
        self._initializer = Initializer()
        if options.initializer is not None:
            pickled = pickle_for_engines((options.initializer, options.initargs), "the initializer")
            self._initializer = Initializer(new_id(), pickled)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a task as a pool that works there."""
        return InlinePool, ()

    def _begin(self, call: Call, result: AsyncResult, items: Sequence[object]) -> None:
        self._give(call, result, result, items)

    def _iterate(
        self, call: Call, iterable: Iterable[object], buffersize: int | None, *, in_order: bool
    ) -> MapIterator:
        result = MapIterator(in_order=in_order, return_errors=call.options.returns_errors)
        try:
            work = self._give(call, result, LooseSink(result), None)
            ahead = buffersize or max(_AHEAD_LEAST, _AHEAD * self._dispatcher.engine_count())
            feed_items(self._dispatcher, work, result, iterable, ahead)
        except BaseException:
            result.cancel()
            raise
        return result

    def _give(self, call: Call, result: AsyncResult | MapIterator, sink: Sink, items: Sequence[object] | None) -> Work:
        """Have engines work on this; items that are not known yet come one by one."""
        work = Work(
            call,
            sink,
            items=items,
            engines=self._engines,
            initializer=self._initializer,
            swapper=self._swap(call.options.max_nbytes),
            is_single=isinstance(result, AsyncResult) and result.is_single,
        )
        work.on_over = lambda: self._forget(work)
        self._follow(work, lambda: self._dispatcher.cancel(work, CancelledError()))
        begun: list[AsyncResult] | None = getattr(self._begun, "results", None)
        if isinstance(result, AsyncResult) and begun is not None:
            begun.append(result)
        result.follow(work, self._dispatcher)
        return work

    def _release(self) -> None:
        if self._closes_client:
            self._dispatcher.close_when_done()
