"""A pool inside a task. The task has an engine already: it does the work there itself, one item after the other.

To wait for other engines could be to wait for ever: they may all wait, too.
"""

from __future__ import annotations

import os
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from clusterctl.compute.calls.choices import APPLY, STAR, Call, Options
from clusterctl.compute.calls.memory import Memory
from clusterctl.compute.faces.executor import PoolExecutor
from clusterctl.compute.faces.methods import PoolMethods
from clusterctl.compute.results import AsyncResult, MapIterator
from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

_IN_TASK = "CLUSTERCTL_IN_TASK"
"""Set while a task runs, by `on_node/in_engine/chunks.py`."""
_SAID: set[str] = set()


def is_in_task() -> bool:
    """Return whether this Python works on an item of a map, on an engine."""
    return bool(os.environ.get(_IN_TASK))


class InlinePool(PoolMethods):
    """A pool that does everything itself when it is asked for it, and its iterators when they are."""

    def __init__(self, options: Options | None = None) -> None:
        """Run the initializer.

        Args:
            options: as for a pool of engines. How many makes no difference.
        """
        super().__init__()
        if options is not None and options.initializer is not None:
            options.initializer(*options.initargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as such a pool."""
        return InlinePool, ()

    def _begin(self, call: Call, result: AsyncResult, items: Sequence[object]) -> None:
        _say_once()
        for place, item in enumerate(items):
            value, error = _try(call, item)
            if error is not None and not call.options.returns_errors:
                result.fail(error)
                return
            result.take(place, value, error)
        result.end()

    def _iterate(
        self,
        call: Call,
        iterable: Iterable[object],
        buffersize: int | None,  # noqa: ARG002  nothing is read ahead
        *,
        in_order: bool,
    ) -> MapIterator:
        _say_once()
        return _InlineIterator(call, iterable, in_order=in_order)

    def _release(self) -> None:
        pass


class _InlineIterator(MapIterator):
    def __init__(self, call: Call, iterable: Iterable[object], *, in_order: bool) -> None:
        super().__init__(in_order=in_order)
        self._call, self._items = call, iter(iterable)

    def next(self, timeout: float | None = None) -> Any:  # noqa: ARG002  nobody else works on it
        """Work on the next item."""
        value, error = _try(self._call, next(self._items))
        if error is None or self._call.options.returns_errors:
            return value if error is None else error
        raise error


class ClientInTask:
    """What a client becomes in a task that uses it."""

    def pool(self, processes: int | None = None, *initializing: Any, **by_name: Any) -> InlinePool:
        """Return a pool that works in this task."""
        return InlinePool(Options(processes, *initializing, **by_name))

    def map(
        self,
        func: Callable[..., Any],
        *iterables: Iterable[object],
        detach: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> list[Any]:
        """Return what `func` gives for each item, in order.

        Raises:
            UsageError: it is to go on without this task.
        """
        if detach or name is not None:
            raise UsageError(
                "a task cannot begin a detached map",
                remedy="begin it on your own computer, or in a notebook on the master",
            )
        return map_over(InlinePool(), func, iterables, options)

    def executor(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
    ) -> PoolExecutor:
        """Return an executor that works in this task."""
        return PoolExecutor(self.pool(processes, initializer, initargs))

    def joblib(self, *_: Any, **__: Any) -> AbstractContextManager[None]:
        """Return a context that changes nothing: joblib works in this task."""
        return nullcontext()

    @property
    def memory(self) -> Memory:
        """Remembers the values of functions on the nodes."""
        return Memory()

    def __getattr__(self, name: str) -> Any:
        what_it_has = "only pool, map, executor, joblib and memory: `clusterctl.connect()` gives a whole one there"
        raise AttributeError(f"a client that was sent to a task has no {name}, {what_it_has}")


def make_pool(*options: Any) -> InlinePool:
    """See `clusterctl.Pool`."""
    return InlinePool(Options(*options))


def map_over(
    pool: PoolMethods, func: Callable[..., Any], iterables: Sequence[Iterable[object]], options: dict[str, Any]
) -> list[Any]:
    """Return what `func` gives for each item, as the built-in `map` has its arguments."""
    if len(iterables) == 1:
        return pool.map(func, iterables[0], **options)
    return pool.starmap(func, list(zip(*iterables, strict=False)), **options)


def _try(call: Call, item: Any) -> tuple[object, BaseException | None]:
    """Return the value or the error of an item. What interrupts the task itself is no error of an item."""
    try:
        if call.star == STAR:
            return call.function(*item), None
        if call.star == APPLY:
            return call.function(*item[0], **item[1]), None
        return call.function(item), None
    except (Exception, SystemExit) as error:
        return None, error


def _say_once() -> None:
    if not _SAID:
        _SAID.add("nested")
        text = "a pool in a task works in that task, one item after the other; engines share only what one map has"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
