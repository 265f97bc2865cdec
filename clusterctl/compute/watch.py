"""Watches a client's connections, so that each of its calls ends: with a result, or with an error that says why.

A plain ipyparallel client waits for ever for what cannot come any more: an answer goes back through the connection that
asked, and is dropped when that is a new one. It also misses what is told of engines while it is cut off. All of this
runs in the client's own thread of input and output.

Where a controller starts anew, a scheduler drops without a word what is meant for an engine that is not connected yet.
So a question goes to the engine of a silent call, by the same way. An engine answers one after the other: when it
answers the question and not the call, the call was lost. An engine at work answers later, which proves nothing.
"""

# ruff: noqa: SLF001  ipyparallel's client has no other way in

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from clusterctl.clock import Deadline
from clusterctl.compute.failures import refuse_in_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ipyparallel import Client

_SOCKETS = ("_query_socket", "_control_socket", "_mux_socket", "_task_socket", "_broadcast_socket")
_EVERY_S = 5.0
_LINES_S = 2.0
_SILENT_ASKS = 9
"""In a row, without an answer of the controller: 45 seconds."""
_GONE_ASKS = 3
"""In a row that do not list an engine: a controller that starts anew lists them one by one."""
_CALLS = {"apply_request", "execute_request"}
"""What an engine does one after the other."""
_ASKED_AFTER = 2
"""Rounds without an answer after which a call's engine is asked: 10 seconds, and after twice as many each time."""
LOST = "ConnectionLostError"
"""The name of the error, as `RemoteError.ename` has it."""


@dataclass
class _Call:
    """What waits for an answer."""

    through: Any
    """The socket or the stream that it was sent by."""
    targets: dict[str, int | None]
    """The engines whose answers are missing, by uuid, if the client chose them; of a broadcast with their numbers."""
    is_broadcast: bool
    round: int
    """The round of questions in which it was sent."""

    @property
    def socket(self) -> object:
        """Views send by a stream, the client itself by a socket."""
        return getattr(self.through, "socket", self.through)


@dataclass
class _Question:
    """What was asked of one engine, behind its silent calls."""

    engine: str
    calls: frozenset[str]


@dataclass
class _Silence:
    """How long one way to one engine has been silent, and when to ask again."""

    due: int
    pause: int = _ASKED_AFTER


class Lines:
    """Those by which a client hears of engines, and of what they print."""

    def __init__(self) -> None:
        self._begun: list[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]] = []

    def watch(self, change: Any) -> None:
        """Take in a subscriber's socket that is to be connected, as a change of the client's trait."""
        if change.new is not None:
            self._begun.append((change.new, change.new.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)))

    def wait(self) -> None:
        """Wait until they are there, for two seconds at most.

        What is said before a subscriber's line is there is lost. A call whose end was lost like that, and whose output
        somebody waits for (``execute(..., block=True)``), would never return.
        """
        deadline = Deadline.after(_LINES_S)
        for socket, monitor in self._begun:
            monitor.poll(round(deadline.left_s * 1000))
            socket.disable_monitor()
            monitor.close(linger=0)
        self._begun.clear()


class ClientWatch:
    """The watch of one client, by the name of its cluster."""

    def __init__(self, client: Client, name: str) -> None:
        self._client: Any = client
        self._name = name
        self._sent: dict[str, _Call] = {}
        self._round = 0
        self._silences: dict[tuple[object, str], _Silence] = {}
        self._unanswered = 0
        self._absent: dict[int, int] = {}
        self._send: Callable[..., Any] = self._client._send
        self._close: Callable[..., Any] = self._client.close
        self._monitors: list[Any] = []
        self._questions: dict[str, _Question] = {}
        self._connection_requests: deque[Any] = deque()
        self._is_over = False
        self._process = os.getpid()

    def begin(self) -> None:
        """Watch from now on, until the client is closed."""
        self._client._send = self.send
        self._client.close = self.close
        handlers = self._client._queue_handlers
        handlers["execute_reply"] = partial(self._hear_reply, partial(self.hear_answer, handlers["execute_reply"]))
        # The client itself calls it too, for what an engine that ended has left.
        self._client._handle_apply_reply = handlers["apply_reply"] = partial(self.hear_answer, handlers["apply_reply"])
        self._client._io_loop.add_callback(self._listen)
        self._client._io_loop.add_callback(self._ask)

    def send(self, socket: Any, kind: str, *args: Any, **about: Any) -> Any:
        """Send as the client does, and remember what waits for an answer.

        Raises:
            NoEnginesError: this is a copy of the process that has the client.
        """
        refuse_in_fork(self._process)
        future = self._send(socket, kind, *args, **about)
        if future is None:
            return future
        metadata = about.get("metadata") or {}
        is_broadcast, ident = bool(metadata.get("is_broadcast")), about.get("ident")
        if is_broadcast:
            targets = dict(metadata["targets"])
        elif kind in _CALLS and isinstance(ident, bytes):
            targets = {ident.decode(): None}
        else:
            targets = {}
        waiting = {future: targets}
        if is_broadcast and not metadata.get("is_coalescing"):  # it has an answer of each engine
            answers = {uuid: self._client._futures.get(f"{future.msg_id}_{uuid}") for uuid in targets}
            waiting = {answer: {uuid: targets[uuid]} for uuid, answer in answers.items() if answer is not None}
        for pending, engines in waiting.items():
            self._sent[pending.msg_id] = _Call(socket, engines, is_broadcast, self._round)
            pending.add_done_callback(lambda done: self._sent.pop(done.msg_id, None))
        return future

    def close(self, *args: Any, **about: Any) -> None:
        """Close the client, as it does itself."""
        self._is_over = True
        self._close(*args, **about)

    def _listen(self) -> None:
        """Have each socket say when its connection ends."""
        from zmq.eventloop.zmqstream import ZMQStream

        for name in _SOCKETS:
            socket = getattr(self._client, name)
            stream = ZMQStream(socket.get_monitor_socket(zmq.EVENT_DISCONNECTED), self._client._io_loop)
            stream.on_recv(partial(self._hear, socket))
            self._monitors.append(stream)

    def _hear(self, socket: object, _frames: object) -> None:
        self.hear_disconnect(socket)

    def hear_disconnect(self, socket: object) -> None:
        """Let all fail that was asked through a connection that has ended: no answer finds its way back."""
        lost = [msg_id for msg_id, call in list(self._sent.items()) if call.socket is socket]
        self._fail(lost, f"the connection to the controller of {self._name} was lost before the answer came")

    def _ask(self) -> None:
        """Ask the controller who is registered, again and again."""
        if self._is_over or self._client._closed:
            return
        self._client._io_loop.call_later(_EVERY_S, self._ask)
        self._round += 1
        self.ask_silent_engines()
        self._unanswered += 1
        if self._unanswered > _SILENT_ASKS:
            seconds = (self._unanswered - 1) * _EVERY_S
            self._fail(list(self._sent), f"the controller of {self._name} has not answered for {seconds:.0f} s")
        while len(self._connection_requests) > _SILENT_ASKS:
            request = self._connection_requests.popleft()
            self._client._futures.pop(request.msg_id, None)  # an answer to it would be one too many
            if not request.done():
                request.set_exception(TimeoutError(self._name))
        future = self._send(self._client._query_socket, "connection_request")
        self._connection_requests.append(future)
        future.add_done_callback(lambda done: self._client._io_loop.add_callback(self.hear_engines, done))

    def ask_silent_engines(self) -> None:
        """Ask each engine that has left a call unanswered for long, by the way that the call went."""
        silent: dict[tuple[object, str], dict[str, _Call]] = {}
        for msg_id, call in list(self._sent.items()):
            if self._round - call.round >= _ASKED_AFTER:
                for engine in call.targets:
                    silent.setdefault((call.socket, engine), {})[msg_id] = call
        self._silences = {way: self._silences.get(way) or _Silence(due=self._round) for way in silent}
        for way, silence in self._silences.items():
            if silence.due <= self._round:
                silence.due, silence.pause = self._round + silence.pause, silence.pause * 2
                self._ask_engine(way[1], silent[way])

    def _ask_engine(self, engine: str, calls: dict[str, _Call]) -> None:
        call = next(iter(calls.values()))
        metadata = (
            {"is_broadcast": True, "is_coalescing": False, "targets": [(engine, call.targets[engine])]}
            if call.is_broadcast
            else {}
        )
        content = {"code": "", "silent": True, "user_expressions": {}}
        message = self._client.session.msg("execute_request", content=content, metadata=metadata)
        # Not by the client's own `_send`: nobody waits for this, and no list of the client's has it.
        self._client.session.send(call.through, message, ident=None if call.is_broadcast else engine.encode())
        number = message["header"]["msg_id"]
        number = f"{number}_{engine}" if call.is_broadcast else number
        self._questions[number] = _Question(engine, frozenset(calls))

    def hear_answer(self, handle: Callable[[Any], object], answer: Any) -> None:
        """Let the client have an answer, unless its call has an end already.

        The client would print it, or fail in the middle of what it does: leave other calls of an engine without an end,
        and not read on until something else comes by the same way.
        """
        metadata = answer.get("metadata") or {}
        is_of_all = metadata.get("is_broadcast") and metadata.get("is_coalescing")
        number = metadata["original_msg_id"] if is_of_all else answer["parent_header"].get("msg_id")
        future = self._client._futures.get(number)
        if future is not None and not future.done():
            handle(answer)
        else:
            self._client.outstanding.discard(number)

    def _hear_reply(self, handle: Callable[[Any], object], reply: Any) -> None:
        question = self._questions.pop(reply["parent_header"].get("msg_id"), None)
        if question is None:
            handle(reply)
            return
        lost = []
        for msg_id in question.calls:
            call = self._sent.get(msg_id)
            if call is not None:
                call.targets.pop(question.engine, None)
                lost += [] if call.targets else [msg_id]
        self._fail(lost, f"an engine of {self._name} has answered what was sent later: this call was lost on its way")

    def hear_engines(self, answer: Any) -> None:
        """Bring the client's list of engines up to date: what was given to those that are gone fails."""
        if answer.exception():
            return  # nobody has answered
        engines = answer.result()["content"].get("engines")
        if not isinstance(engines, dict):
            return
        self._unanswered = 0
        listed = {int(number): uuid for number, uuid in engines.items()}
        known = dict(self._client._engines)
        for number, uuid in known.items():
            self._absent[number] = self._absent.get(number, 0) + 1 if number not in listed else 0
            if self._absent[number] >= _GONE_ASKS or listed.get(number, uuid) != uuid:
                self._tell(self._client._unregister_engine, number, uuid)
        for number, uuid in listed.items():
            if self._client._engines.get(number) != uuid:
                self._tell(self._client._register_engine, number, uuid)

    @staticmethod
    def _tell(act: Callable[[Any], object], number: int, uuid: str) -> None:
        act({"content": {"id": number, "uuid": uuid}})

    def _fail(self, messages: Iterable[str], why: str) -> None:
        """End calls with an error, as the client does itself when an engine died."""
        from ipyparallel import error

        for msg_id in messages:
            call = self._sent.get(msg_id)
            targets = call.targets if call is not None else {}
            remedy = f"see `clusterctl status {self._name}`; what was sent may have been done"
            content = {"status": "error", "ename": LOST, "evalue": f"{why} (try: {remedy})", "traceback": []}
            if msg_id in self._client.outstanding:
                reply = self._client.session.msg("apply_reply", content=content)
                reply["parent_header"]["msg_id"] = msg_id
                if len(targets) == 1:
                    reply["metadata"]["engine"] = next(iter(targets))  # which has no more to do with it
                self._client._handle_apply_reply(reply)
            else:
                future = self._client._futures.get(msg_id)
                if future is not None and not future.done():
                    future.set_exception(error.RemoteError(LOST, content["evalue"], ""))
