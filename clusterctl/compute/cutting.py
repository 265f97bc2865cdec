"""How many items go to an engine at once. Pure arithmetic: by time, not by number.

An engine works on a chunk for so long as its budget says and gives the rest back. So a cut that is too large costs one
message, and nobody has to know beforehand how long an item takes.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

FIRST_BUDGET_S = 0.02
"""For an engine's chunk while nobody knows how long an item takes."""
_BUDGET_S = 0.1
_BUDGET_AN_ENGINE_S = 0.001
"""A controller passes on some 1,000 chunks a second, however many engines there are."""
_LEAST_S = 0.02
"""Of work in a chunk: less is not worth a message."""
_WEIGHT = 0.5
"""Of the newest chunk in the mean."""
_CHUNKS_LEFT = 1.5
"""For each engine, of what nobody has: the rest goes where it is needed."""
_LOOKED_AT = 16
"""Ranges of items that nobody has, when it is estimated how long they take."""
_REMEMBERED = 64
"""Chunks whose places are remembered: items beside each other are alike more often than all of them."""
SLACK = 1.5
"""So many times its time may a chunk take before the rest goes back: a few items that go back cost a message more."""
DEPTH = 2
"""The chunks that an engine has at once: one to work on, and one that it need not wait for."""
MOST_DEPTH = 8
"""Where `chunksize` keeps chunks short and the way is long, it takes more to cover the way."""
_COVER = 1.5
"""So many times the way there and back is the work that an engine has, at least: no way takes the same time always."""
_LONG = 50
"""An item that takes so many times its way is worth the wait for it."""
_NEWEST = 16
_MOST_ROUND_TRIP_S = 1.0
"""What is measured as longer was no way: something else kept the engine or this computer."""


class RoundTrip:
    """How long it takes to an engine and back, as one client sees it."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=_NEWEST)

    def learn(self, seconds: float) -> None:
        """Take in how long the answer took of an engine that had nothing else to do, without its work."""
        self._newest.append(min(max(0.0, seconds), _MOST_ROUND_TRIP_S))

    @property
    def seconds(self) -> float:
        """The shortest of the newest ones: the others waited for something. 0 while there is none."""
        return min(self._newest, default=0.0)


class Pace:
    """How long the items of one map take."""

    def __init__(self, engines: int, round_trip: RoundTrip | None = None, *, most: int | None = None) -> None:
        """Begin with nothing known.

        Args:
            engines: how many there are.
            round_trip: of the client.
            most: at most so many items go out at once.
        """
        self.engines = engines
        self.seconds_an_item: float | None = None
        self._round_trip, self._most = round_trip or RoundTrip(), most
        self._chunks: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        """The last place that was done, and the mean of its chunk."""

    def learn(self, done: int, seconds: float, place: int = 0) -> None:
        """Take in what an engine said of a chunk: how many items took so long, from this place on."""
        if done:
            mean = seconds / done
            known = self.seconds_an_item
            self.seconds_an_item = mean if known is None else known + _WEIGHT * (mean - known)
            self._chunks.appendleft((place + done - 1, mean))

    def _seconds_an_item_at(self, place: int) -> float:
        """Return what an item took that was as near as can be."""
        _, mean = min(self._chunks, key=lambda chunk: abs(chunk[0] - place))
        return max(mean, 1e-9)

    def budget_s(self, pending: Pending | None = None) -> float:
        """Seconds that an engine may work on one chunk: less of them where little is left, so that all end together.

        Args:
            pending: the items that nobody has; None while more may come.
        """
        way_s = _COVER * self._round_trip.seconds
        if self.seconds_an_item is None:
            return max(FIRST_BUDGET_S, way_s)
        least = max(_LEAST_S, _BUDGET_AN_ENGINE_S * self.engines)
        most = max(_BUDGET_S, way_s, least)
        if pending is None:
            return most
        # What is less than the way for each engine is shared out: no answer comes early enough to cut it any better.
        share_s = self._estimate_s(pending) / self.engines
        return min(max(share_s / _CHUNKS_LEFT, min(share_s, way_s), least), most)

    def _estimate_s(self, pending: Pending) -> float:
        """Return how long the items that nobody has would take one engine."""
        looked_at = pending.next_ranges(_LOOKED_AT)
        count = sum(map(len, looked_at))
        seconds = sum(
            len(places) * sum(self._seconds_an_item_at(places[part * (len(places) - 1) // 2]) for part in range(3)) / 3
            for places in looked_at
        )
        return seconds * len(pending) / max(1, count)

    @property
    def depth(self) -> int:
        """Chunks that an engine may have at once. Where items take long, a second one would only wait there."""
        if self.seconds_an_item is None:
            return 1
        item_s, way_s = self.seconds_an_item, self._round_trip.seconds
        if item_s > max(self.budget_s(), _LONG * way_s):
            return 1
        chunk_s = max(item_s, min(self.budget_s(), item_s * self._most if self._most else math.inf))
        return min(MOST_DEPTH, max(DEPTH, 1 + math.ceil(_COVER * way_s / max(chunk_s, 1e-9))))

    def size(self, pending: Pending, room: int, budget_s: float) -> int:
        """Return how many items go out next.

        Args:
            pending: the items that nobody has.
            room: the chunks that engines would take now.
            budget_s: of the chunk.
        """
        share = math.ceil(len(pending) / max(1, room))
        if self.seconds_an_item is not None and pending:
            (places,) = pending.next_ranges(1)
            item_s = self._seconds_an_item_at(places[0])
            most, least = (int(seconds / item_s) for seconds in (budget_s, _LEAST_S))
            share = min(max(share, least), most)
        return max(1, min(share, self._most) if self._most else share)


class Pending:
    """The places of a map's items that nobody works on, in order."""

    def __init__(self, count: int = 0) -> None:
        self._ranges: deque[range] = deque([range(count)] if count else [])
        self._count = count
        self._alone: set[int] = set()

    def __len__(self) -> int:
        return self._count

    def next_ranges(self, most: int) -> list[range]:
        """Return the first of the ranges that they lie in."""
        return list(islice(self._ranges, most))

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
            self._count += len(places)
            if alone:
                self._alone.update(places)
            if self._ranges and places.stop == self._ranges[0].start:
                places = range(places.start, self._ranges.popleft().stop)
            self._ranges.appendleft(places)

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
