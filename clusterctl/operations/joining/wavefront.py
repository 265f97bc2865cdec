"""Nodes join: each plugin on each node as early as it may, and nothing waits for a straggler.

Plugin k acts on a worker once it has acted on the master and plugin k-1 has acted on that worker; one that needs
nothing of the master's does not wait for it. The first act on a node is `ssh`, the wait until it answers.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.model import MASTER, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

SSH = "ssh"
MAX_THREADS = 32
RETRY_S = 0.25
"""How long after a refused login the next one is usually tried."""

Act = tuple[str, str]
"""A node's alias and a plugin's name."""

_END, _PLUGIN, _LOGIN = range(3)
"""What a free thread takes first: the end, so that what is still queued then is dropped; work before a wait."""


class NotYetError(ClusterctlError):
    """The act could not be done yet and wants to be tried again: the node does not answer.

    Attributes:
        pause_s: how long after; the thread is free for others meanwhile.
    """

    def __init__(self, message: str, *, remedy: str, pause_s: float = RETRY_S) -> None:
        super().__init__(message, remedy=remedy)
        self.pause_s = pause_s


@dataclass
class Outcome:
    """How the wavefront ended."""

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
        knock: Callable[[str, Callable[[], None]], None] = lambda _, then: then(),
        deadline_s: float,
        independent: Collection[str] = (),
        on_end: Callable[[Step], None] = lambda _: None,
        on_joined: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare to run.

        Args:
            nodes: aliases that join; the master is among them or is a member already.
            plugins: names, in order.
            act: does one act on a node and returns how many remote commands it cost. Raises NotYetError to be
                called again, any other ClusterctlError when the node has failed.
            knock: given a node and what to call once there is something to be gained by trying its `ssh`. It is
                waited for without a thread.
            deadline_s: seconds after which what is missing is given up.
            independent: plugins that act on a worker whether they have acted on the master or not.
            on_end: called with each act that ended.
            on_joined: called with each node that went through all acts.
        """
        self._nodes = list(nodes)
        self._chain = [SSH, *plugins]
        self._act = act
        self._knock = knock
        self._deadline_s = deadline_s
        self._independent = {SSH, *independent}
        self._on_end = on_end
        self._on_joined = on_joined
        self._began = time.monotonic()
        self._done: set[Act] = set()
        self._results: queue.SimpleQueue[tuple[Act, float, int, ClusterctlError | None]] = queue.SimpleQueue()
        self._work: queue.PriorityQueue[tuple[int, int, Act]] = queue.PriorityQueue()
        self._count = itertools.count()
        self._queued = 0
        self._retries: list[tuple[float, Act]] = []
        self._ready: dict[Act, tuple[float, str]] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Go through all acts; returns when every node has joined or failed, or at the deadline."""
        threads = min(MAX_THREADS, len(self._nodes))
        for _ in range(threads):
            # Daemons: a plugin that hangs must not keep the program from ending at its deadline.
            threading.Thread(target=self._worker, daemon=True).start()
        for alias in self._nodes:
            self._make_ready((alias, SSH), "")
        try:
            while self._queued or self._retries:
                if not self._step():
                    self._give_up()
                    break
        finally:
            for _ in range(threads):
                self._put(_END, ("", ""))
        return self.outcome

    def _step(self) -> bool:
        """Handle one result, or put a retry back to work; False at the deadline."""
        left = self._deadline_s - self._now()
        if left <= 0:
            return False
        if self._retries:
            left = min(left, max(0.0, self._retries[0][0] - self._now()))
        try:
            act, began, commands, error = self._results.get(timeout=left)
        except queue.Empty:
            self._requeue_due()
            return True
        self._queued -= 1
        if isinstance(error, NotYetError):
            heapq.heappush(self._retries, (self._now() + error.pause_s, act))
        else:
            self._end(act, began, commands, error)
        return True

    def _requeue_due(self) -> None:
        while self._retries and self._retries[0][0] <= self._now():
            self._submit(heapq.heappop(self._retries)[1])

    def _end(self, act: Act, began: float, commands: int, error: ClusterctlError | None) -> None:
        alias, plugin = act
        ready, waited_for = self._ready[act]
        step = Step(
            node=alias,
            plugin=plugin,
            waited_for=waited_for,
            ready_s=ready,
            began_s=began,
            ended_s=self._now(),
            commands=commands,
            error=error.message if error else "",
        )
        self.outcome.steps.append(step)
        self._on_end(step)
        if error:
            self._fail(alias, error)
            return
        self._done.add(act)
        for follower in self._followers(act):
            if self._may_begin(follower):
                self._make_ready(follower, f"{alias}/{plugin}")
        if plugin == self._chain[-1]:
            self.outcome.joined.append(alias)
            self._on_joined(alias)

    def _followers(self, act: Act) -> list[Act]:
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
        self._ready[act] = (self._now(), waited_for)
        self._submit(act)

    def _submit(self, act: Act) -> None:
        self._queued += 1
        if act[1] == SSH:
            self._knock(act[0], lambda: self._put(_LOGIN, act))
        else:
            self._put(_PLUGIN, act)

    def _put(self, rank: int, act: Act) -> None:
        self._work.put((rank, next(self._count), act))

    def _worker(self) -> None:
        while True:
            rank, _, act = self._work.get()
            if rank == _END:
                return
            began, error, commands = self._now(), None, 0
            try:
                commands = self._act(*act)
            except ClusterctlError as exc:
                error = exc
            except BaseException as exc:  # noqa: BLE001  whatever it is, this node failed and the others go on
                error = RemoteError(
                    f"{act[0]}: {act[1]}: {type(exc).__name__}: {exc}",
                    remedy="this is a bug: please report it",
                )
            self._results.put((act, began, commands, error))

    def _fail(self, alias: str, error: ClusterctlError) -> None:
        self.outcome.failed[alias] = error
        if alias == MASTER:
            # Nothing can join what is not there; those that wait for it would wait for ever.
            self._retries.clear()
            self._queued = 0
            for other in self._nodes:
                if other not in self.outcome.joined:
                    self.outcome.failed.setdefault(other, error)

    def _give_up(self) -> None:
        for alias in self._nodes:
            if alias in self.outcome.joined or alias in self.outcome.failed:
                continue
            at = next((p for p in self._chain if (alias, p) in self._ready and (alias, p) not in self._done), None)
            if at == SSH:
                what = "did not answer"
            elif at:
                what = f"was still busy with plugin {at}"
            else:
                what = "was waiting for the master"
            self.outcome.failed[alias] = RemoteError(
                f"{alias} {what} when the {self._deadline_s:.0f} s of START_TIMEOUT were over",
                remedy="run the same `start` again: it goes on where this one stopped; or raise START_TIMEOUT",
                node=alias,
            )

    def _now(self) -> float:
        return time.monotonic() - self._began
