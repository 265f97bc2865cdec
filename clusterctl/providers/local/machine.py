"""This machine as seen by a process: the cores it may use, and loopback addresses to listen on."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use: its affinity, bounded by the quota of its control groups."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
        quotas = [quota for quota in (_quota_v2(), _quota_v1()) if quota]
        return max(1, min([cores, *(int(quota) for quota in quotas)]))
    return os.cpu_count() or 1


def _quota_v2() -> float | None:
    """The smallest ``cpu.max`` from our own group up to the root."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    quotas = []
    folder = _CGROUP / own.lstrip("/")
    for group in (folder, *folder.parents):
        if group == _CGROUP.parent:
            break
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _quota_v1() -> float | None:
    quota, period = (_read(_CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def address_for(folder: Path, alias: str) -> str:
    """A loopback address of the node's own, the same every time; ``node007`` ends in 8, the master in 1."""
    digest = hashlib.sha256(os.fsencode(folder)).digest()
    digits = re.search(r"\d+$", alias)
    number = int(digits[0]) + 1 if digits else 1
    return f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + (number - 1) % 254}"


def listen(address: str, port: int) -> socket.socket:
    """Listen there, else at another port, else on 127.0.0.1. Connections wait until somebody accepts them.

    Raises:
        OSError: no port at all.
    """
    for place in ((address, port), (address, 0), ("127.0.0.1", 0)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(128)
        except OSError as exc:
            listener.close()
            last = place[0] == "127.0.0.1" and not place[1]
            if last or exc.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                raise
        else:
            return listener
    raise AssertionError("the last place returns or raises")
