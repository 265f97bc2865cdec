"""ipyparallel's client, and what a pool of engines can do besides."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import ipyparallel

from clusterctl.compute.calls.choices import Options
from clusterctl.compute.calls.memory import Memory
from clusterctl.compute.faces.executor import PoolExecutor
from clusterctl.compute.faces.nested import ClientInTask, InlinePool, is_in_task, map_over
from clusterctl.compute.learning.backend import begin_context, note_newest
from clusterctl.compute.learning.beside import Beside
from clusterctl.compute.pool import Pool
from clusterctl.compute.together.meeting import GroupOptions, run_together
from clusterctl.compute.together.program import InEngine
from clusterctl.compute.watch import Lines
from clusterctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from clusterctl.compute.faces.methods import PoolMethods


class Detached(Protocol):
    """A map that goes on without who began it."""

    def get(self, timeout: float | None = None) -> list[Any]:
        """Return the values, in order."""

    def cancel(self) -> None:
        """End it."""


class DetachedMaps(Protocol):
    """Who keeps the detached maps of a cluster."""

    def begin(
        self,
        function: Callable[..., Any],
        iterables: Sequence[Iterable[object]],
        name: str | None,
        given: Mapping[str, Any],
    ) -> Detached:
        """Begin a map, or find the one of this name again."""

    def find(self, name: str) -> Detached:
        """Return the map of this name."""


class _Results(defaultdict[str, Any]):
    """ipyparallel's results by message, which can be called for those of a detached map."""

    def __init__(self, client: Client) -> None:
        super().__init__(dict)
        self._client = client

    def __call__(self, name: str) -> Detached:
        """Return the detached map of this name or id. See `clusterctl.results`."""
        return self._client.detached.find(name)


class Client(Beside, ipyparallel.Client):  # type: ignore[misc]  # it has no types
    """A connected client. All of ``ipyparallel.Client`` is as it is there, but `executor`."""

    _open_maps: Callable[[], DetachedMaps] | None = None

    def __init__(self, *args: Any, **about: Any) -> None:
        lines = Lines()
        self.observe(lines.watch, ["_iopub_socket", "_notification_socket"])
        super().__init__(*args, **about)
        lines.wait()
        self.results = _Results(self)
        note_newest(self)

    @cached_property
    def detached(self) -> DetachedMaps:
        """Who keeps the detached maps of this client's cluster.

        Raises:
            StateError: nobody does.
        """
        if self._open_maps is None:
            raise StateError(
                "no master keeps detached maps of this client",
                remedy="connect by the name of a cluster, on your own computer or on its master",
            )
        return self._open_maps()

    def keep_detached(self, open_maps: Callable[[], DetachedMaps] | None) -> None:
        """Have detached maps kept by whom this returns. It is called at the first of them."""
        self._open_maps = open_maps

    def pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
    ) -> PoolMethods:
        """Return the engines as a pool. See `clusterctl.Pool`."""
        options = Options(processes, initializer, tuple(initargs))
        return InlinePool(options) if is_in_task() else Pool(options, client=self)

    def map(
        self,
        func: Callable[..., Any],
        *iterables: Iterable[object],
        detach: bool = False,
        name: str | None = None,
        **options: Any,
    ) -> Any:
        """Return what `func` gives for each item, in order, as the built-in `map` has its arguments.

        Ctrl-C ends it, on the engines too. See `clusterctl.Pool` for what is promised, and `map_async` for the options.

        Args:
            func: what is called for each item.
            iterables: the items.
            detach: return at once a `DetachedMap`, which runs on from the master when this Python, this computer and
                the tunnel are gone.
            name: what is done is kept on the master under this name: the same map goes on where it was cut off.
            options: those of `map_async`.
        """
        if detach or name is not None:
            begun = self.detached.begin(func, iterables, name, options)
            return begun if detach else _wait(begun)
        return map_over(self.pool(), func, iterables, options)

    def executor(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
    ) -> PoolExecutor:
        """Return the engines as a `concurrent.futures.Executor`, with the arguments of a process pool's."""
        return PoolExecutor(self.pool(processes, initializer, initargs))

    def together(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        engines: Sequence[int] | None = None,
        wait_s: float = 30.0,
        timeout_s: float | None = None,
        silence_s: float = 10.0,
        **kwargs: Any,
    ) -> list[Any]:
        """Return what `function(group, *args, **kwargs)` gives on each engine, called on all at once.

        `group` has `rank`, `size`, `allreduce`, `reduce`, `broadcast`, `gather` and `barrier`, by lines between the
        engines. When a member is lost or raises, all others get an error that names it. Ctrl-C ends it everywhere.

        Args:
            function: what all engines call.
            args: its arguments behind the group.
            engines: the ids of those that take part, by their ranks; all by default.
            wait_s: the longest wait for engines that are at other work.
            timeout_s: for all of it.
            silence_s: a member whose process or machine says nothing for so long counts as lost.
            kwargs: its arguments by name.

        Raises:
            MemberLostError: a member is lost.
            EnginesBusyError: not all engines were free in time.
            TimeoutError: it took longer than `timeout_s`.
        """
        options = GroupOptions(engines, wait_s, timeout_s, silence_s)
        return run_together(self, function, args, kwargs, options)

    def allreduce(
        self,
        what: str | Callable[[], Any],
        op: str | Callable[[Any, Any], Any] = "sum",
        *,
        fetch: bool = True,
        **options: Any,
    ) -> Any:
        """Return what becomes of a value of each engine, by a tree of lines between the engines.

        Args:
            what: the name of a variable in the engines' sessions, where all have the result afterwards; or a function
                whose value is taken.
            op: ``sum``, ``mean``, ``min``, ``max``, ``prod``, or a function of two values.
            fetch: bring the value of a variable here, too; without it, return None.
            options: those of `together`.

        Raises:
            MemberLostError: a member is lost, or its value has another shape.
        """
        if isinstance(what, str):
            return self.together(InEngine("reduce_variable"), what, op, fetch=fetch, **options)[0]
        return self.together(InEngine("reduce_result"), what, op, **options)[0]

    def average_loop(
        self,
        model: Any,
        parts: Sequence[Any],
        epochs: int,
        *,
        classes: Sequence[Any] | None = None,
        weights: str = "samples",
        average: Sequence[str] | None = None,
        engines: Sequence[int] | None = None,
        **options: Any,
    ) -> Any:
        """Return a model that was fitted to parts of the data side by side, its numbers averaged after each epoch.

        Args:
            model: any estimator with ``partial_fit``. It is copied, and stays as it is.
            parts: pairs ``(X, y)``, or functions that return such, on the engine. Each stays on one engine.
            epochs: so often each part is fitted.
            classes: of a classifier; by default those that any part has.
            weights: ``samples`` weighs each engine's numbers by its samples; ``equal`` does not.
            average: the attributes that are averaged; by default ``coef_``, ``intercept_``, ``coefs_``,
                ``intercepts_``, where the model has them.
            engines: the ids of those that take part; by default all, at most one for each part.
            options: those of `together`.
        """
        if weights not in {"samples", "equal"} or epochs < 0 or not parts:
            raise ValueError("weights are 'samples' or 'equal', epochs 0+, and at least one part is needed")
        chosen = (sorted(self.ids) if engines is None else list(engines))[: len(parts)]
        own = [(list(parts[rank :: len(chosen)]),) for rank in range(len(chosen))]
        arguments = model, epochs, classes, weights, average
        group = GroupOptions(chosen or None, **options)
        return run_together(self, InEngine("average_loop"), arguments, {}, group, own=own)[0]

    @property
    def memory(self) -> Memory:
        """Remembers the values of functions on the nodes: ``@client.memory.cache``."""
        return Memory(lambda function, args, kwargs: self.pool().apply(function, args, kwargs))

    def joblib(
        self,
        n_jobs: int | None = None,
        *,
        max_nbytes: float | str | None = "1M",
        mmap_mode: str | None = "r",
        share_fits: bool = True,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[object] = (),
        **options: Any,
    ) -> AbstractContextManager[Any]:
        """Return a context in which joblib's work, and scikit-learn's, goes to the engines.

        Args:
            n_jobs: so many engines, where a call does not say it; None: all, also those that are yet to come.
            max_nbytes: an array of so many bytes goes to a file on the nodes, once, and is mapped there.
            mmap_mode: how; ``c`` for one that tasks may change for themselves.
            share_fits: whether the pipelines of a search fit only once what they have in common.
            initializer: what an engine does before its first task.
            initargs: its arguments.
            options: more of `joblib.parallel_config`.

        Raises:
            UsageError: joblib is not installed here.
        """
        if n_jobs is not None:
            options["n_jobs"] = n_jobs
        about = {"share_fits": share_fits, "initializer": initializer, "initargs": tuple(initargs)}
        return begin_context(self, about, {"max_nbytes": max_nbytes, "mmap_mode": mmap_mode, **options})

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a task as a client that works there."""
        return ClientInTask, ()


def _wait(begun: Detached) -> list[Any]:
    """Return the values. Whoever is interrupted while he waits wants the work to end; what is done stays."""
    try:
        return begun.get()
    except KeyboardInterrupt:
        begun.cancel()
        raise
