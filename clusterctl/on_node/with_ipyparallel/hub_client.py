"""Speaks the controller's own protocol: a DEALER socket, JSON, and an HMAC where there is no CURVE.

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

_DELIMITER = b"<IDS|MSG>"


class Hub:
    """The controller's registration socket, by the content of one of its connection files."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self.connection = connection
        self.session = uuid.uuid4().hex
        self.context = zmq.Context()
        self.socket = self.open(zmq.DEALER, "registration")

    def open(self, kind: int, channel: str) -> zmq.Socket[bytes]:
        """Open another socket, to a channel of the connection file."""
        opened = self.context.socket(kind)
        opened.linger = 0
        if self.connection.get("curve_serverkey"):
            opened.curve_serverkey = self.connection["curve_serverkey"].encode()
            opened.curve_publickey, opened.curve_secretkey = zmq.curve_keypair()
        opened.connect(f"{self.connection['interface']}:{self.connection[channel]}")
        return opened

    def send(self, kind: str, content: Mapping[str, Any]) -> None:
        """Send a message of this kind."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "clusterctl",
            "session": self.session,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "version": "5.3",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        key = self.connection["key"].encode()
        signature = hmac.new(key, digestmod=hashlib.sha256)
        for part in parts:
            signature.update(part)
        self.socket.send_multipart([_DELIMITER, signature.hexdigest().encode() if key else b"", *parts])

    def receive(self) -> dict[str, Any]:
        """Return the content of the next message."""
        parts = self.socket.recv_multipart()
        content: dict[str, Any] = json.loads(parts[parts.index(_DELIMITER) + 5])
        return content

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
        hub.context.destroy(0)
