"""ipyparallel's client, and what a pool of engines can do besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipyparallel

from clusterctl.compute.executor import PoolExecutor
from clusterctl.compute.pool import Options, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Client(ipyparallel.Client):  # type: ignore[misc]  # it has no types
    """A connected client. All of ``ipyparallel.Client`` is as it is there, but `executor`."""

    def pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
    ) -> Pool:
        """Return the engines as a pool. See `clusterctl.Pool`."""
        return Pool(Options(processes, initializer, tuple(initargs)), client=self)

    def map(self, func: Callable[..., Any], *iterables: Iterable[object], **options: Any) -> list[Any]:
        """Return what `func` gives for each item, in order, as the built-in `map` has its arguments.

        Ctrl-C ends it, on the engines too. See `clusterctl.Pool` for what is promised, and `map_async` for the options.
        """
        pool = self.pool()
        if len(iterables) == 1:
            return pool.map(func, iterables[0], **options)
        return pool.starmap(func, list(zip(*iterables, strict=False)), **options)

    def executor(self, processes: int | None = None) -> PoolExecutor:
        """Return the engines as a `concurrent.futures.Executor`."""
        return PoolExecutor(self.pool(processes))
