"""Hands chunks to engines, and sees to it that every item comes back with a value or an error.

One thread for each client does all of this. Whatever happens is an event in its queue: work that begins or is
cancelled, an answer, an engine that comes or goes, time that passes.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.compute import channel as ways
from clusterctl.compute.channel import part_of
from clusterctl.compute.engines.absence import Absence
from clusterctl.compute.engines.bringing import Bringer
from clusterctl.compute.engines.crew import Chunk, Crew, Engine
from clusterctl.compute.engines.demand import DemandTeller
from clusterctl.compute.engines.receipts import Receipts
from clusterctl.compute.engines.replies import read_reply
from clusterctl.compute.engines.sharing import Sharing
from clusterctl.compute.event_thread import EventThread, Rounds
from clusterctl.compute.failures import EngineTroubleError, NoEnginesError
from clusterctl.compute.timers import Timers

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ipyparallel import Client

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.work import Work

_TICK_S, _IDLE_TICK_S, _SHARING_TICK_S = 0.1, 1.0, 0.01
_PATIENCE_S = 0.02
"""Before what waits behind another chunk may be asked for, or the time of the way there and back."""
_RESEND_S, _RESEND_MOST_S = 0.05, 2.0
"""Before a chunk is sent again; twice as long each time. A way that is down may say so many times a second."""
_QUICK_S = 0.1
"""A call that took longer gains nothing from one thread less on the way back."""
_GRACE_S = 5.0
"""For an engine that was interrupted; then it is ended, and its service starts it anew."""
_LEAVING_S = 1.0
"""At the end of a client, for its engines to be told, and as long for them and the controller to have heard it."""
WAIT_S = 60.0
"""For an engine, where none is there."""


class Dispatcher:
    """The one that gives work to the engines of a client."""

    @classmethod
    def of(cls, client: Client) -> Dispatcher:
        """Return the dispatcher of a client."""
        return part_of(client, cls)

    def __init__(self, channel: Channel, *, wait_s: float = WAIT_S) -> None:
        self._channel = channel
        rounds = Rounds(self._pause_s, self._look_around, self._is_over, self._fail_all, self._end_all)
        self._thread = EventThread(rounds)
        self._crew = Crew(channel)
        self._receipts = Receipts(channel.acknowledge)
        self._sharing = Sharing(channel, self._crew, self._thread.put)
        self._bringer = Bringer(channel, self._thread.put, self._fail)
        self._works: list[Work] = []
        self._absence = Absence(self._crew, wait_s)
        self._demand = DemandTeller(channel.tell_demand)
        self._timers = Timers()
        self._closes = False
        self._thread.put(self._crew.refresh)
        channel.before_close(self._leave)
        channel.on_change(
            lambda: self._thread.put(self._crew.refresh),
            lambda: self._thread.put(self._cancel_all),
            lambda uuids: self._thread.put(lambda: self._crew.drain(uuids)),
        )

    def begin(self, work: Work) -> None:
        """Have this done."""
        self._thread.put(lambda: self._begin(work))
        self._thread.start()

    def add(self, work: Work, place: int, item: object) -> None:
        """Bring one item more of a work that does not know all of its items yet."""
        work.incoming.append((place, item))
        if not work.is_announced:  # one event for all that come until it is handled
            work.is_announced = True
            self._thread.put(lambda: self._take_in(work))

    def complete(self, work: Work) -> None:
        """Say that all items of a work are known."""
        self._thread.put(lambda: self._complete(work))

    def cancel(self, work: Work, error: BaseException) -> None:
        """End a work with this error, and free the engines that work on it."""
        self._thread.put(lambda: self._fail(work, error))

    def close_when_done(self) -> None:
        """Close the client when nothing is under way, and no engine is still to be freed."""
        self._thread.put(lambda: setattr(self, "_closes", True))
        self._thread.start()

    def close_and_wait(self, most_s: float) -> None:
        """Do so, and return when it is closed, or after so many seconds."""
        self.close_when_done()
        self._thread.join(most_s)

    def engine_count(self) -> int:
        """Return how many engines there are."""
        return len(self._channel.engines())

    def _leave(self) -> None:
        """Free engines, and have nothing wait for whoever buys nodes: this client, or its Python, ends."""
        if self._thread.is_copy:
            return
        told: list[Future[Any]] = []
        self._thread.do(lambda: told.extend(self._end_all()), _LEAVING_S)
        last_word = self._demand.withdraw()
        self._channel.wait_for([*told, *([last_word] if last_word else [])], _LEAVING_S)

    # All that follows runs in the thread of events.

    def _pause_s(self) -> float:
        if self._works and self._crew.has_waiting:
            return _SHARING_TICK_S
        return _TICK_S if self._works or self._timers else _IDLE_TICK_S

    def _is_over(self) -> bool:
        """Close the client if that is due, and return whether it is closed."""
        if self._closes and not self._works and not self._crew.has_chunks():
            self._channel.close()
        return self._channel.is_closed

    def _begin(self, work: Work) -> None:
        work.round_trip = self._crew.round_trip
        self._works.append(work)
        self._end_if_done(work)

    def _take_in(self, work: Work) -> None:
        work.is_announced = False
        while work.incoming:
            place, item = work.incoming.popleft()
            work.items.add(place, item)
            work.pending.add(range(place, place + 1))
            work.left += 1
        if work.is_over:
            work.pending.clear()

    def _complete(self, work: Work) -> None:
        self._take_in(work)
        work.is_complete = True
        self._end_if_done(work)

    def _fill(self) -> None:
        """Give engines that have room what is pending, each work in its turn."""
        turns = [(work, self._crew.taking(work.engines)) for work in self._works if work.pending]
        deepest = max((work.pace(len(engines)).depth for work, engines in turns), default=0)
        for depth in range(1, deepest + 1):
            for work, engines in turns:
                most = work.pace(len(engines)).depth
                room = sum(max(0, most - len(engine.chunks)) for engine in engines)
                for engine in engines if depth <= most else []:
                    if not work.pending:
                        break
                    if len(engine.chunks) < depth and not work.is_over and (places := work.take(len(engines), room)):
                        self._send(engine, work, places)
                        room -= 1

    def _send(self, engine: Engine, work: Work, places: range) -> None:
        try:
            places, items = work.pack(places)
        except BaseException as exc:  # an item cannot be sent, or its own class says no, in whatever way
            self._fail(work, exc)
            return
        request = work.request(places, items, engine.functions)
        request["acknowledged"] = self._receipts.take(engine.uuid)
        chunk = Chunk(work, places, engine, request, work.objects(items), sent=None if engine.chunks else Stopwatch())
        engine.add(chunk)
        self._transmit(chunk)

    def _transmit(self, chunk: Chunk) -> None:
        chunk.patience = Deadline.after(max(_PATIENCE_S, self._crew.round_trip.seconds))
        try:
            hear = partial(chunk.work.prints.take, chunk.engine.id)
            chunk.message, future = self._channel.send(chunk.engine.uuid, chunk.request, hear)
        except Exception as exc:  # the client is closed, or closes
            chunk.engine.remove(chunk)
            self._fail(chunk.work, NoEnginesError(f"the client cannot send: {exc}", remedy="connect anew"))
            return
        future.add_done_callback(partial(self._bring, chunk))

    def _bring(self, chunk: Chunk, future: Future[Any]) -> None:
        """Have a reply heard. It comes in the client's own thread, where only what is short may be done."""
        if chunk.work.is_single and chunk.sent is not None and chunk.sent.elapsed_s < _QUICK_S:
            self._thread.do_or_put(partial(self._hear_single, chunk, future))
        else:
            self._thread.put(partial(self._hear, chunk, future))

    def _hear_single(self, chunk: Chunk, future: Future[Any]) -> None:
        self._hear(chunk, future)
        if self._works or self._closes:  # an engine has room, or nothing is under way any more
            self._thread.put(lambda: None)

    def _hear(self, chunk: Chunk, future: Future[Any]) -> None:
        engine, work = chunk.engine, chunk.work
        what, result = self._channel.outcome(future, engine.uuid)
        is_wanted = not (work.is_over or chunk.is_elsewhere)
        if what == ways.CONNECTION_LOST and is_wanted and engine.uuid in self._channel.engines().values():
            work.report.resent += 1
            chunk.resends += 1
            self._timers.after(min(_RESEND_MOST_S, _RESEND_S * 2**chunk.resends), lambda: self._resend(chunk))
            return
        was_first = engine.chunks[0] is chunk and not engine.has_lost
        seconds = engine.remove(chunk)
        if not is_wanted:
            return
        if not what:
            self._receipts.note(engine.uuid, chunk.id, result)
            self._take(chunk, result)
            self._crew.learn(chunk, None if chunk.resends else self._channel.seconds_at_work(future))
        elif what == ways.ABORTED:
            work.pending.give_back(chunk.places)
        elif what in {ways.ENGINE_ENDED, ways.CONNECTION_LOST}:
            engine.has_ended = engine.has_lost = True
            self._lose(chunk, seconds if was_first and what == ways.ENGINE_ENDED else None)
        else:
            self._fail(work, EngineTroubleError(f"an engine failed: {result}", remedy="see `clusterctl logs`"))

    def _resend(self, chunk: Chunk) -> None:
        """Send a chunk again whose answer was lost: its engine has the answer, or has still to work on it."""
        engine, is_wanted = chunk.engine, not (chunk.work.is_over or chunk.is_elsewhere)
        if is_wanted and engine.uuid in self._channel.engines().values():
            self._transmit(chunk)
            return
        engine.remove(chunk)
        if is_wanted:
            self._lose(chunk, None)

    def _take(self, chunk: Chunk, pickled: bytes) -> None:
        work, reply = chunk.work, read_reply(pickled, chunk)
        if reply.fatal is not None:
            self._fail(work, reply.fatal)
            return
        if reply.lacks_function or reply.lacking:
            chunk.engine.functions.discard(work.digest)
        if reply.lacking:
            self._bringer.bring(chunk, reply.lacking)
            return
        work.report.chunks += 1
        work.pace(len(self._crew.working(work.engines))).learn(reply.done, reply.seconds, chunk.places[0])
        for offset, value in enumerate(reply.values):
            self._finish(work, chunk.places[offset], value, reply.errors.get(offset))
        if not work.is_over:
            work.pending.give_back(chunk.places[reply.done :])
            self._end_if_done(work)

    def _finish(self, work: Work, place: int, value: object, error: BaseException | None) -> None:
        if work.is_over:
            return
        work.items.forget(place)
        work.left, work.done = work.left - 1, work.done + 1
        if error is not None and work.stop:
            self._fail(work, error)
        elif work.sink is not None:
            work.sink.take(place, value, error)

    def _lose(self, chunk: Chunk, at_work_s: float | None) -> None:
        """Bring the items of an engine that has ended to another one.

        Args:
            chunk: what it had.
            at_work_s: for so long it may have worked on it; None if it had not begun, which makes no item suspect.
        """
        work, places = chunk.work, chunk.places
        work.report.lost_engines.add(chunk.engine.uuid)
        work.report.rerun_items.update(places)
        error = None
        if at_work_s is not None and len(places) == 1:
            error = work.count_loss(places[0], at_work_s, self._channel.how_it_ended(chunk.engine.uuid))
        if error is not None:
            self._finish(work, places[0], None, error)
            self._end_if_done(work)
        else:
            work.pending.give_back(places, alone=at_work_s is not None)

    def _end_if_done(self, work: Work) -> None:
        if work.is_complete and not work.left and not work.is_over:
            self._end(work)
            work.tell_end(None)

    def _end(self, work: Work) -> None:
        work.is_over = True
        work.pending.clear()
        if work in self._works:
            self._works.remove(work)
        self._demand.look(self._works)

    def _fail_all(self, error: BaseException) -> list[Future[Any]]:
        return [asked for work in list(self._works) for asked in self._fail(work, error)]

    def _cancel_all(self) -> None:
        self._fail_all(CancelledError("somebody has cancelled what this client had given to engines"))

    def _end_all(self) -> list[Future[Any]]:
        return self._fail_all(NoEnginesError("the client was closed", remedy="connect anew"))

    def _fail(self, work: Work, error: BaseException) -> list[Future[Any]]:
        """End a work with this error. Return what the engines that have a part of it were asked: to leave it."""
        if work.is_over:
            return []
        self._end(work)
        work.tell_end(error)
        if not self._crew.chunks(work):
            return []
        self._timers.after(_GRACE_S, lambda: self._crew.kill_those_at(work))
        return self._crew.take_back(work)

    def _look_around(self) -> None:
        """Give engines that have room what is pending, which may be waited for; then do what is due by the time."""
        self._fill()
        self._timers.run_due()
        self._demand.look(self._works)
        if (error := self._absence.error(has_work=bool(self._works), grows=self._demand.grows)) is not None:
            self._fail_all(error)
        is_all_given = bool(self._works) and not any(work.pending for work in self._works)
        self._sharing.ask_for_stuck(only_draining=not is_all_given)
        self._fill()
