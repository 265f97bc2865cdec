"""The clocks that an end is judged by. The clock of the wall is none of them: whoever sets it ends no cluster."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Moment(NamedTuple):
    """A moment of one boot of this machine."""

    boot: str
    """Which boot; empty where the system does not say."""
    awake_s: float
    """Seconds for which the machine has been awake: one that sleeps is not idle, since nobody can work on it."""
    up_s: float
    """Seconds since the boot, asleep or not: what LIFETIME counts."""

    def since(self, earlier: Moment) -> tuple[float, float]:
        """Return the seconds awake, and all seconds, since an earlier moment; none since one of another boot."""
        if self.boot != earlier.boot or self.up_s < earlier.up_s:
            return 0.0, 0.0
        return max(0.0, self.awake_s - earlier.awake_s), self.up_s - earlier.up_s


def now() -> Moment:
    """Return this moment."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    awake_s = time.monotonic()
    return Moment(boot, awake_s, awake_s if clock is None else time.clock_gettime(clock))
