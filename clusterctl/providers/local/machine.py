"""This machine as a process sees it: its usable cores, and loopback addresses to listen on."""

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
    """Return the number of cores that this process may use: its affinity, limited by the quota of its cgroups."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
        quotas = [quota for quota in (_quota_v2(), _quota_v1()) if quota]
        return max(1, min([cores, *(int(quota) for quota in quotas)]))
    return os.cpu_count() or 1


def _quota_v2() -> float | None:
    """Return the smallest ``cpu.max`` from our own cgroup up to the root, in cores; None without a limit."""
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
        quota, _, period = _read_text(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _quota_v1() -> float | None:
    quota, period = (_read_text(_CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def address_for(folder: Path, alias: str) -> str:
    """Return a loopback address for the node, the same every time. ``node007`` ends in 8, the master in 1."""
    digest = hashlib.sha256(os.fsencode(folder)).digest()
    digits = re.search(r"\d+$", alias)
    number = int(digits[0]) + 1 if digits else 1
    return f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + (number - 1) % 254}"


def open_listener(address: str, port: int) -> socket.socket:
    """Return a socket that listens on this address and port, else on another port, else on 127.0.0.1.

    Raises:
        OSError: no port is available.
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
