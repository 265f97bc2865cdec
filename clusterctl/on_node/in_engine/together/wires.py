"""The lines between the members of a group, each between two neighbours of the tree.

A member listens on the address by which its controller knows it, at one port for each neighbour below it, and lets in
that neighbour's key alone (CURVE), once. A line that breaks is never mended: its other end counts as lost.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq
from zmq.utils.monitor import recv_monitor_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Its text comes before this one.
    from ..doors import Doorkeeper, endpoint  # noqa: TC004

HELLO, HEAD, PIECE, VALUE, FAILED, DONE = b"K", b"H", b"P", b"V", b"F", b"D"
"""What a message is, by its first part."""
LOOK_MS = 200
LINGER_MS = 60_000
"""For what neighbours have still to take from a member that has done its part."""
BEAT_MS = 1000


class MemberLostError(ConnectionError):
    """A member of the group has ended, is silent, has raised, or has returned before the others.

    Attributes:
        rank: which one.
        why: what became of it.
    """

    def __init__(self, rank: int, why: str) -> None:
        super().__init__(f"member {rank} of the group {why}")
        self.rank, self.why = rank, why


class Line:
    """One end of the line to a neighbour."""

    def __init__(self, rank: int, wire: Any) -> None:
        self.rank, self.socket = rank, wire
        self.monitor = wire.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.messages: deque[list[Any]] = deque()
        self.failure: list[Any] | None = None
        """What it has said of a member that is lost."""
        self.descriptor: int | None = None
        """Of the neighbour's connection, once it has said something. Strangers have others."""
        self.is_gone = self.has_done = False

    def read(self) -> None:
        """Take in all that has come."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            if self.descriptor is None:
                self.descriptor = parts[0].get(zmq.SRCFD)
            kind = parts[0].bytes
            if kind == FAILED:
                self.failure = self.failure or parts
            elif kind == DONE:
                self.has_done = True
            else:
                self.messages.append(parts)

    def read_monitor(self) -> None:
        """Note whether the neighbour's connection has ended. What it has sent before is there by then."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor, zmq.DONTWAIT)
            self.is_gone |= self.descriptor is not None and event["value"] == self.descriptor
        if self.is_gone:
            self.read()

    def send(self, kind: bytes, *parts: Any) -> bool:
        """Send, without waiting. Return whether the neighbour can get it."""
        try:
            self.socket.send_multipart([kind, *parts], zmq.DONTWAIT, copy=False)
        except zmq.Again:
            self.is_gone = True
        return not self.is_gone


class Wires:
    """All lines of one member."""

    def __init__(self, below: Sequence[int], silence_s: float, address: str) -> None:
        """Listen for those who are below in the tree.

        Args:
            below: their ranks.
            silence_s: a neighbour that is silent for so long counts as lost.
            address: of this machine, in the cluster's network.
        """
        self._context = zmq.Context()
        self._public, self._secret = zmq.curve_keypair()
        self._silence_ms = max(1, int(1000 * silence_s))
        self._doorkeeper = Doorkeeper(self._context)
        self.lines: dict[int, Line] = {}
        self._poller = zmq.Poller()
        self._poller.register(self._doorkeeper.socket, zmq.POLLIN)
        self.address, self.key = address, self._public.decode()
        self.ports: dict[int, int] = {}
        for rank in below:
            wire = self._make_socket()
            wire.curve_server, wire.zap_domain = True, str(rank).encode()
            wire.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            self.ports[rank] = wire.bind_to_random_port(endpoint(address))
            self._add(rank, wire)

    def _make_socket(self) -> Any:
        wire = self._context.socket(zmq.PAIR)
        wire.curve_publickey, wire.curve_secretkey = self._public, self._secret
        wire.ipv6 = ":" in getattr(self, "address", "")
        wire.sndhwm = wire.rcvhwm = 0
        wire.heartbeat_ivl = min(BEAT_MS, self._silence_ms)
        wire.heartbeat_timeout = wire.heartbeat_ttl = self._silence_ms
        wire.tcp_maxrt = self._silence_ms
        wire.handshake_ivl = LINGER_MS
        return wire

    def _add(self, rank: int, wire: Any) -> None:
        line = self.lines[rank] = Line(rank, wire)
        self._poller.register(wire, zmq.POLLIN)
        self._poller.register(line.monitor, zmq.POLLIN)

    def connect(self, above: tuple[int, str, int, str] | None, keys: dict[int, str], deadline_s: float) -> None:
        """Connect with all neighbours.

        Args:
            above: rank, address, port and key of the one above in the tree.
            keys: of those below.
            deadline_s: for all of them.

        Raises:
            MemberLostError: one of them did not come.
        """
        self._doorkeeper.keys = {str(rank).encode(): key for rank, key in keys.items()}
        if above is not None:
            rank, address, port, key = above
            wire = self._make_socket()
            wire.curve_serverkey = key.encode()
            wire.ipv6 = ":" in address
            wire.connect(endpoint(address, port))
            self._add(rank, wire)
            self.lines[rank].send(HELLO)
        until = time.monotonic() + deadline_s
        missing = dict(self.lines)
        while missing:
            self.look()
            for rank, line in list(missing.items()):
                if line.messages:
                    del missing[rank]
                    if line.messages[0][0].bytes == HELLO:
                        line.messages.popleft()
                    if above is None or rank != above[0]:
                        line.send(HELLO)
            if missing and time.monotonic() > until:
                rank = min(missing)
                raise MemberLostError(
                    rank, f"did not connect within {deadline_s:.0f} s: its engine may be at other work"
                )

    def look(self, wait_ms: int = LOOK_MS) -> None:
        """Wait until something has happened, not for long, and take it in."""
        ready = dict(self._poller.poll(wait_ms))
        if self._doorkeeper.socket in ready:
            self._doorkeeper.answer()
        for line in self.lines.values():
            if line.socket in ready:
                line.read()
            if line.monitor in ready:
                line.read_monitor()

    def tell(self, kind: bytes, body: object, *, but: int | None = None) -> None:
        """Send this to all neighbours but one."""
        for line in self.lines.values():
            if line.rank != but:
                line.send(kind, json.dumps(body).encode())

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Let neighbours have what was sent to them, without waiting for it here."""
        threading.Thread(target=self._close, args=(linger_ms,), daemon=True).start()

    def _close(self, linger_ms: int) -> None:
        for line in self.lines.values():
            line.socket.disable_monitor()
        self._context.destroy(linger=linger_ms)
