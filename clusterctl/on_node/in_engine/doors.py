"""Where an engine listens for others, and whom it lets in: for all programs that have lines between engines."""

from __future__ import annotations

import socket
from typing import Any

import zmq
import zmq.utils.z85


def own_address() -> str:
    """Return the address by which this engine reaches its controller: it is that of the cluster's network."""
    from IPython import get_ipython

    engine = get_ipython().kernel.parent
    target = getattr(engine, "registration_url", "").rpartition("://")[2].rpartition(":")[0].strip("[]")
    return _route_to(target or "127.0.0.1")


def _route_to(target: str) -> str:
    info = socket.getaddrinfo(target, 1, type=socket.SOCK_DGRAM)[0]
    with socket.socket(info[0], socket.SOCK_DGRAM) as probe:
        probe.connect(info[4])  # sends nothing
        return str(probe.getsockname()[0])


def endpoint(address: str, port: int | None = None) -> str:
    """Return how ZeroMQ writes an address."""
    host = f"[{address}]" if ":" in address else address
    return f"tcp://{host}" if port is None else f"tcp://{host}:{port}"


class Doorkeeper:
    """Lets each neighbour in at its own port, by its key (ZAP). Who comes before the keys are known waits."""

    def __init__(self, context: Any) -> None:
        self.keys: dict[bytes, str] = {}
        """By the name of the port."""
        self.socket = context.socket(zmq.REP)
        self.socket.bind("inproc://zeromq.zap.01")

    def answer(self) -> None:
        """Answer whoever is at the door."""
        while self.socket.poll(0):
            version, number, domain, _address, _identity, mechanism, *credentials = self.socket.recv_multipart()
            key = self.keys.get(domain)
            is_known = mechanism == b"CURVE" and key is not None and credentials == [zmq.utils.z85.decode(key)]
            verdict = (b"200", b"OK", b"member") if is_known else (b"400", b"no member", b"")
            self.socket.send_multipart([version, number, *verdict, b""])
