"""One message to each member of a group, and what comes back."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.compute import channel as ways
from clusterctl.compute.calls.choices import Call, MapOptions
from clusterctl.compute.channel import part_of
from clusterctl.compute.engines.crew import Chunk
from clusterctl.compute.engines.receipts import Receipts
from clusterctl.compute.engines.replies import read_reply
from clusterctl.compute.failures import EngineTroubleError
from clusterctl.compute.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from ipyparallel import Client

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.engines.crew import Engine

_LOOK_S = 0.1
_RESEND_S, _RESEND_MOST_S = 0.05, 2.0
_GRACE_S = 5.0
"""For an engine that was interrupted; then it is ended, and its service starts it anew."""


class LostEngineError(Exception):
    """An engine has ended with its message."""


class Meetings:
    """The way of one client to members of groups."""

    @classmethod
    def of(cls, client: Client) -> Meetings:
        """Return those of a client."""
        return part_of(client, cls)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.receipts = Receipts(channel.acknowledge)
        self.rounds: set[Round] = set()
        self.draining: set[str] = set()
        """The uuids of engines whose node will be taken: no new group has them, unless it names them."""
        channel.on_change(lambda: None, self._end_all, self._drain)

    def _drain(self, uuids: set[str]) -> None:
        self.draining = uuids

    def _end_all(self) -> None:
        for one in list(self.rounds):
            one.end(CancelledError("somebody has cancelled what this client had given to engines"))


class _NoSink:
    """Nobody: a round hands out its answers itself."""

    def take(self, place: int, value: object, error: BaseException | None) -> None:
        """See `work.Sink`."""

    def end(self) -> None:
        """See `work.Sink`."""

    def fail(self, error: BaseException) -> None:
        """See `work.Sink`."""


class Round:
    """One message to each engine, each with an item of its own."""

    def __init__(
        self, meetings: Meetings, function: Callable[..., Any], engines: Sequence[Engine], items: Sequence[object]
    ) -> None:
        """Pickle everything; nothing is sent yet.

        Args:
            meetings: the way.
            function: what each engine calls with its item.
            engines: who is asked, by their ranks.
            items: by the same ranks.

        Raises:
            TypeError: something cannot be pickled.
            TooLargeError: an item has too many bytes.
        """
        self._meetings, self._channel = meetings, meetings.channel
        self._work = Work(Call(function, options=MapOptions(progress=False)), _NoSink(), items=items)
        self._events: queue.SimpleQueue[tuple[Chunk, Future[Any]] | BaseException] = queue.SimpleQueue()
        self.pending: dict[int, Chunk] = {}
        self._resends: list[tuple[Deadline, Chunk]] = []
        self._idle: set[str] = set()
        """The engines that have not begun, and will not."""
        for rank, engine in enumerate(engines):
            places, item = self._work.pack(range(rank, rank + 1))
            request = self._work.request(places, item, set())
            self.pending[rank] = Chunk(self._work, places, engine, request)

    def begin(self) -> None:
        """Send all of them."""
        self._meetings.rounds.add(self)
        for chunk in list(self.pending.values()):
            chunk.request["acknowledged"] = self._meetings.receipts.take(chunk.engine.uuid)
            self._transmit(chunk)

    def _transmit(self, chunk: Chunk) -> None:
        hear = partial(self._work.prints.take, chunk.engine.id)
        chunk.message, future = self._channel.send(chunk.engine.uuid, chunk.request, hear)
        future.add_done_callback(lambda done: self._events.put((chunk, done)))

    def end(self, error: BaseException) -> None:
        """Have this raised by whoever waits."""
        self._events.put(error)

    def answers(self, deadline: Deadline) -> Iterator[tuple[int, Any, BaseException | None]]:
        """Yield the rank, the value and the error of each, as they come, until all have come or the time is over.

        `LostEngineError` is the error of an engine that has ended.
        """
        while self.pending and not deadline.is_over:
            self._resend_due()
            try:
                event = self._events.get(timeout=min(_LOOK_S, deadline.left_s) or 0.001)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            chunk, future = event
            answer = self._read(chunk, *self._channel.outcome(future, chunk.engine.uuid))
            if answer is not None:
                rank = chunk.places[0]
                if self.pending.pop(rank, None) is not None:
                    yield rank, *answer

    def _read(self, chunk: Chunk, what: str, result: Any) -> tuple[Any, BaseException | None] | None:
        """Return the value and the error, or None if there is no answer yet."""
        uuid = chunk.engine.uuid
        if not what:
            self._meetings.receipts.note(uuid, chunk.id, result)
            reply = read_reply(result, chunk)
            if reply.fatal is not None:
                return None, reply.fatal
            if not reply.done:
                return None, CancelledError("somebody has cancelled it")
            return (reply.values or [None])[0], reply.errors.get(0)
        if what == ways.CONNECTION_LOST and uuid in self._channel.engines().values():
            chunk.resends += 1
            self._resends.append((Deadline.after(min(_RESEND_MOST_S, _RESEND_S * 2**chunk.resends)), chunk))
            return None
        if what in {ways.ENGINE_ENDED, ways.CONNECTION_LOST}:
            return None, LostEngineError()
        if what == ways.ABORTED:
            return None, CancelledError("somebody has cancelled it")
        return None, EngineTroubleError(f"an engine failed: {result}", remedy="see `clusterctl logs`")

    def _resend_due(self) -> None:
        due = [chunk for until, chunk in self._resends if until.is_over]
        self._resends = [(until, chunk) for until, chunk in self._resends if not until.is_over]
        for chunk in due:
            self._transmit(chunk)

    def close(self, *, ends_engines: bool) -> None:
        """Free the engines that have not answered.

        Args:
            ends_engines: end those that do not let themselves be interrupted. Not for engines that may not have heard
                of this round yet: they are at somebody else's work, and need not have the program that would say so.
        """
        self._meetings.rounds.discard(self)
        self._work.prints.end()
        left = list(self.pending.values())
        for chunk in left:
            asked = self._channel.take_back(chunk.engine.uuid, [(chunk.id, chunk.message)], interrupt=True)
            asked.add_done_callback(partial(self._note_idle, chunk))
        if left and ends_engines:
            timer = threading.Timer(_GRACE_S, self._kill)
            timer.daemon = True
            timer.start()

    def _note_idle(self, chunk: Chunk, asked: Future[Any]) -> None:
        if not asked.cancelled() and asked.exception() is None and asked.result()["content"].get("waited"):
            self._idle.add(chunk.engine.uuid)

    def _kill(self) -> None:
        while not self._events.empty():
            event = self._events.get()
            if not isinstance(event, BaseException):
                self.pending.pop(event[0].places[0], None)
        registered = self._channel.engines() if not self._channel.is_closed else {}
        for chunk in self.pending.values():
            if registered.get(chunk.engine.id) == chunk.engine.uuid and chunk.engine.uuid not in self._idle:
                self._channel.kill(chunk.engine.id)
