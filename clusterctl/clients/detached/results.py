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
    from clusterctl.clients.detached.records import Record

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
        while self._read_more(0):
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

    def _fetch(self, wait_s: float) -> bool:
        """Take in some of what is there, and have it go on where it does not. Return whether there may be more."""
        if self._read_more(wait_s):
            return True
        if self._status is not None and self._status.state in model.GOES_ON:
            self._revive(self._status)
        return False

    def _read_more(self, wait_s: float) -> bool:
        """Take in some of what is there. Return whether there may be more."""
        self._status, part = self._store.read(self.id, self._read, wait_s)
        try:
            for record in self._reader.feed(part):
                self._take(record)
        except BrokenRecordsError as exc:
            if not self._read:
                raise self._damage() from exc
            self._reader, self._read = RecordReader(), 0  # the end was cut off meanwhile, and went on otherwise
            return True
        self._read += len(part)
        return bool(part)

    def _take(self, record: Record) -> None:
        if record.place in self._values:
            return  # it was read before
        self._revivals = 0
        if record.is_error:
            self._errors[record.place] = read_failure(record.content)
        self._values[record.place] = None if record.is_error else pickle.loads(record.content)

    def _revive(self, status: Status) -> None:
        if self._revivals >= _REVIVALS:
            raise DetachedError(
                f"the map {self.id} ends again and again: {status.detail or 'its process is killed'}",
                remedy="see the disk and the memory of the master; then get() goes on with it",
            )
        self._revivals += 1
        self._reader, self._read = RecordReader(), 0  # a part of a record at the end is cut off
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
