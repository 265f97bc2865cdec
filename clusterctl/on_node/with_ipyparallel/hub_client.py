"""Speaks the controller's own protocol: JSON in frames, and an HMAC where there is no CURVE.

Importing ipyparallel for this would cost most of a second of processor time, on the machine that is starting engines.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DELIMITER = b"<IDS|MSG>"


class Messages:
    """Makes and reads messages of one session, by the content of a connection file."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self.connection = connection
        self.session = uuid.uuid4().hex
        self.context = zmq.Context()

    def open(self, kind: int, channel: str | int, *, identity: bytes = b"") -> zmq.Socket[bytes]:
        """Open a socket to a channel of the connection file, or to a port."""
        opened = self.context.socket(kind)
        opened.linger = 0
        if identity:
            opened.identity = identity
        if self.connection.get("curve_serverkey"):
            opened.curve_serverkey = self.connection["curve_serverkey"].encode()
            opened.curve_publickey, opened.curve_secretkey = zmq.curve_keypair()
        port = self.connection[channel] if isinstance(channel, str) else channel
        opened.connect(f"{self.connection['interface']}:{port}")
        return opened

    def pack(
        self,
        kind: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        msg_id: str = "",
        buffers: Sequence[bytes] = (),
    ) -> list[bytes]:
        """Return the frames of a message of this kind."""
        header = {
            "msg_id": msg_id or uuid.uuid4().hex,
            "msg_type": kind,
            "username": "clusterctl",
            "session": self.session,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "version": "5.3",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, metadata or {}, content)]
        key = self.connection["key"].encode()
        signature = hmac.new(key, digestmod=hashlib.sha256)
        for part in parts:
            signature.update(part)
        return [DELIMITER, signature.hexdigest().encode() if key else b"", *parts, *buffers]

    def close(self) -> None:
        """Close all sockets."""
        self.context.destroy(0)


def read_content(parts: Sequence[bytes]) -> dict[str, Any]:
    """Return the content of a message."""
    content: dict[str, Any] = json.loads(parts[parts.index(DELIMITER) + 5])
    return content


class Hub(Messages):
    """The controller's registration socket, by the content of one of its connection files."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        super().__init__(connection)
        self.socket = self.open(zmq.DEALER, "registration")

    def send(self, kind: str, content: Mapping[str, Any]) -> None:
        """Send a message of this kind."""
        self.socket.send_multipart(self.pack(kind, content))

    def receive(self) -> dict[str, Any]:
        """Return the content of the next message."""
        return read_content(self.socket.recv_multipart())

    def forget(self, numbers: Sequence[str], wait_s: float) -> bool:
        """Have the controller take these engines off its list; False if it has not said so in time."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            self.send("connection_request", {})
            if not self.socket.poll(1000):
                continue
            engines = self.receive().get("engines")
            if engines is None:
                continue
            listed = [number for number in numbers if str(number) in engines]
            if not listed:
                return True
            for number in listed:
                self.send("unregistration_request", {"id": int(number)})
        return False


def forget_engines(connection_file: str, numbers: Sequence[str], wait_s: float) -> bool:
    """Have the controller of this connection file take these engines off its list; False if it has not in time."""
    hub = Hub(json.loads(Path(connection_file).read_text(encoding="utf-8")))
    try:
        return hub.forget(numbers, wait_s)
    finally:
        hub.close()
