"""The addresses of a cloud's instances: one run at a time may have each of these subnets on this computer."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from .cache import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

METADATA = "169.254.169.254"
_PATIENCE_S = 1800.0


@dataclass(frozen=True)
class Subnet:
    """Where the instances of one run are."""

    network: str

    @property
    def gateway(self) -> str:
        """The first address. Amazon keeps the first ones of each of its subnets, so no instance ever has it."""
        return str(ip_network(self.network)[1])

    @property
    def key(self) -> str:
        """The network as a part of a file's name."""
        return self.network.partition("/")[0]


SUBNETS = tuple(Subnet(f"172.{second}.0.0/16") for second in (31, 30, 29))
"""The one of a default VPC, and others for runs at the same time."""
USUAL = SUBNETS[0]


def leave_out(taken: Iterable[str]) -> tuple[Subnet, ...]:
    """The subnets that overlap with none of these networks, such as those that an engine gave to others."""
    networks = [ip_network(network) for network in taken]
    return tuple(s for s in SUBNETS if not any(ip_network(s.network).overlaps(network) for network in networks))


@contextmanager
def claimed(subnets: tuple[Subnet, ...] = (USUAL,)) -> Iterator[Subnet]:
    """Have one of these subnets to oneself: whatever of an earlier run is still there may be removed.

    The lock goes with the process, so a run that was killed keeps nobody waiting.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE_S
    with ExitStack() as stack:
        while not (free := next((subnet for subnet in subnets if _lock(stack, subnet)), None)):
            names = ", ".join(subnet.network for subnet in subnets)
            assert time.monotonic() < deadline, f"other runs of the tests have kept {names} for {_PATIENCE_S:.0f} s"
            threading.Event().wait(0.2)
        yield free


def _lock(stack: ExitStack, subnet: Subnet) -> bool:
    """Lock a subnet until the end of the stack, if it is free."""
    name = "standin-subnet.lock" if subnet == USUAL else f"standin-subnet-{subnet.key}.lock"
    descriptor = os.open(CACHE / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    stack.callback(os.close, descriptor)
    return True
