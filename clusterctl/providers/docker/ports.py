"""Ports of this computer for the nodes' SSH servers: chosen once, so that they outlive a restart."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.docker.records import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LOWEST, _HIGHEST = 10000, 32767
_TRIES = 200
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TAKEN = ("port is already allocated", "address already in use", "ports are not available")


class Ports:
    """Gives each port once. Those of stopped nodes are taken too, though nobody listens on them."""

    def __init__(self, taken: Iterable[int], is_free: Callable[[int], bool] | None = None) -> None:
        self._taken = set(taken)
        self._is_free = is_free or _nobody_listens
        self._range = range(_LOWEST, highest(_ephemeral_range()) + 1)
        self._lock = threading.Lock()

    def take(self) -> int:
        """A port that nobody listens on now.

        Raises:
            ProviderError: none was found.
        """
        with self._lock:
            untaken = [port for port in self._range if port not in self._taken]
            for port in random.sample(untaken, min(_TRIES, len(untaken))):
                if self._is_free(port):
                    self._taken.add(port)
                    return port
        raise ProviderError(
            f"no port from {self._range[0]} to {self._range[-1]} is free on this computer",
            remedy="end programs that hold many ports, then start again",
        )


def highest(ephemeral: str) -> int:
    """The highest port to choose: the system gives those of its own range to anybody, at any time.

    Args:
        ephemeral: that range as Linux writes it, ``32768	60999``; empty where it is not known.
    """
    first = ephemeral.split()[:1]
    return max(_LOWEST + _TRIES, min(_HIGHEST, int(first[0]) - 1)) if first else _HIGHEST


def is_conflict(message: str) -> bool:
    """Whether an engine that could not start a container means that its port is taken."""
    return any(sign in message for sign in _TAKEN)


def _ephemeral_range() -> str:
    return _EPHEMERAL.read_text(encoding="ascii") if _EPHEMERAL.exists() else ""


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
