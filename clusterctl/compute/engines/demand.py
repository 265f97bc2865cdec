"""Tells the controller what waits here for engines: hub queues do not show it, and whoever buys nodes must know."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from clusterctl.compute.work import Work

_FIRST_S, _SOON_S, _EVERY_S = 1.0, 2.0, 5.0
"""Before the first word, since most maps are over sooner; between two while nobody knows how long an item takes, and
after that."""
_HOLDS_S = 30.0
"""How long a word holds, if no other one comes: this process may be killed, or its computer be shut."""
_NOTHING = {"items": 0, "item_s": 0.0, "engines": 0, "for_s": 0.0}


class DemandTeller:
    """What was told, and when it is to be told again."""

    def __init__(self, tell: Callable[[dict[str, float]], Future[Any]]) -> None:
        self._tell = tell
        self._due: Deadline | None = None
        """When it is told next; None while nothing waits."""
        self._has_told = False
        self._asked: Future[Any] | None = None
        """The last word; its reply says that the controller has it."""
        self._lock = threading.Lock()
        """Whoever closes a client does so in a thread of his own, and no word may come behind the last one."""
        self._is_closed = False
        self._counted: dict[int, tuple[Work, int]] = {}
        """The maps since the last word, and how many items of each were done then; those that are over too."""
        self._since = Stopwatch()
        self._is_heard = True
        """Whether the controller knows of such things: one of an older version does not."""
        self.grows = False
        """Whether the cluster grows by what waits, as the controller said last."""

    def look(self, works: Sequence[Work]) -> None:
        """Tell what is to be told of what is under way."""
        if not works:
            if self._has_told:
                self._send(_NOTHING)
            self._due, self._has_told, self._counted = None, False, {}
            return
        for work in works:
            self._counted.setdefault(id(work), (work, 0))
        if self._due is None:
            self._due, self._since = Deadline.after(_FIRST_S), Stopwatch()
        elif self._due.is_over and self._is_heard:
            demand = {**measure(works), "rate": self._rate()}
            self._counted = {id(work): (work, work.done) for work in works}
            self._due, self._has_told = Deadline.after(_EVERY_S if demand["item_s"] else _SOON_S), True
            self._send(demand)

    def _rate(self) -> float:
        """Return how many items were done in a second since the last word."""
        passed_s = self._since.elapsed_s
        self._since = Stopwatch()
        return sum(work.done - before for work, before in self._counted.values()) / passed_s if passed_s else 0.0

    def withdraw(self) -> Future[Any] | None:
        """Take back what was told, since the client closes, and tell nothing more.

        Returns:
            the word that the controller may not have yet; None if it has heard of nothing.
        """
        if self._has_told:
            self._send(_NOTHING, is_last=True)
        self._is_closed = True
        return self._asked

    def _send(self, demand: dict[str, float], *, is_last: bool = False) -> None:
        with self._lock, suppress(Exception):  # the client is closed, or closes: the word lapses
            if not self._is_closed:
                self._is_closed = is_last
                self._asked = self._tell(demand)
                self._asked.add_done_callback(self._hear)

    def _hear(self, asked: Future[Any]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            said = asked.result()["content"]
            self._is_heard = said.get("status") == "ok"
            self.grows = said.get("grows") is True


def measure(works: Sequence[Work]) -> dict[str, float]:
    """Return what waits: items that are not done, the seconds that one takes, and the engines that they are for."""
    known = [(work.left, work.seconds_an_item) for work in works if work.left and work.seconds_an_item is not None]
    count = sum(left for left, _ in known)
    return {
        "items": sum(work.left for work in works),
        "item_s": sum(left * seconds for left, seconds in known) / count if count else 0.0,
        "engines": sum(min(work.left, work.engines or work.left) for work in works),
        "for_s": _HOLDS_S,
    }
