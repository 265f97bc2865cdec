"""Light stand-ins for engines: they register, beat, and answer each call with None. Used by controller.py.

python tests/benchmarks/light_engines.py COUNT ipcontroller-engine.json

One process holds hundreds. Each has the sockets of a real engine, encrypted as its own are: calls (direct, balanced,
broadcast), control, output, and the two of its heart. It prints a line for each that the hub has registered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from ipyparallel.serialize import serialize_object

from clusterctl.on_node.with_ipyparallel.hub_client import DELIMITER, Messages, read_content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NONE = serialize_object(None)
_SOCKETS_EACH = 8


class LightEngine:
    """One of them, by its uuid."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.uuid = uuid.uuid4().hex
        self.registration = self._open(zmq.DEALER, "registration")
        self.registration.send_multipart(messages.pack("registration_request", {"uuid": self.uuid}))
        self.calls: zmq.Socket[bytes] | None = None
        self.ping: zmq.Socket[bytes] | None = None
        self.sockets: list[zmq.Socket[bytes]] = []

    def _open(self, kind: int, channel: str | int) -> zmq.Socket[bytes]:
        return self._messages.open(kind, channel, identity=self.uuid.encode())

    def hear_registration(self) -> int:
        """Connect all that a registered engine has. Return its number."""
        content = read_content(self.registration.recv_multipart())
        if content["status"] != "ok":
            raise SystemExit(f"the hub refused: {content}")
        connection = self._messages.connection
        self.calls = self._open(zmq.ROUTER, "mux")
        broadcast = connection["broadcast"][content["id"] % len(connection["broadcast"])]
        for port in (connection["task"], broadcast):
            self.calls.connect(f"{connection['interface']}:{port}")
        self._pong = self._open(zmq.DEALER, "hb_pong")
        self.ping = self._open(zmq.SUB, "hb_ping")
        self.ping.subscribe(b"")
        self.sockets = [self._open(zmq.ROUTER, "control"), self._open(zmq.PUB, "iopub")]
        return int(content["id"])

    def hear_ping(self, ping: zmq.Socket[bytes]) -> None:
        """Send the beat back, as an engine's heart does."""
        self._pong.send_multipart(ping.recv_multipart())

    def hear_call(self, calls: zmq.Socket[bytes]) -> None:
        """Answer a call with None."""
        frames = calls.recv_multipart()
        at = frames.index(DELIMITER)
        asked = json.loads(frames[at + 4])
        metadata = {
            "engine": self.uuid,
            "started": _now(),
            "dependencies_met": True,
            "status": "ok",
            **{name: asked.get(name) for name in ("is_broadcast", "is_coalescing", "original_msg_id", "label")},
        }
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "apply_reply",
            "username": "",
            "date": _now(),
            "version": "5.3",
        }
        parts = [
            _json({**header, "session": self._messages.session}),
            frames[at + 2],
            _json(metadata),
            _json({"status": "ok"}),
        ]
        calls.send_multipart([*frames[:at], DELIMITER, self._sign(parts), *parts, *_NONE])

    def _sign(self, parts: Sequence[bytes]) -> bytes:
        key = self._messages.connection["key"].encode()
        return hmac.new(key, b"".join(parts), digestmod=hashlib.sha256).hexdigest().encode() if key else b""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _json(part: Mapping[str, Any]) -> bytes:
    return json.dumps(part).encode()


def main() -> None:
    """Register so many, and answer until killed."""
    count, path = int(sys.argv[1]), Path(sys.argv[2])
    messages = Messages(json.loads(path.read_text()))
    messages.context.max_sockets = count * _SOCKETS_EACH + 64
    poller = zmq.Poller()
    act: dict[Any, Any] = {}
    for engine in [LightEngine(messages) for _ in range(count)]:
        poller.register(engine.registration, zmq.POLLIN)
        act[engine.registration] = engine
    while True:
        for ready, _ in poller.poll():
            owner = act[ready]
            if isinstance(owner, LightEngine):
                print(owner.hear_registration(), flush=True)
                poller.unregister(ready)
                ready.close()
                for opened, hear in ((owner.calls, owner.hear_call), (owner.ping, owner.hear_ping)):
                    poller.register(opened, zmq.POLLIN)
                    act[opened] = hear
            else:
                owner(ready)


if __name__ == "__main__":
    main()
