"""How many items go to an engine at once. Pure arithmetic: by time, not by number.

An engine works on a chunk for so long as its budget says and gives the rest back. So a cut that is too large costs one
message, and nobody has to know beforehand how long an item takes.
"""

from __future__ import annotations

import math
from collections import deque

FIRST_BUDGET_S = 0.03
"""For an engine's chunk while nobody knows how long an item takes."""
_BUDGET_S = 0.1
_BUDGET_AN_ENGINE_S = 0.001
"""A controller passes on some 1,000 chunks a second, however many engines there are."""
_LEAST_S = 0.01
"""Of work in a chunk: less is not worth a message."""
_WEIGHT = 0.5
"""Of the newest chunk in the mean: items of one part of the input are alike more often than all of them."""
DEPTH = 2
"""The most chunks that an engine has at once: one to work on, and one that it need not wait for."""


class Pace:
    """How long the items of one map take."""

    def __init__(self, engines: int) -> None:
        self.engines = engines
        self.seconds_an_item: float | None = None

    def learn(self, done: int, seconds: float) -> None:
        """Take in what an engine said of a chunk."""
        if done:
            mean = seconds / done
            known = self.seconds_an_item
            self.seconds_an_item = mean if known is None else known + _WEIGHT * (mean - known)

    @property
    def budget_s(self) -> float:
        """Seconds that an engine may work on one chunk."""
        if self.seconds_an_item is None:
            return FIRST_BUDGET_S
        return max(_BUDGET_S, _BUDGET_AN_ENGINE_S * self.engines)

    @property
    def depth(self) -> int:
        """Chunks that an engine may have at once: where items take long, a second one would only wait there."""
        return 1 if self.seconds_an_item is None or self.seconds_an_item > self.budget_s else DEPTH

    def size(self, left: int) -> int:
        """Return how many of the items that are left go out next."""
        if self.seconds_an_item is None:
            return max(1, math.ceil(left / self.engines))
        fair = math.ceil(left / (DEPTH * self.engines))
        most, least = (int(seconds / max(self.seconds_an_item, 1e-9)) for seconds in (self.budget_s, _LEAST_S))
        return max(1, min(max(fair, least), most))


class Pending:
    """The places of a map's items that nobody works on, in order."""

    def __init__(self, count: int = 0) -> None:
        self._ranges: deque[range] = deque([range(count)] if count else [])
        self._count = count
        self._alone: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def add(self, places: range) -> None:
        """Put new places at the end."""
        if not places:
            return
        self._count += len(places)
        if self._ranges and self._ranges[-1].stop == places.start:
            places = range(self._ranges.pop().start, places.stop)
        self._ranges.append(places)

    def give_back(self, places: range, *, alone: bool = False) -> None:
        """Put places in front again. What goes out alone has ended an engine: one of them did."""
        if places:
            self._ranges.appendleft(places)
            self._count += len(places)
            if alone:
                self._alone.update(places)

    def take(self, size: int) -> range:
        """Return the next places, at most so many; empty where none is left."""
        if not self._ranges:
            return range(0)
        first = self._ranges.popleft()
        if first[0] in self._alone:
            size = 1
            self._alone.discard(first[0])
        for index, place in enumerate(first[1:size], start=1):
            if place in self._alone:
                size = index
                break
        taken, rest = first[:size], first[size:]
        if rest:
            self._ranges.appendleft(rest)
        self._count -= len(taken)
        return taken

    def clear(self) -> None:
        """Forget all."""
        self._ranges.clear()
        self._count = 0
