"""The engines of a client, and what each of them has to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, Stopwatch
from clusterctl.compute.cutting import RoundTrip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.large_arrays import StoredArray
    from clusterctl.compute.work import Work


@dataclass
class Engine:
    """One of them."""

    id: int
    uuid: str
    chunks: list[Chunk] = field(default_factory=list)
    """What it has, in the order in which it works on them."""
    has_ended: bool = False
    has_answered: bool = False
    """Whether it has worked before: its first chunk takes longer."""
    is_draining: bool = False
    """Whether its node will be taken: it is given nothing new."""
    has_lost: bool = False
    """Whether a chunk was lost with it. The first one that is lost is the one that it worked on."""
    functions: set[str] = field(default_factory=set)
    """The digests of those that it was sent."""
    at_work: Stopwatch = field(default_factory=Stopwatch)
    """How long it can have been at its first chunk."""

    def add(self, chunk: Chunk) -> None:
        """Give it one chunk more."""
        if not self.chunks:
            self.at_work = Stopwatch()
        self.chunks.append(chunk)

    def remove(self, chunk: Chunk) -> float:
        """Take a chunk from it. Return how many seconds it can have worked on that, if it was the first one."""
        seconds = self.at_work.elapsed_s
        if self.chunks[0] is chunk:
            self.at_work = Stopwatch()
        self.chunks.remove(chunk)
        return seconds


@dataclass(eq=False)
class Chunk:
    """Items of one map that an engine has."""

    work: Work
    places: range
    engine: Engine
    request: dict[str, Any]
    objects: dict[str, StoredArray] = field(default_factory=dict)
    """The large arrays that it names."""
    message: str = ""
    patience: Deadline = field(default_factory=lambda: Deadline.after(0))
    """Until then it may wait behind another one."""
    sent: Stopwatch | None = None
    """Since it was sent, to an engine that had nothing else to do."""
    resends: int = 0
    is_asked_for: bool = False
    """Whether the engine was asked to leave it to another one."""
    is_elsewhere: bool = False
    is_left_out: bool = False
    """Whether the engine will not begin it."""

    @property
    def id(self) -> str:
        """Its name, which it keeps when it is sent again."""
        return str(self.request["chunk"])


def _note_left_out(chunks: Sequence[Chunk], asked: Future[Any]) -> None:
    """Take in an engine's answer, which says what it will not begin."""
    if not asked.cancelled() and asked.exception() is None:
        waited = asked.result()["content"].get("waited", ())
        for chunk in chunks:
            chunk.is_left_out = chunk.id in waited


class Crew:
    """All of them. Whatever asks or changes them does so in the dispatcher's thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._engines: dict[str, Engine] = {}
        """By uuid, in the order of their ids."""
        self._draining: set[str] = set()
        self.round_trip = RoundTrip()

    def refresh(self) -> None:
        """Take in who has come and gone. One that has gone stays until all of its chunks are accounted for."""
        listed = {uuid: number for number, uuid in self._channel.engines().items()}
        for uuid in self._engines.keys() - listed.keys():
            if not self._engines[uuid].chunks:
                del self._engines[uuid]
        for uuid, number in listed.items():
            self._engines.setdefault(uuid, Engine(number, uuid))
        self._engines = dict(sorted(self._engines.items(), key=lambda entry: entry[1].id))
        for uuid, engine in self._engines.items():
            if engine.has_ended and uuid in listed:  # it was only silent for a while
                engine.has_lost = False
            engine.has_ended = uuid not in listed
            engine.is_draining = uuid in self._draining

    def drain(self, uuids: set[str]) -> None:
        """Take in which engines are given nothing new, and which no more are those."""
        self._draining = uuids
        self.refresh()

    def working(self, most: int | None = None) -> list[Engine]:
        """Return those that are there, at most so many."""
        return [engine for engine in self._engines.values() if not engine.has_ended][:most]

    def taking(self, most: int | None = None) -> list[Engine]:
        """Return those that may be given something new, at most so many."""
        return [engine for engine in self.working() if not engine.is_draining][:most]

    def has_chunks(self) -> bool:
        """Return whether any of them has anything to do, or to be freed of."""
        return any(engine.chunks for engine in self._engines.values())

    def chunks(self, work: Work) -> list[Chunk]:
        """Return what all of them have of this work."""
        return [chunk for engine in self._engines.values() for chunk in engine.chunks if chunk.work is work]

    def take_back(self, work: Work) -> list[Future[Any]]:
        """Have them leave this work, and interrupt those that are at it. Return what each was asked."""
        questions = []
        for engine in self._engines.values():
            chunks = [chunk for chunk in engine.chunks if chunk.work is work]
            if chunks:
                names = [(chunk.id, chunk.message) for chunk in chunks]
                asked = self._channel.take_back(engine.uuid, names, interrupt=True)
                asked.add_done_callback(partial(_note_left_out, chunks))
                questions.append(asked)
        return questions

    def kill_those_at(self, work: Work) -> None:
        """End those that are at this work still. Their service starts them anew.

        An engine that says that it had not begun its first chunk is at somebody else's work.
        """
        for engine in self._engines.values():
            first = engine.chunks[0] if engine.chunks and not engine.has_ended else None
            if first is not None and first.work is work and not first.is_left_out:
                self._channel.kill(engine.id)

    def learn(self, chunk: Chunk, seconds_at_work: float | None) -> None:
        """Take in how long the answer of an engine took."""
        if chunk.sent is not None and chunk.engine.has_answered and seconds_at_work is not None:
            self.round_trip.learn(chunk.sent.elapsed_s - seconds_at_work)
        chunk.engine.has_answered = True

    @property
    def has_waiting(self) -> bool:
        """Whether an engine has nothing to do, and something waits elsewhere that could be asked for."""
        has_idle = any(not engine.chunks for engine in self.taking())
        return any(
            not chunk.is_asked_for
            for engine in self.working()
            for chunk in engine.chunks[1:]
            if has_idle or engine.is_draining
        )

    def stuck(self, *, only_draining: bool) -> Iterator[Chunk]:
        """Yield what waits behind long work where a node ends, and one for each engine that has nothing to do.

        Args:
            only_draining: something is left to give to those that have nothing to do.
        """
        idle = 0 if only_draining else sum(not engine.chunks for engine in self.taking())
        for engine in self.working():
            for chunk in engine.chunks[1:]:
                if (idle or engine.is_draining) and not chunk.is_asked_for and chunk.patience.is_over:
                    chunk.is_asked_for = True
                    idle -= 0 if engine.is_draining else 1
                    yield chunk
