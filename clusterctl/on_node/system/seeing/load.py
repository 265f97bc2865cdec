"""The load of this machine: processors, memory, disks. A container's own, where it has numbers of its own.

What a system does not tell is None.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

_CGROUP = "/sys/fs/cgroup"
_DISKS_S = 30.0
"""Between two looks at disks."""


def read_text(path: str) -> str:
    """Return what is in a file of the kernel; nothing where it has none."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


class Processors:
    """Says how busy the processors were since it was last asked."""

    def __init__(self) -> None:
        self._is_container = bool(read_text(f"{_CGROUP}/memory.current"))  # the kernel's own group has none
        self.cores = self._count_cores()
        self._before = self._read()

    def _count_cores(self) -> float:
        quota, _, period = read_text(f"{_CGROUP}/cpu.max").partition(" ") if self._is_container else ("", "", "")
        try:
            return int(quota) / int(period)
        except (ValueError, ZeroDivisionError):  # as many as there are: `max`
            return float(os.cpu_count() or 1)

    def _read(self) -> tuple[float, float] | None:
        """Return the seconds that the processors have worked, and those that they could have."""
        if self._is_container:
            for line in read_text(f"{_CGROUP}/cpu.stat").splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6, time.monotonic() * self.cores
        ticks = [int(word) for word in read_text("/proc/stat").partition("\n")[0].split()[1:9]]
        if len(ticks) < 5:
            return None
        return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))  # 3 and 4: idle, waiting for a disk

    def busy(self) -> float | None:
        """Return the share of all cores that were busy, from 0 to 1."""
        before, now = self._before, self._read()
        self._before = now
        if before is None or now is None or now[1] <= before[1]:
            return None
        return min(1.0, max(0.0, (now[0] - before[0]) / (now[1] - before[1])))


def read_memory() -> list[int] | None:
    """Return the bytes of memory that are used, caches left out, and those that there are."""
    facts = {}
    for line in read_text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        facts[name] = 1024 * int(rest.split()[0])
    if "MemTotal" not in facts or "MemAvailable" not in facts:
        return None
    total, used = facts["MemTotal"], facts["MemTotal"] - facts["MemAvailable"]
    own = read_text(f"{_CGROUP}/memory.current").strip()
    if own.isdigit():
        most = read_text(f"{_CGROUP}/memory.max").strip()
        total = min(total, int(most)) if most.isdigit() else total
        lines = read_text(f"{_CGROUP}/memory.stat").splitlines()
        cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        used = max(0, int(own) - cached)
    return [used, total]


class Disks:
    """Says how full disks are. A shared folder whose server is gone answers never: only a thread of its own waits."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._known: dict[str, list[int]] = {}
        self._at: dict[str, float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            seen = set()
            for path in self._paths:
                try:
                    device, facts = Path(path).stat().st_dev, os.statvfs(path)
                except OSError:
                    continue
                if device not in seen:
                    seen.add(device)
                    size = facts.f_frsize or facts.f_bsize
                    # As `df` counts: what only root may use is neither used nor free.
                    used = facts.f_blocks - facts.f_bfree
                    self._known[path] = [used * size, (used + facts.f_bavail) * size]
                    self._at[path] = time.monotonic()
            time.sleep(_DISKS_S)

    def read(self) -> list[list[Any]]:
        """Return for each disk its path, the bytes that are used, and those that there are."""
        now = time.monotonic()
        return [[path, *known] for path, known in list(self._known.items()) if now - self._at[path] < 3 * _DISKS_S]
