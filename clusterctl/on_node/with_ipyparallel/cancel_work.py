"""Ends what runs and what waits on a cluster, of everybody or of one client, or only tells what there is.

The order is what makes nothing begin anew: clients are told first, so that none sends again what comes back to it; then
the task scheduler's queue is emptied; then engines leave out what waits with them, and are interrupted. A message goes
to each engine behind all that waits there: when it is answered, the engine is free. One that is not by then is killed
by its nanny, and its service starts it anew.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from .agreed import cancels
from .hub_client import DELIMITER, Hub, read_content

if TYPE_CHECKING:
    from collections.abc import Iterable

_ANSWER_S = 10.0
_LIVING_S = 2.0
"""For an engine's thread of control messages."""
_EMPTY = {"code": "", "silent": True, "user_expressions": {}}


class Cancellation:
    """One request, to all who have work."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._request = {"client": values["client"], "look": values["look"]}
        self._waits_s: float = values["wait_s"]
        self._with_engines: bool = values["engines"]
        connection = json.loads((Path(values["security"]) / "ipcontroller-client.json").read_text(encoding="utf-8"))
        self._hub = Hub(connection)
        self.answer: dict[str, Any] = {"answered": False, "knows": True, "engines": {}, "running": {}, "waiting": {}}
        self.answer |= {"interrupted": [], "ended": [], "deaf": []}

    def run(self) -> dict[str, Any]:
        """Do it; return what was there and what became of it, as `clusterctl.hub.Cancelled` has it."""
        engines = self._ask(self._hub.socket, "connection_request", {}).get("engines")
        if not isinstance(engines, dict):
            return self.answer
        self.answer |= {"answered": True, "engines": engines}
        if not self._request["look"]:
            told = self._ask(self._hub.socket, cancels.REQUEST, self._request)
            self.answer["knows"] = told.get("status") == "ok"
        if self.answer["knows"]:
            queue = self._hub.open(zmq.DEALER, "task", identity=self._name())
            self.answer["waiting"] = self._ask(queue, cancels.REQUEST, self._request).get("waiting", {})
        if self._with_engines:
            self._free(engines)
        return self.answer

    @staticmethod
    def _name() -> bytes:
        return cancels.NAME + b"-" + uuid.uuid4().hex[:12].encode()

    def _ask(self, socket: zmq.Socket[bytes], kind: str, content: dict[str, Any]) -> dict[str, Any]:
        socket.send_multipart(self._hub.pack(kind, content))
        return read_content(socket.recv_multipart()) if socket.poll(int(1000 * _ANSWER_S)) else {}

    def _free(self, engines: dict[str, str]) -> None:
        """Have engines leave out what waits, and end what they are at; see to it that they do."""
        markers = {number: uuid.uuid4().hex for number in engines}
        requests = {number: {**self._request, "marker": marker} for number, marker in markers.items()}
        heard = self._tell(engines, cancels.REQUEST, requests)
        self.answer["running"] = {number: content["was_at"] for number, content in heard.items() if content["was_at"]}
        deaf = [*engines.keys() - heard.keys()]
        self.answer["deaf"] = deaf
        if self._request["look"]:
            return
        asked, interrupted = {*heard}, {*self.answer["running"]}
        if not self._request["client"]:  # what these are at is known to nobody, so neither is whose it is
            signalled = {*self._signal(self._busy(deaf, engines), "SIGINT")}
            asked, interrupted = asked | signalled, interrupted | signalled
        direct = self._hub.open(zmq.DEALER, "mux", identity=self._name())
        for number in asked:
            parts = self._hub.pack("execute_request", _EMPTY, msg_id=markers[number])
            direct.send_multipart([engines[number].encode(), *parts])
        freed = self._hear(direct, {engines[number]: number for number in asked}, self._waits_s)
        stuck = interrupted - freed.keys()
        self._signal({number: engines[number] for number in stuck}, "SIGKILL")
        self.answer |= {"interrupted": [*interrupted - stuck], "ended": [*stuck], "deaf": [*{*deaf} - asked]}

    def _busy(self, numbers: Iterable[str], engines: dict[str, str]) -> dict[str, str]:
        """Return those of these engines that have work, as the hub knows."""
        queues = self._ask(self._hub.socket, "queue_request", {"targets": None, "verbose": False})
        busy = [number for number in numbers if any(queues.get(number, {}).get(key) for key in ("queue", "tasks"))]
        return {number: engines[number] for number in busy}

    def _signal(self, engines: dict[str, str], signal: str) -> Iterable[str]:
        """Have these engines' nannies send them a signal, also where they are deaf; return those whose nannies did."""
        return self._tell(engines, "signal_request", {number: {"sig": signal} for number in engines})

    def _tell(
        self, engines: dict[str, str], kind: str, contents: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Send each of these engines a message of control; return the answers that came in time."""
        control = self._hub.open(zmq.DEALER, "control", identity=self._name())
        for number, engine in engines.items():
            control.send_multipart([engine.encode(), *self._hub.pack(kind, contents[number])])
        return self._hear(control, {engine: number for number, engine in engines.items()}, _LIVING_S)

    @staticmethod
    def _hear(socket: zmq.Socket[bytes], awaited: dict[str, str], wait_s: float) -> dict[str, dict[str, Any]]:
        """Return the answers of these engines, by their numbers: those that came in time."""
        answers: dict[str, dict[str, Any]] = {}
        until = time.monotonic() + wait_s
        while len(answers) < len(awaited) and socket.poll(max(0, int(1000 * (until - time.monotonic())))):
            frames = socket.recv_multipart()
            number = awaited.get(_sender(frames))
            if number is not None:
                answers[number] = read_content(frames)
        return answers

    def close(self) -> None:
        """Close all sockets, once all that was sent is gone."""
        self._hub.close()


def _sender(frames: Iterable[bytes]) -> str:
    first = next(iter(frames))
    return "" if first == DELIMITER else first.decode(errors="replace")


def main(values: dict[str, Any]) -> None:
    """Do it, and print what became of it as JSON.

    `security` is the folder of the controller's files, `client` the session of a client or empty for all, `look`
    whether to tell only, `engines` whether engines are freed, `wait_s` the seconds that each has for that.
    """
    cancellation = Cancellation(values)
    try:
        print(json.dumps(cancellation.run()))
    finally:
        cancellation.close()
