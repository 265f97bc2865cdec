"""joblib's work on engines: a backend of joblib's protocol, from joblib 1.4 on."""

from __future__ import annotations

import weakref
from functools import cache, partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from clusterctl.compute.calls.choices import Options
from clusterctl.compute.channel import InEngine, make_swapper
from clusterctl.compute.faces.executor import PoolFuture
from clusterctl.compute.faces.nested import is_in_task
from clusterctl.compute.learning.fitting import Searches
from clusterctl.compute.pool import Pool
from clusterctl.errors import StateError, UsageError
from clusterctl.on_node.in_engine.loading import when_loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from ipyparallel import Client

NAME = "clusterctl"
_MODES = {"r": "r", "c": "c", "r+": "c", "w+": "c", None: None}
"""How tasks map arrays, by joblib's word for it. No task writes into what others have."""
_OF_JOBLIB = {"temp_folder", "prefer", "require", "verbose", "context", "idle_worker_timeout"}
"""What joblib tells every backend, or one of its own, and what makes no difference on engines."""
_RUN = methodcaller("__call__")
_LIMIT_THREADS = InEngine("limit_threads")
_newest: list[weakref.ref[Client]] = []
"""The client that was connected last."""


class ClusterBackend:
    """What joblib asks of a backend. See `joblib.parallel.ParallelBackendBase`."""

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    uses_threads = supports_sharedmem = False
    MIN_IDEAL_BATCH_DURATION, MAX_IDEAL_BATCH_DURATION = 0.05, 0.5
    parallel: Any
    reset_batch_stats: Callable[[], object]
    nesting_level: int | None
    inner_max_num_threads: int | None

    def __init__(
        self,
        *,
        client: Client | None = None,
        connect: Callable[[], Client] | None = None,
        share_fits: bool = True,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        **about: Any,
    ) -> None:
        """Nothing is asked of the cluster yet.

        Args:
            client: whose engines work; None: those of the client that was connected last.
            connect: connects a client where there is none.
            share_fits: whether the pipelines of a search fit only once what they have in common.
            initializer: what an engine does before its first task.
            initargs: its arguments.
            about: joblib's own.

        Raises:
            TypeError: there is no such option.
        """
        _refuse_unknown(about, {"nesting_level", "inner_max_num_threads"})
        super().__init__(**about)
        self._initializer, self._initargs = initializer, initargs
        self._given, self._connect = client, connect
        self._pool: Pool | None = None
        self._least: float | None = None
        self._mode: str | None = "r"
        self._shares_fits = share_fits
        self._swapper = make_swapper(None)
        self._searches = Searches(self._swapper, shares_fits=share_fits)

    @property
    def _client(self) -> Client:
        if self._given is None:
            self._given = find_newest() or (self._connect() if self._connect else None)
        if self._given is None:
            raise StateError("no client is connected", remedy="connect one first: client = clusterctl.connect()")
        return self._given

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many engines would work."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if is_in_task():
            return 1
        count = max(1, len(self._client.ids))
        if n_jobs is None:
            return count
        return min(n_jobs, count) if n_jobs > 0 else max(1, count + 1 + n_jobs)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        max_nbytes: float | None = 1_000_000,
        mmap_mode: str | None = "r",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[object, ...] = (),
        **others: Any,
    ) -> int:
        """Get ready for a `Parallel`, and return how many engines will work for it.

        Raises:
            TypeError: there is no such option.
        """
        _refuse_unknown(others, _OF_JOBLIB)
        if is_in_task():
            from joblib.parallel import FallbackToBackend, SequentialBackend

            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if mmap_mode not in _MODES:
            raise UsageError(f"mmap_mode is r, c or None, not {mmap_mode!r}", remedy="mmap_mode='c'")
        count = self.effective_n_jobs(n_jobs)
        self.parallel, self._least, self._mode = parallel, max_nbytes, _MODES[mmap_mode]
        self._configured = {
            "n_jobs": n_jobs,
            "parallel": parallel,
            "max_nbytes": max_nbytes,
            "mmap_mode": mmap_mode,
            "initializer": initializer,
            "initargs": initargs,
        }
        if initializer is None:
            initializer, initargs = self._initializer, self._initargs
        # All engines are also those that are yet to come.
        options = Options(None if n_jobs == -1 else count, initializer, tuple(initargs))
        self._pool = Pool(options, client=self._client, swap=lambda _: self._swapper)
        self.start_call()
        return count

    def start_call(self) -> None:
        """Know nothing of arrays: they may have changed since the last call."""
        self._swapper = make_swapper(self._least, mode=self._mode, kind="memmap")
        self._searches = Searches(self._swapper, shares_fits=self._shares_fits)

    def stop_call(self) -> None:
        """Keep no array."""
        self._swapper.forget()
        self._searches.forget()

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> PoolFuture:
        """Begin a batch of calls."""
        future = PoolFuture()
        if callback is not None:
            future.add_done_callback(callback)
        if self._pool is None:
            raise RuntimeError("the backend was not configured")
        func.items = [self._searches.rewrite(task) for task in func.items]
        act: Callable[..., Any] = _RUN
        arguments: tuple[Any, ...] = (func,)
        if self.inner_max_num_threads is not None:
            act, arguments = _LIMIT_THREADS, (func, self.inner_max_num_threads)
        future.follow(self._pool.apply_async(act, arguments, None, future.take_value, future.take_error))
        return future

    apply_async = submit  # as joblib 1.4 calls it

    def retrieve_result_callback(self, out: PoolFuture) -> Any:
        """Return the values of a batch that has ended."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: FBT001, FBT002  as joblib has it
        """End all that is under way."""
        self.terminate()
        if ensure_ready:
            self.configure(**self._configured)

    def terminate(self) -> None:
        """End what is under way: nothing more will come. How long tasks took says nothing of those of the next call."""
        self.reset_batch_stats()
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    def get_nested_backend(self) -> tuple[Any, None]:
        """Return what calls in a task run on: that task's own engine."""
        from joblib.parallel import SequentialBackend

        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def _refuse_unknown(given: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise TypeError(f"the backend {NAME} has no option {', '.join(unknown)}; it has initializer and initargs")


@cache
def backend_class() -> Any:
    """Return the backend as joblib takes it. This loads joblib.

    Raises:
        UsageError: it is not installed here.
    """
    try:
        from joblib.parallel import AutoBatchingMixin, ParallelBackendBase
    except ModuleNotFoundError as exc:
        raise UsageError("joblib is not installed here", remedy="pip install joblib") from exc
    return type("ClusterctlBackend", (ClusterBackend, AutoBatchingMixin, ParallelBackendBase), {})


def register(connect: Callable[[], Client] | None = None) -> None:
    """Have `joblib.parallel_config("clusterctl")` mean this backend.

    Args:
        connect: connects a client where there is none.
    """
    backend = backend_class()
    from joblib.parallel import register_parallel_backend

    register_parallel_backend(NAME, partial(backend, connect=connect))


def begin_context(client: Client, about: Mapping[str, Any], options: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Return a context in which joblib's work goes to this client's engines.

    Args:
        client: whose engines work.
        about: what the backend is told.
        options: those of `joblib.parallel_config`.
    """
    backend = backend_class()
    from joblib import parallel_config

    context: AbstractContextManager[Any] = parallel_config(backend=backend(client=client, **about), **options)
    return context


def note_newest(client: Client) -> None:
    """Note that a client was connected; and make the backend known, once joblib is there."""
    if not _newest:
        when_loaded("joblib.parallel", register)
    _newest[:] = [weakref.ref(client)]


def find_newest() -> Client | None:
    """Return the client that was connected last, if it is open."""
    client = _newest[0]() if _newest else None
    return None if client is None or client._closed else client  # noqa: SLF001  ipyparallel has no other word for it
