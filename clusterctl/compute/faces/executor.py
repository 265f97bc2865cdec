"""concurrent.futures' Executor, on the engines of a cluster."""

from __future__ import annotations

from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any

from clusterctl.compute.faces.methods import PoolClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from clusterctl.compute.faces.methods import PoolMethods
    from clusterctl.compute.results import AsyncResult


class PoolFuture(Future[Any]):
    """A future whose `cancel` interrupts the engine, too."""

    def __init__(self) -> None:
        super().__init__()
        self._call: AsyncResult | None = None

    def follow(self, call: AsyncResult) -> None:
        """Take the outcome of this call."""
        self._call = call

    def cancel(self) -> bool:
        """End the call, if it has no result yet. Return whether it was ended."""
        cancelled = super().cancel()
        if cancelled and self._call is not None:
            self._call.cancel()
        return cancelled

    def take_value(self, value: object) -> None:
        """Be done."""
        if self.set_running_or_notify_cancel():
            self.set_result(value)

    def take_error(self, error: BaseException) -> None:
        """Be done, with an error."""
        if self.cancelled():
            return
        if isinstance(error, CancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
        elif self.set_running_or_notify_cancel():
            self.set_exception(error)


class PoolExecutor(Executor):
    """An executor that asyncio, Optuna and others can use. `submit` may be called from any thread."""

    def __init__(self, pool: PoolMethods) -> None:
        self._pool = pool

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> PoolFuture:
        """Begin `fn(*args, **kwargs)` on an engine.

        Raises:
            RuntimeError: the executor was shut down.
        """
        future = PoolFuture()
        try:
            future.follow(self._pool.apply_async(fn, args, kwargs, future.take_value, future.take_error))
        except PoolClosedError as exc:
            raise RuntimeError("cannot schedule new futures after shutdown") from exc
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[object],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Return an iterator over the results, in order. Chunks are cut by time: `chunksize` has no effect.

        Raises:
            TimeoutError: a result is not there `timeout` seconds after the call.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        results = self._pool.istarmap(fn, zip(*iterables, strict=False), buffersize=buffersize)
        return results.until(timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  as there
        """Take nothing new, and wait for what is under way, or cancel it."""
        if cancel_futures:
            self._pool.terminate()
        else:
            self._pool.close()
        if wait:
            self._pool.join()
