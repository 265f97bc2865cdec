"""Reads the items of an iterator as far ahead as the one who takes the results allows."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clusterctl.compute.dispatch import Dispatcher
    from clusterctl.compute.results import MapIterator
    from clusterctl.compute.work import Work

_LOOK_S = 1.0
"""Between looks whether the work is over, where nobody takes results."""


class LooseSink:
    """Brings results to an iterator for as long as somebody has that: work that is under way does not keep it."""

    def __init__(self, results: MapIterator) -> None:
        self._results = weakref.ref(results)

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """See `work.Sink`."""
        if (results := self._results()) is not None:
            results.take(place, value, error)

    def end(self) -> None:
        """See `work.Sink`."""
        if (results := self._results()) is not None:
            results.end()

    def fail(self, error: BaseException) -> None:
        """See `work.Sink`."""
        if (results := self._results()) is not None:
            results.fail(error)


def feed_items(
    dispatcher: Dispatcher, work: Work, results: MapIterator, iterable: Iterable[object], ahead: int
) -> None:
    """Begin to read, in a thread: the iterator may take its time, or have no end.

    Args:
        dispatcher: who gets the items.
        work: what they are items of.
        results: where they are taken.
        iterable: the items.
        ahead: so many are read before their results are taken.
    """
    room = threading.Semaphore(ahead)
    results.on_taken = room.release
    # The thread does not keep the results: when nobody has them any more, the work ends.
    arguments = (dispatcher, work, weakref.ref(results), iter(iterable), room)
    threading.Thread(target=_feed, args=arguments, name="clusterctl-imap", daemon=True).start()


def _feed(
    dispatcher: Dispatcher,
    work: Work,
    results: weakref.ref[MapIterator],
    items: Iterator[object],
    room: threading.Semaphore,
) -> None:
    try:
        for place, item in enumerate(items):
            while not room.acquire(timeout=_LOOK_S):
                if work.is_over:
                    return
            if work.is_over:
                return
            dispatcher.add(work, place, item)
    except BaseException as exc:  # of the caller's own iterator: it is raised behind the results of what came before
        if (taken := results()) is not None:
            taken.last = exc
    dispatcher.complete(work)
