"""One map: its function, its items, what is left to do, and who takes what comes out."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clusterctl.compute.cutting import SLACK, Pace, Pending, RoundTrip
from clusterctl.compute.failures import CrashError
from clusterctl.compute.payload import digest, pickle_for_engines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MESSAGE_BYTES = 4 * 2**20
"""The most that the items of one chunk should have, where they can be cut smaller."""
PLAIN, STAR, APPLY = 0, 1, 2
"""How an item becomes arguments: as it is, as arguments, as a pair of arguments and named ones."""


class Sink(Protocol):
    """Who takes what comes out, in the dispatcher's thread."""

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """Take the value of an item, or its error."""

    def end(self) -> None:
        """Take that all has come."""

    def fail(self, error: BaseException) -> None:
        """Take that nothing more will come, and why."""


@dataclass
class Report:
    """What a map cost."""

    chunks: int = 0
    """Messages that brought results."""
    rerun_items: set[int] = field(default_factory=set)
    """The numbers of the items that went out again since the engine that had them ended: they may have run twice."""
    resent: int = 0
    """Chunks that went out again because their answers were lost: no item of these ran twice."""
    lost_engines: set[str] = field(default_factory=set)
    """The engines that ended with items of this map, by uuid."""
    bytes_sent: int = 0


@dataclass(frozen=True)
class Initializer:
    """What an engine does once before the first chunk of a pool."""

    name: str = ""
    pickled: bytes = b""


class Items:
    """The items of a map, by place. Those that are done may be forgotten."""

    def __init__(self, items: Sequence[object] = ()) -> None:
        self._items: dict[int, object] | Sequence[object] = items if items else {}

    def add(self, place: int, item: object) -> None:
        """Put an item to a place."""
        if isinstance(self._items, dict):
            self._items[place] = item

    def at(self, places: range) -> list[object]:
        """Return the items of these places."""
        return [self._items[place] for place in places]

    def forget(self, place: int) -> None:
        """Forget one that is done."""
        if isinstance(self._items, dict):
            self._items.pop(place, None)


class Work:
    """A map that is under way."""

    def __init__(
        self,
        function: Callable[..., Any],
        sink: Sink,
        *,
        items: Sequence[object] = (),
        star: int = PLAIN,
        most: int | None = None,
        engines: int | None = None,
        stop: bool = True,
        max_crashes: int = 3,
        initializer: Initializer | None = None,
    ) -> None:
        """Pickle the function; nothing is sent yet.

        Args:
            function: what engines call for each item.
            sink: who takes what comes out.
            items: all of them, if they are known; else `add` brings them one by one.
            star: how an item becomes arguments.
            most: at most so many items in a chunk.
            engines: at most so many engines.
            stop: whether the first failure ends it.
            max_crashes: so many engines may end with one item before it fails.
            initializer: what an engine does first.

        Raises:
            TypeError: the function cannot be pickled.
        """
        self._pickled = pickle_for_engines(function, f"the function {getattr(function, '__qualname__', function)!r}")
        self._digest = digest(self._pickled)
        self.sink, self._star, self.engines, self.stop = sink, star, engines, stop
        self.items = Items(items)
        self.pending = Pending(len(items))
        self.left = len(items)
        self.is_complete = True
        """Whether all items are known."""
        self.incoming: deque[tuple[int, object]] = deque()
        self.is_announced = False
        """Whether the dispatcher knows that something is incoming."""
        self.is_over = False
        self.on_over: Callable[[], object] = lambda: None
        self.report = Report()
        self._initializer = initializer or Initializer()
        self._pace: Pace | None = None
        self.round_trip = RoundTrip()
        self._budget_s = 0.0
        self._most = most
        self._max_crashes = max_crashes
        self._crashes: Counter[int] = Counter()
        self._item_bytes = 0

    def pace(self, engines: int) -> Pace:
        """Return how fast it goes, with so many engines."""
        if self._pace is None:
            self._pace = Pace(engines, self.round_trip, most=self._most)
        self._pace.engines = max(1, engines)
        return self._pace

    def take(self, engines: int, room: int) -> range:
        """Return the places that go out next, where engines would take so many chunks now."""
        pace = self.pace(engines)
        self._budget_s = pace.budget_s(self.pending if self.is_complete else None)
        size = pace.size(self.pending, room, self._budget_s)
        if self._item_bytes:
            size = min(size, max(1, _MESSAGE_BYTES // self._item_bytes))
        return self.pending.take(size)

    def pack(self, places: range) -> tuple[range, bytes]:
        """Return the places that fit into one message, and their items. Those that do not fit are pending again.

        Raises:
            TypeError: an item cannot be pickled.
        """
        if not self._item_bytes:
            self._item_bytes = len(self._pickle(places[:1]))
            size = max(1, _MESSAGE_BYTES // self._item_bytes)
            self.pending.give_back(places[size:])
            places = places[:size]
        pickled = self._pickle(places)
        self._item_bytes = max(1, len(pickled) // len(places))
        return places, pickled

    def request(self, items: bytes) -> dict[str, object]:
        """Return what an engine is sent of what was taken last. See `on_node/in_engine/chunks.py`."""
        self.report.bytes_sent += len(items)
        return {
            "chunk": new_id(),
            "function": self._pickled,
            "digest": self._digest,
            "initializer": (self._initializer.name, self._initializer.pickled),
            "items": items,
            "star": self._star,
            "budget_s": SLACK * self._budget_s,
            "stop": self.stop,
        }

    def _pickle(self, places: range) -> bytes:
        items = self.items.at(places)
        try:
            return pickle_for_engines(items, "the items")
        except TypeError:
            for place, item in zip(places, items, strict=True):
                pickle_for_engines(item, f"item {place}")
            raise

    def count_crash(self, place: int) -> CrashError | None:
        """Note that an engine ended with this item alone. Return the item's error if that was once too often."""
        self._crashes[place] += 1
        count = self._crashes[place]
        if count < self._max_crashes:
            return None
        remedy = "see `clusterctl logs` for what ended them: the memory may have been full"
        return CrashError(f"item {place} has ended {count} engines, one after the other", remedy=remedy)


def new_id() -> str:
    """Return a name that nobody else has."""
    return uuid.uuid4().hex
