"""ipyparallel's client, and what a pool of engines can do besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipyparallel

from clusterctl.compute.calls.choices import Options
from clusterctl.compute.calls.memory import Memory
from clusterctl.compute.faces.executor import PoolExecutor
from clusterctl.compute.faces.nested import ClientInTask, InlinePool, is_in_task, map_over
from clusterctl.compute.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clusterctl.compute.faces.methods import PoolMethods


class Client(ipyparallel.Client):  # type: ignore[misc]  # it has no types
    """A connected client. All of ``ipyparallel.Client`` is as it is there, but `executor`."""

    def pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
    ) -> PoolMethods:
        """Return the engines as a pool. See `clusterctl.Pool`."""
        options = Options(processes, initializer, tuple(initargs))
        return InlinePool(options) if is_in_task() else Pool(options, client=self)

    def map(self, func: Callable[..., Any], *iterables: Iterable[object], **options: Any) -> list[Any]:
        """Return what `func` gives for each item, in order, as the built-in `map` has its arguments.

        Ctrl-C ends it, on the engines too. See `clusterctl.Pool` for what is promised, and `map_async` for the options.
        """
        return map_over(self.pool(), func, iterables, options)

    def executor(self, processes: int | None = None) -> PoolExecutor:
        """Return the engines as a `concurrent.futures.Executor`."""
        return PoolExecutor(self.pool(processes))

    @property
    def memory(self) -> Memory:
        """Remembers the values of functions on the nodes: ``@client.memory.cache``."""
        return Memory(lambda function, args, kwargs: self.pool().apply(function, args, kwargs))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a task as a client that works there."""
        return ClientInTask, ()
