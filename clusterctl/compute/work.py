"""One map: its function, its items, what is left to do, and who takes what comes out."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from clusterctl.compute.calls.prints import Prints
from clusterctl.compute.cutting import SLACK, Pace, Pending, RoundTrip
from clusterctl.compute.failures import CrashError, TooLargeError
from clusterctl.compute.large_arrays import StoredArray
from clusterctl.compute.payload import MOST_BYTES, digest, pickle_for_engines
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.compute.calls.choices import Call
    from clusterctl.compute.large_arrays import Swapper

_MESSAGE_BYTES = 4 * 2**20
"""The most that the items of one chunk should have, where they can be cut smaller."""
_KNOWN_FUNCTIONS = 64
"""Of those that an engine was sent, so many are not sent again."""
_ROOM_BYTES = 4 * _MESSAGE_BYTES
"""The most that they may have, where they are not all alike."""


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
    bytes_stored: int = 0
    """Bytes of large arrays that were brought to files on the nodes: none of those that were there."""


@dataclass(frozen=True)
class Packed:
    """What goes out of a map."""

    data: bytes
    objects: dict[str, StoredArray]
    """The large arrays that it only names, by their names."""


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

    def clear(self) -> None:
        """Forget all: nobody will ask for them, and they may be large."""
        self._items = {}

    def forget(self, place: int) -> None:
        """Forget one that is done."""
        if isinstance(self._items, dict):
            self._items.pop(place, None)


class Work:
    """A map that is under way."""

    def __init__(
        self,
        call: Call,
        sink: Sink,
        *,
        items: Sequence[object] | None = (),
        engines: int | None = None,
        initializer: Initializer | None = None,
        swapper: Swapper | None = None,
        is_single: bool = False,
    ) -> None:
        """Pickle the function; nothing is sent yet.

        Args:
            call: what engines call for each item.
            sink: who takes what comes out.
            items: all of them; None if they come one by one, by `Dispatcher.add`.
            engines: at most so many engines.
            initializer: what an engine does first.
            swapper: who knows the call's large arrays; without one they travel as all else.
            is_single: it is one call, and its end runs no code of the caller's.

        Raises:
            TypeError: the function cannot be pickled.
        """
        self.name = getattr(call.function, "__name__", type(call.function).__name__)
        self.progress = call.options.progress
        self.prints = Prints(wanted=call.options.prints)
        name = getattr(call.function, "__qualname__", call.function)
        self._swapper, self._are_all_known = swapper, items is not None
        self._function = self._dump(call.function, f"the function {name!r}", MOST_BYTES)
        self.digest = digest(self._function.data)
        self.sink: Sink | None = sink
        """Until it is over."""
        self.engines, self._call, self.is_single = engines, call, is_single
        self.is_complete = items is not None
        """Whether all items are known."""
        self.stop = self.is_complete and not call.options.returns_errors
        """Whether the first failure ends it."""
        items = items or ()
        self.items = Items(items)
        self.pending = Pending(len(items))
        self.done = 0
        self.left = len(items)
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
        self._most = call.most if self.is_complete else None
        self._crashes: Counter[int] = Counter()
        self.brought: Counter[tuple[str, str]] = Counter()
        """How often an engine was brought a large array, by its uuid and the array's name."""
        self._item_bytes = 0

    def tell_end(self, error: BaseException | None) -> None:
        """Tell the sink that this is over, and let go of it and of the items: they may be large."""
        self.prints.end()
        sink, on_over = self.sink, self.on_over
        self.items.clear()
        self._function.objects.clear()
        self._swapper = None
        self.sink, self.on_over = None, lambda: None
        if sink is not None:
            if error is None:
                sink.end()
            else:
                sink.fail(error)
        on_over()

    def pace(self, engines: int) -> Pace:
        """Return how fast it goes, with so many engines."""
        if self._pace is None:
            self._pace = Pace(engines, self.round_trip, most=self._most)
        self._pace.engines = max(1, engines)
        return self._pace

    @property
    def seconds_an_item(self) -> float | None:
        """What an item takes; None if nobody knows yet."""
        return self._pace.seconds_an_item if self._pace else None

    def take(self, engines: int, room: int) -> range:
        """Return the places that go out next, where engines would take so many chunks now."""
        pace = self.pace(engines)
        self._budget_s = pace.budget_s(self.pending if self.is_complete else None)
        size = pace.size(self.pending, room, self._budget_s)
        if self._item_bytes:
            size = min(size, max(1, _MESSAGE_BYTES // self._item_bytes))
        return self.pending.take(size)

    def pack(self, places: range) -> tuple[range, Packed]:
        """Return the places that fit into one message, and their items. Those that do not fit are pending again.

        Raises:
            TypeError: an item cannot be pickled.
            TooLargeError: an item has more bytes than any message may have.
        """
        if not self._item_bytes:
            first = self._pickle(places[:1], MOST_BYTES)
            self._item_bytes = len(first.data)
            if len(places) == 1:
                return places, first
            places = self._cut(places, max(1, _MESSAGE_BYTES // self._item_bytes))
        while True:
            try:
                packed = self._pickle(places, MOST_BYTES if len(places) == 1 else _ROOM_BYTES)
                break
            except TooLargeError:
                if len(places) == 1:
                    raise
                places = self._cut(places, len(places) // 2)
        self._item_bytes = max(1, len(packed.data) // len(places))
        return places, packed

    def _cut(self, places: range, size: int) -> range:
        """Return so many places; the others are pending again."""
        self.pending.give_back(places[size:])
        return places[:size]

    def request(self, places: range, items: Packed, functions: set[str]) -> dict[str, object]:
        """Return what an engine is sent of what was taken last. See `on_node/in_engine/chunks.py`.

        Args:
            places: of the items.
            items: pickled.
            functions: the digests of those that this engine has; that of this work is one of them afterwards.
        """
        is_new = self.digest not in functions
        function = self._function.data if is_new else b""
        if len(functions) >= _KNOWN_FUNCTIONS:  # it keeps no more of them either
            functions.clear()
        functions.add(self.digest)
        self.report.bytes_sent += len(items.data) + len(function)
        return {
            "chunk": new_id(),
            "function": function,
            "digest": self.digest,
            "initializer": (self._initializer.name, self._initializer.pickled),
            "items": items.data,
            "objects": sorted({**items.objects, **(self._function.objects if is_new else {})}),
            "first": places[0],
            "star": self._call.star,
            "budget_s": SLACK * self._budget_s,
            "timeout_s": self._call.options.timeout_s,
            "most_bytes": MOST_BYTES,
            "stop": self.stop,
        }

    def objects(self, items: Packed) -> dict[str, StoredArray]:
        """Return the large arrays that a chunk of these items may need."""
        return {**self._function.objects, **items.objects}

    def _pickle(self, places: range, most: int) -> Packed:
        items = self.items.at(places)
        try:
            return self._dump(items, f"item {places[0]}" if len(items) == 1 else "the items", most)
        except TypeError:
            for place, item in zip(places, items, strict=True):
                self._dump(item, f"item {place}", MOST_BYTES)
            raise

    def _dump(self, value: object, what: str, most: int) -> Packed:
        swapper, objects = self._swapper, dict[str, StoredArray]()
        if swapper is not None and not self._are_all_known:
            swapper.forget()  # who gives items one by one may give one array again, with other values
        swap = None if swapper is None else lambda part: swapper.reduce(part, objects)
        return Packed(pickle_for_engines(value, what, most=most, swap=swap), objects)

    def count_loss(self, place: int, seconds: float, how: str) -> BaseException | None:
        """Note that an engine ended with this item alone. Return the item's error if it is not to go out again.

        Args:
            place: the number of the item.
            seconds: how long the engine may have worked on it.
            how: how the engine has ended, if that is known.
        """
        limit_s = self._call.options.timeout_s
        if limit_s is not None and seconds > limit_s:
            problem = f"item {place} took longer than {limit_s:g} s, in C code"
            return TimeoutError(f"{problem}: its engine was ended, and its log says where")
        self._crashes[place] += 1
        count = self._crashes[place]
        if count < self._call.options.max_crashes:
            return None
        remedy = "see `clusterctl logs` for what ended them: the memory may have been full"
        problem = f"item {place} has ended {plural(count, 'engine')}"
        if count > 1:
            problem += ", one after the other"
        return CrashError(f"{problem}: {how}" if how else problem, remedy=remedy)


def new_id() -> str:
    """Return a name that nobody else has."""
    return uuid.uuid4().hex
