"""Probes each part of the controller by what it does, without an engine, and unseen by whoever counts tasks.

A relay is sent through by sockets of ours at both of its ends. The task scheduler is given a task that waits for
itself, which it refuses at once; the heart monitor returns what is sent to it; the hub is asked who is registered.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from .agreed import demands, probes
from .hub_client import DELIMITER, Messages, read_content

if TYPE_CHECKING:
    from collections.abc import Callable

DEAF = "does not answer"
_WAIT_S = 3.0
_AGAIN_S = 0.03
"""A socket that has just connected loses what is sent before the other side has seen it: it is sent again."""


class _Route:
    """A way through one part: where a probe goes in, and where it comes back."""

    def __init__(self, part: str, send: Callable[[], object], answers: zmq.Socket[bytes]) -> None:
        self.part = part
        self.send = send
        self.answers = answers


class ControllerProbe:
    """Sockets at all ends of the controller whose files are in a profile's folder `security`."""

    def __init__(self, client: dict[str, Any], engine: dict[str, Any]) -> None:
        self._messages, self._engine_side = Messages(client), Messages(engine)
        self._engine_side.session = self._messages.session
        self._name = probes.NAME + b"-" + uuid.uuid4().hex[:12].encode()
        self._echoes: list[zmq.Socket[bytes]] = []
        self._task = uuid.uuid4().hex
        self.engines: dict[str, str] | None = None
        """Who is registered, as the hub said last."""
        self.demand: dict[str, float] | None = None
        """What waits with clients, as the hub said last; a hub of an older version does not say it."""
        self.routes = [
            self._ask(probes.HUB, "registration", lambda: self._messages.pack("connection_request", {})),
            self._ask(probes.TASK, "task", self._impossible_task),
            self._relay(probes.DIRECT, "mux"),
            self._relay(probes.CONTROL, "control"),
            self._published(),
            *self._broadcasts(engine["broadcast"]),
            self._heart(),
        ]

    def _client(self, channel: str, suffix: bytes = b"") -> zmq.Socket[bytes]:
        return self._messages.open(zmq.DEALER, channel, identity=self._name + suffix)

    def _echo(self, channel: str | int, number: int = 0) -> bytes:
        """Open an engine's end that returns what comes; return its identity."""
        identity = self._name + b"-%d" % number
        self._echoes.append(self._engine_side.open(zmq.DEALER, channel, identity=identity))
        return identity

    def _ask(self, part: str, channel: str, question: Callable[[], list[bytes]]) -> _Route:
        socket = self._client(channel)
        return _Route(part, lambda: socket.send_multipart(question()), socket)

    def _impossible_task(self) -> list[bytes]:
        """A task after itself, always the same one: the scheduler remembers each, for ever."""
        waits = {"after": [self._task], "nonce": uuid.uuid4().hex}
        return self._messages.pack("apply_request", {}, metadata=waits, msg_id=self._task)

    def _relay(self, part: str, channel: str) -> _Route:
        socket, target = self._client(channel), self._echo(channel)
        return _Route(part, lambda: socket.send_multipart([target, *self._messages.pack("probe", {})]), socket)

    def _published(self) -> _Route:
        out = self._engine_side.open(zmq.PUB, "iopub")
        heard = self._messages.open(zmq.SUB, "iopub")
        heard.subscribe(self._name)
        # Clients hear it too, and pass over what answers nobody.
        return _Route(probes.IOPUB, lambda: out.send_multipart([self._name, *self._messages.pack("probe", {})]), heard)

    def _broadcasts(self, leaves: list[int]) -> list[_Route]:
        return [self._broadcast(number, port) for number, port in enumerate(leaves)]

    def _broadcast(self, number: int, port: int) -> _Route:
        socket, target = self._client("broadcast", b"-leaf-%d" % number), self._echo(port, number)

        def send() -> None:
            metadata = {"targets": [[target.decode(), number]], "is_coalescing": False}
            socket.send_multipart(self._messages.pack("apply_request", {}, metadata=metadata))

        return _Route(f"{probes.BROADCAST} {number}", send, socket)

    def _heart(self) -> _Route:
        socket = self._engine_side.open(zmq.DEALER, "hb_pong", identity=self._name)
        return _Route(probes.HEART, lambda: socket.send(probes.NAME), socket)

    def ask(self, routes: list[_Route], wait_s: float) -> set[str]:
        """Probe; return the names of those that have not answered in time."""
        poller = zmq.Poller()
        for socket in (*self._echoes, *(route.answers for route in routes)):
            _drain(socket)
            poller.register(socket, zmq.POLLIN)
        silent = {route.answers: route for route in routes}
        began = time.monotonic()
        again_s, next_send = _AGAIN_S, began
        while silent and time.monotonic() < began + wait_s:
            if time.monotonic() >= next_send:
                for route in silent.values():
                    route.send()
                next_send, again_s = time.monotonic() + again_s, 2 * again_s
            until = min(next_send, began + wait_s)
            for socket, _ in poller.poll(max(1, int(1000 * (until - time.monotonic())))):
                frames = socket.recv_multipart()
                if socket in self._echoes:
                    socket.send_multipart(frames)
                else:
                    self._hear(silent.pop(socket, None), frames)
        return {route.part for route in silent.values()}

    def _hear(self, route: _Route | None, frames: list[bytes]) -> None:
        if route and route.part == probes.HUB and DELIMITER in frames:
            said = read_content(frames)
            self.engines, self.demand = said.get("engines"), said.get(demands.SUMS)

    def close(self) -> None:
        """Close all sockets."""
        self._messages.close()
        self._engine_side.close()


def _drain(socket: zmq.Socket[bytes]) -> None:
    """Forget what came late: it was the answer to an earlier question."""
    while socket.poll(0):
        socket.recv_multipart()


class Prober:
    """Probes the controller of a profile. Keeps its sockets while the files do not change."""

    def __init__(self, profile: str | Path) -> None:
        self._profile = Path(profile)
        self._files: list[dict[str, Any]] = []
        self._probe: ControllerProbe | None = None

    def __call__(self, _pid: int) -> dict[str, Any]:
        """Return the parts with what is wrong with each, and the registered engines, if they are known."""
        files = [load(self._profile / "security" / f"ipcontroller-{side}.json") for side in ("client", "engine")]
        if not all(files):
            return {"parts": [{"part": "controller", "pid": 0, "trouble": "has no connection files"}]}
        if self._probe is None or files != self._files:
            self.close()
            self._files, self._probe = files, ControllerProbe(files[0], files[1])
        pids = load(self._profile / "pid" / probes.PARTS_FILE).get("parts") or {}
        # A controller that an older version started knows no probes: only its hub is asked.
        known = [route for route in self._probe.routes if pids or route.part == probes.HUB]
        self._probe.engines = self._probe.demand = None
        silent = self._probe.ask(known, _WAIT_S)
        parts = [
            {"part": route.part, "pid": pids.get(route.part, 0), "trouble": DEAF if route.part in silent else ""}
            for route in known
        ]
        return {"parts": parts, "facts": {"engines": self._probe.engines, demands.SUMS: self._probe.demand}}

    def close(self) -> None:
        """Close all sockets."""
        if self._probe:
            self._probe.close()
            self._probe = None


def load(path: Path) -> dict[str, Any]:
    """Return what is in a file; nothing where it is not there or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def main(values: dict[str, Any]) -> Prober:
    """Return what probes the controller of `profile`."""
    return Prober(values["profile"])
