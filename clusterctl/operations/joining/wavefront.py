"""The wavefront: each plugin acts on each node as early as its dependencies allow. Slow nodes delay no others.

Plugin k acts on a worker once plugin k has acted on the master and plugin k-1 has acted on that worker. A plugin that
needs nothing from the master does not wait for it. The first act on a node is `ssh`: the wait until it answers.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.model import MASTER
from clusterctl.operations.timing import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

SSH = "ssh"
MAX_THREADS = 32
RETRY_S = 0.25
"""The usual pause after a refused login."""

Act = tuple[str, str]
"""A node's alias and a plugin's name."""

_END, _PLUGIN, _LOGIN = range(3)
"""Ranks of the queue, lowest first. The end comes first, so that queued acts are dropped; work comes before waits."""


_SILENT = "did not answer"


class NotYetError(ClusterctlError):
    """The act must be tried again later: the node does not answer yet.

    Attributes:
        pause_s: seconds until the next try. The thread is free for other acts meanwhile.
    """

    def __init__(self, message: str, *, remedy: str, pause_s: float = RETRY_S) -> None:
        super().__init__(message, remedy=remedy)
        self.pause_s = pause_s


@dataclass
class JoinOutcome:
    """The result of a wavefront."""

    steps: list[Step] = field(default_factory=list)
    failed: dict[str, ClusterctlError] = field(default_factory=dict)
    """The first error of each node that did not join."""
    joined: list[str] = field(default_factory=list)


class Wavefront:
    """Runs acts in threads, at most `MAX_THREADS` at a time, in the order that their dependencies allow."""

    def __init__(
        self,
        nodes: Sequence[str],
        plugins: Sequence[str],
        *,
        act: Callable[[str, str], int],
        when_reachable: Callable[[str, Callable[[], None]], None] = lambda _, then: then(),
        deadline_s: float,
        timeout_s: float | None = None,
        independent: Collection[str] = (),
        on_end: Callable[[Step], None] = lambda _: None,
        on_joined: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare to run.

        Args:
            nodes: aliases that join; the master is among them or is a member already.
            plugins: names of the plugins, in order.
            act: runs one act on a node and returns the number of remote commands. It raises NotYetError to be
                called again, and any other ClusterctlError when the node has failed.
            when_reachable: called with a node and a callback; it calls the callback once the node is reachable and
                `ssh` is worth a try. This wait takes no thread.
            deadline_s: seconds after which missing nodes are given up.
            timeout_s: START_TIMEOUT as the user gave it, for messages; by default the deadline.
            independent: plugins that act on a worker without waiting for the master.
            on_end: called with each act that ended.
            on_joined: called with each node that finished all acts.
        """
        self._nodes = list(nodes)
        self._chain = [SSH, *plugins]
        self._act = act
        self._when_reachable = when_reachable
        self._deadline = Deadline.after(deadline_s)
        self._timeout_s = timeout_s or deadline_s
        self._independent = {SSH, *independent}
        self._on_end = on_end
        self._on_joined = on_joined
        self._watch = Stopwatch()
        self._done: set[Act] = set()
        self._results: queue.SimpleQueue[tuple[Act, float, int, ClusterctlError | None]] = queue.SimpleQueue()
        self._work: queue.PriorityQueue[tuple[int, int, Act]] = queue.PriorityQueue()
        self._count = itertools.count()
        self._queued = 0
        self._retries: list[tuple[Deadline, Act]] = []
        self._ready: dict[Act, tuple[float, str]] = {}
        self._last_errors: dict[str, str] = {}
        """What went wrong at the last try, by alias."""
        self.outcome = JoinOutcome()

    def run(self) -> JoinOutcome:
        """Run all acts. Return when every node has joined or failed, or at the deadline."""
        threads = min(MAX_THREADS, len(self._nodes))
        for _ in range(threads):
            # Daemon threads: a plugin that hangs must not keep the program alive after its deadline.
            threading.Thread(target=self._run_worker, daemon=True).start()
        for alias in self._nodes:
            self._make_ready((alias, SSH), "")
        try:
            while self._queued or self._retries:
                if not self._handle_next():
                    self._give_up()
                    break
        finally:
            for _ in range(threads):
                self._queue_act(_END, ("", ""))
        return self.outcome

    def _handle_next(self) -> bool:
        """Handle one result, or queue the retries that are due. Return False at the deadline."""
        if self._deadline.is_over:
            return False
        until = min(self._deadline, self._retries[0][0]) if self._retries else self._deadline
        try:
            act, began, commands, error = self._results.get(timeout=until.left_s)
        except queue.Empty:
            self._requeue_due()
            return True
        self._queued -= 1
        if isinstance(error, NotYetError):
            self._last_errors[act[0]] = error.message
            heapq.heappush(self._retries, (Deadline.after(error.pause_s), act))
        else:
            self._end_act(act, began, commands, error)
        return True

    def _requeue_due(self) -> None:
        while self._retries and self._retries[0][0].is_over:
            self._submit_act(heapq.heappop(self._retries)[1])

    def _end_act(self, act: Act, began: float, commands: int, error: ClusterctlError | None) -> None:
        alias, plugin = act
        ready, waited_for = self._ready[act]
        step = Step(
            node=alias,
            plugin=plugin,
            waited_for=waited_for,
            ready_s=ready,
            began_s=began,
            ended_s=self._elapsed_s(),
            commands=commands,
            error=error.message if error else "",
        )
        self.outcome.steps.append(step)
        self._on_end(step)
        if error:
            self._fail_node(alias, error)
            return
        self._done.add(act)
        for follower in self._next_acts(act):
            if self._may_begin(follower):
                self._make_ready(follower, f"{alias}/{plugin}")
        if plugin == self._chain[-1]:
            self.outcome.joined.append(alias)
            self._on_joined(alias)

    def _next_acts(self, act: Act) -> list[Act]:
        alias, plugin = act
        place = self._chain.index(plugin)
        after = [(alias, self._chain[place + 1])] if place + 1 < len(self._chain) else []
        workers = [node for node in self._nodes if node != MASTER] if alias == MASTER else []
        return after + [(worker, plugin) for worker in workers if plugin not in self._independent]

    def _may_begin(self, act: Act) -> bool:
        alias, plugin = act
        if act in self._ready or alias in self.outcome.failed:
            return False
        before = (alias, self._chain[self._chain.index(plugin) - 1])
        alone = alias == MASTER or MASTER not in self._nodes or plugin in self._independent
        return before in self._done and (alone or (MASTER, plugin) in self._done)

    def _make_ready(self, act: Act, waited_for: str) -> None:
        self._ready[act] = (self._elapsed_s(), waited_for)
        self._submit_act(act)

    def _submit_act(self, act: Act) -> None:
        self._queued += 1
        if act[1] == SSH:
            self._when_reachable(act[0], lambda: self._queue_act(_LOGIN, act))
        else:
            self._queue_act(_PLUGIN, act)

    def _queue_act(self, rank: int, act: Act) -> None:
        self._work.put((rank, next(self._count), act))

    def _run_worker(self) -> None:
        while True:
            rank, _, act = self._work.get()
            if rank == _END:
                return
            began, error, commands = self._elapsed_s(), None, 0
            try:
                commands = self._act(*act)
            except ClusterctlError as exc:
                error = exc
            except BaseException as exc:  # noqa: BLE001  any error: this node failed and the others go on
                error = RemoteError(
                    f"{act[0]}: {act[1]}: {type(exc).__name__}: {exc}",
                    remedy="this is a bug: please report it",
                )
            self._results.put((act, began, commands, error))

    def _fail_node(self, alias: str, error: ClusterctlError) -> None:
        self.outcome.failed[alias] = error
        if alias == MASTER:
            # No node can join without a master. Acts that wait for it would wait forever.
            self._retries.clear()
            self._queued = 0
            for other in self._nodes:
                if other not in self.outcome.joined:
                    self.outcome.failed.setdefault(other, error)

    def _give_up(self) -> None:
        for alias in self._nodes:
            if alias in self.outcome.joined or alias in self.outcome.failed:
                continue
            current = next((p for p in self._chain if (alias, p) in self._ready and (alias, p) not in self._done), None)
            if current == SSH:
                what = _SILENT
            elif current:
                what = f"was still busy with plugin {current}"
            else:
                what = "was waiting for the master"
            last = self._last_errors.get(alias) if what == _SILENT else None
            ending = f"; the last try: {last}" if last else ""
            self.outcome.failed[alias] = RemoteError(
                f"{alias} {what} when the {self._timeout_s:.0f} s of START_TIMEOUT were over{ending}",
                remedy="run the same `start` again: it goes on where this one stopped; or raise START_TIMEOUT",
                node=alias,
            )

    def _elapsed_s(self) -> float:
        return self._watch.elapsed_s
