"""A detached map, as its owner sees it: from the Python that began it, or from any other one."""

from __future__ import annotations

import pickle
from concurrent.futures import CancelledError
from multiprocessing import TimeoutError as PoolTimeoutError
from typing import TYPE_CHECKING, Any

from clusterctl.clients.detached import model
from clusterctl.clients.detached.model import DetachedError
from clusterctl.clients.detached.records import BrokenRecordsError, RecordReader
from clusterctl.clock import Deadline
from clusterctl.compute.failures import read_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.clients.detached.model import Status, Store

_POLL_S = 10.0
"""For which the master waits for news before it answers that there are none."""
_REVIVALS = 3
"""In a row, without an item that was done between them."""


class DetachedMap:
    """A map that runs on the master. What is done there is kept until it was fetched, and longer."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.id = name
        """By which `clusterctl.results` finds it."""
        self._reader = RecordReader()
        self._read = 0
        self._values: dict[int, object] = {}
        self._errors: dict[int, BaseException] = {}
        self._status: Status | None = None
        self._revivals = 0

    def __repr__(self) -> str:
        status = self._status
        said = f" {status.state}, {status.done} of {status.total}" if status is not None else ""
        return f"<DetachedMap {self.id}{said}>"

    def status(self) -> Status:
        """Return how it is now: its state, and how many items are done."""
        self._status = self._store.look(self.id)
        return self._status

    def ready(self) -> bool:
        """Return whether nothing more comes."""
        return self.status().is_over

    def partial(self) -> dict[int, object]:
        """Return what is there, by the number of the item. An item that failed has its exception."""
        while self._fetch(0):
            pass
        return {place: self._errors.get(place, value) for place, value in sorted(self._values.items())}

    def wait(self, timeout: float | None = None) -> None:
        """Fetch what comes, until nothing more does, or for so many seconds."""
        deadline = None if timeout is None else Deadline.after(timeout)
        while True:
            left_s = _POLL_S if deadline is None else min(_POLL_S, deadline.left_s)
            if not self._fetch(left_s) and self._is_whole():
                return
            if deadline is not None and deadline.is_over:
                return

    def get(self, timeout: float | None = None) -> list[Any]:
        """Return the values, in order, or raise what an item raised.

        A map whose process was killed, or whose machine was restarted, goes on by this.

        Raises:
            multiprocessing.TimeoutError: they are not there after so many seconds.
            concurrent.futures.CancelledError: it was cancelled.
        """
        self.wait(timeout)
        if not self._is_whole():
            raise PoolTimeoutError
        self._raise_end()
        if len(self._values) != self._status_total():
            raise self._damage()
        return [self._errors.get(place, self._values[place]) for place in range(len(self._values))]

    def __iter__(self) -> Iterator[Any]:
        """Yield the values in order, as they come; an item that failed raises where its value would be."""
        place = 0
        while True:
            while place not in self._values:
                if not self._fetch(_POLL_S) and self._is_whole():
                    self._raise_end()
                    return
            if place in self._errors:
                raise self._errors[place]
            yield self._values[place]
            place += 1

    def log(self) -> str:
        """Return the end of what its tasks have printed."""
        return self._store.log(self.id)

    def cancel(self) -> None:
        """End it. What is done stays, and a map of the same name begins with it."""
        self._status = self._store.cancel(self.id)

    def forget(self) -> None:
        """Delete it, with all that it did. It must not run."""
        self._store.forget(self.id)

    def _fetch(self, wait_s: float) -> int:
        """Take in some of what is there. Return how many items came."""
        self._status, part = self._store.read(self.id, self._read, wait_s)
        count = 0
        try:
            for record in self._reader.feed(part):
                count += 1
                self._errors.pop(record.place, None)
                self._values[record.place] = None
                if record.is_error:
                    self._errors[record.place] = read_failure(record.content)
                else:
                    self._values[record.place] = pickle.loads(record.content)
        except BrokenRecordsError as exc:
            raise self._damage() from exc
        # The last one may be written in part; its beginning is read again.
        self._read += len(part)
        self._revivals = 0 if count else self._revivals
        if not count and self._status.state in model.GOES_ON:
            self._revive(self._status)
        return count

    def _revive(self, status: Status) -> None:
        if self._revivals >= _REVIVALS:
            raise DetachedError(
                f"the map {self.id} ends again and again: {status.detail or 'its process is killed'}",
                remedy="see the disk and the memory of the master; then get() goes on with it",
            )
        self._revivals += 1
        self._reader = RecordReader()  # a part of a record at the end is cut off before more is written
        self._read = 0
        self._status = self._store.resume(self.id)

    def _damage(self) -> DetachedError:
        return DetachedError(
            f"what the master has of the map {self.id} is damaged",
            remedy=f"partial() has what is whole; begin it anew after clusterctl.results({self.id!r}).forget()",
        )

    def _status_total(self) -> int:
        return self._status.total if self._status is not None else 0

    def _is_whole(self) -> bool:
        return self._status is not None and self._status.is_over

    def _raise_end(self) -> None:
        status = self._status
        if status is None or status.state == model.DONE:
            return
        if status.state == model.FAILED:
            raise read_failure(self._store.failure(self.id))
        raise CancelledError(f"the map {self.id} was cancelled; {status.done} of {status.total} items are done")
