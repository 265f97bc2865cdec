"""Brings large arrays to files on the nodes: one after the other, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.compute.engines.passing import Passer
from clusterctl.compute.failures import StoreError
from clusterctl.compute.large_arrays import StoredRows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.engines.crew import Chunk
    from clusterctl.compute.large_arrays import StoredArray
    from clusterctl.compute.work import Work

_AT_ONCE = 8
"""Pieces on the way."""
_LOOK_S, _SILENT_S = 0.5, 30.0
_MOST_TIMES = 5
"""So often an engine may say that it lacks the same thing."""


class _EngineLostError(Exception):
    """It does not answer any more. Another one will say what it lacks."""


class Bringer:
    """Whatever engines lack, they are brought."""

    def __init__(
        self,
        channel: Channel,
        put: Callable[[Callable[[], object]], object],
        fail: Callable[[Work, BaseException], object],
    ) -> None:
        """Nothing is brought yet.

        Args:
            channel: the way to the engines.
            put: has something done in the dispatcher's thread.
            fail: ends a work with an error, in that thread.
        """
        self._channel, self._put, self._fail = channel, put, fail
        self._passer = Passer(channel)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Chunk, list[str]]] = deque()
        self._runs = False

    def bring(self, chunk: Chunk, names: list[str]) -> None:
        """Bring an engine what it lacks for a chunk; then that goes out again, to any engine."""
        with self._lock:
            self._waiting.append((chunk, names))
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="clusterctl-bring", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._runs = False
                    return
                chunk, names = self._waiting.popleft()
            error: BaseException | None = None
            also: list[Chunk] = []
            try:
                for name in names:
                    self._bring(chunk, name)
                also = self._take_waiting(chunk.engine.uuid, set(names))
            except _EngineLostError:
                pass
            except BaseException as exc:
                error = exc
            for waiting in (chunk, *also):
                self._put(partial(self._go_on, waiting, error))

    def _take_waiting(self, engine: str, names: set[str]) -> list[Chunk]:
        """Return the chunks that an engine gave back while it was brought what they need, too."""
        with self._lock:
            served = [entry for entry in self._waiting if entry[0].engine.uuid == engine and names.issuperset(entry[1])]
            self._waiting = deque(entry for entry in self._waiting if entry not in served)
        return [chunk for chunk, _ in served]

    def _go_on(self, chunk: Chunk, error: BaseException | None) -> None:
        if error is not None:
            self._fail(chunk.work, error)
        elif not chunk.work.is_over:
            chunk.work.pending.give_back(chunk.places)

    def _bring(self, chunk: Chunk, name: str) -> None:
        stored = chunk.objects.get(name)
        if stored is None:
            raise StoreError("an engine asks for what its chunk does not have", remedy="see `clusterctl logs`")
        engine = chunk.engine.uuid
        chunk.work.brought[engine, name] += 1
        if chunk.work.brought[engine, name] > _MOST_TIMES:
            problem = f"engine {chunk.engine.id} lacks an array again and again that it was brought"
            raise StoreError(problem, remedy="see with `clusterctl exec NAME df -h` whether its disk is full")
        if not isinstance(stored, StoredRows) or not self._has_made(chunk, stored):
            self._supply(chunk, stored)

    def _supply(self, chunk: Chunk, stored: StoredArray) -> None:
        """Have an engine get a file, from another engine that has it or else from here."""

        def ask(step: Mapping[str, Any]) -> dict[str, Any]:
            return self._hear(chunk, self._channel.bring(chunk.engine.uuid, dict(step)), is_tried=True)

        if not self._passer.pass_on(stored, chunk.engine.uuid, ask):
            self._send(chunk, stored)
        if not chunk.work.is_over:
            self._passer.note(stored.name, chunk.engine.uuid)

    def _has_made(self, chunk: Chunk, stored: StoredRows) -> bool:
        """Have an engine make the rows of an array that it has, or is brought now."""
        step = {"act": "make", "name": stored.name, "bytes": stored.bytes, "of": stored.base.name}
        for _ in range(2):
            answer = self._hear(chunk, self._channel.bring(chunk.engine.uuid, step, stored.recipe()))
            if not answer.get("lacks"):
                return not answer.get("differs")
            self._supply(chunk, stored.base)
        return False

    def _send(self, chunk: Chunk, stored: StoredArray) -> None:
        engine, name = chunk.engine.uuid, stored.name
        answer = self._hear(chunk, self._channel.bring(engine, {"act": "begin", "name": name, "bytes": stored.bytes}))
        if answer.get("has"):
            return
        part, offset, sent = answer.get("part"), 0, deque[Any]()
        for piece in stored.pieces():
            if chunk.work.is_over:
                break
            step = {"act": "piece", "part": part, "offset": offset}
            sent.append(self._channel.bring(engine, step, [piece]))
            offset += piece.nbytes
            if len(sent) >= _AT_ONCE:
                self._hear(chunk, sent.popleft())
        while sent:
            self._hear(chunk, sent.popleft())
        self._hear(chunk, self._channel.bring(engine, {"act": "end", "part": part}))
        chunk.work.report.bytes_stored += offset

    def _hear(self, chunk: Chunk, asked: Future[Any], *, is_tried: bool = False) -> dict[str, Any]:
        """Return what an engine answers.

        Args:
            chunk: for which the engine is asked.
            asked: the question.
            is_tried: return also that it could not, since there is another way.

        Raises:
            StoreError: it cannot take the file.
            _EngineLostError: it is gone, or silent, or knows nothing of this file.
        """
        silence = Deadline.after(_SILENT_S)
        while True:
            try:
                answer: dict[str, Any] = asked.result(timeout=_LOOK_S)["content"]
                break
            except (FutureTimeoutError, TimeoutError):
                is_there = chunk.engine.uuid in self._channel.engines().values()
                if not is_there or silence.is_over or self._channel.is_closed:
                    raise _EngineLostError from None
        if answer.get("again"):
            raise _EngineLostError
        if answer.get("error") and not is_tried:
            raise StoreError.on_node(str(answer["error"]), chunk.engine.id)
        return answer
