"""Ports of this computer for the nodes' SSH servers. Each is chosen once and stays the same after a restart."""

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


class PortAllocator:
    """Allocates each port once. The ports of stopped nodes count as taken, although they are not in use."""

    def __init__(self, taken: Iterable[int], is_free: Callable[[int], bool] | None = None) -> None:
        self._taken = set(taken)
        self._is_free = is_free or _is_unused
        self._range = range(_LOWEST, highest_port(_ephemeral_range()) + 1)
        self._lock = threading.Lock()

    def allocate_port(self) -> int:
        """Return a port that is not in use now.

        Raises:
            ProviderError: there is no free port.
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


def highest_port(ephemeral: str) -> int:
    """Return the highest port to choose. The system may give ports of its ephemeral range to any program.

    Args:
        ephemeral: that range as Linux writes it, ``32768	60999``; empty if it is not known.
    """
    first = ephemeral.split()[:1]
    return max(_LOWEST + _TRIES, min(_HIGHEST, int(first[0]) - 1)) if first else _HIGHEST


def is_port_conflict(message: str) -> bool:
    """Return whether an error message of the engine means that the port of a container is taken."""
    return any(sign in message for sign in _TAKEN)


def _ephemeral_range() -> str:
    return _EPHEMERAL.read_text(encoding="ascii") if _EPHEMERAL.exists() else ""


def _is_unused(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
