"""The addresses that moto gives: one run at a time may have them on this computer."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...docker_engine import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBNET = "172.31.0.0/16"
PREFIX = 16
GATEWAY = "172.31.0.1"
"""Amazon keeps the first addresses of each of its subnets, so no instance ever has this one."""
METADATA = "169.254.169.254"
_PATIENCE_S = 1800.0


@contextmanager
def claimed() -> Iterator[None]:
    """Have the addresses to oneself: whatever of an earlier run still has them may be removed.

    The lock goes with the process, so a run that was killed keeps nobody waiting.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(CACHE / "standin-subnet.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while not _lock(descriptor):
            assert time.monotonic() < deadline, f"another run of the tests has kept {SUBNET} for {_PATIENCE_S:.0f} s"
            threading.Event().wait(0.2)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
