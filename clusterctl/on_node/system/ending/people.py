"""Who works on this node by himself: logins, and processes of the cluster user's that compute."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from pathlib import Path
from typing import NamedTuple

from .records import plain

_PROC = Path("/proc")
_TICKS_S = os.sysconf("SC_CLK_TCK")
_SHARE = 0.05
"""Of a core: a process that takes more is at work."""
_OWN = ("controller-", "watch-", "spot-")
"""Services whose processes are never work: what they do all day is to wait."""
_QUIET = ("notebook-",)
"""Services whose first process is none, and what it starts may be."""
_SERVER = "sshd"
_TERMINALS = "/dev/pts/"


class _Process(NamedTuple):
    pid: int
    parent: int
    name: str
    began: str
    age_s: float
    used_s: float
    uid: int


class People:
    """What is remembered of the processes of this node.

    Args:
        root: the folder of a local node; empty on a machine, which belongs to one cluster.
        window_s: for how long a process must have computed.
        but: processes that are no work.
    """

    def __init__(self, root: str, window_s: float, *, but: frozenset[int] = frozenset()) -> None:
        self._root, self._but = root, but
        self._window_s = window_s
        self._samples: deque[tuple[float, dict[tuple[int, str], float]]] = deque()

    def look(self, uid: int, services: dict[str, int], awake_s: float) -> dict[str, str]:
        """Return who works: by ``logins`` and ``processes`` what to call it.

        Args:
            uid: the cluster user.
            services: the processes of this node's services, by ``NAME-N``.
            awake_s: the clock.
        """
        present = _all_processes()
        mine, servers = self._mine(present, uid)
        mine -= self._but
        work = {}
        if login := self._login(present, mine, servers):
            work["logins"] = f"a login ({plain(login.name)})"
        if busy := self._busy(mine - servers - _idle_ones(present, services), present, awake_s):
            work["processes"] = f"process {busy.pid} ({plain(busy.name)})"
        return work

    def mine(self, uid: int) -> set[int]:
        """Return the processes of this node's cluster user."""
        return self._mine(_all_processes(), uid)[0] - self._but

    def _mine(self, present: dict[int, _Process], uid: int) -> tuple[set[int], set[int]]:
        """Return the processes of this node's cluster user, and those that let others log in."""
        if not self._root:
            servers = {pid for pid, process in present.items() if process.name.startswith(_SERVER)}
            return {pid for pid, process in present.items() if process.uid == uid}, servers
        about = _local(self._root)
        return _below(present, {about.get("guardian", -1)}), {about.get("pid", -1)}

    def _login(self, present: dict[int, _Process], mine: set[int], servers: set[int]) -> _Process | None:
        """Return what somebody who is logged in runs. A question of `status` is no login: it is over at once."""
        young_s = min(10.0, self._window_s / 4)
        for pid in sorted(mine - servers):
            process = present[pid]
            if process.parent in servers and process.age_s > young_s and not process.name.startswith(_SERVER):
                return process
        return None

    def _busy(self, pids: set[int], present: dict[int, _Process], awake_s: float) -> _Process | None:
        """Return a process that has computed in the window: what it did in a part of it counts for all of it."""
        used = {(pid, present[pid].began): present[pid].used_s for pid in pids}
        self._samples.append((awake_s, used))
        while len(self._samples) > 2 and awake_s - self._samples[1][0] >= self._window_s:
            self._samples.popleft()
        busiest, most = None, _SHARE
        for key, used_s in used.items():
            earlier = next(((at, sample[key]) for at, sample in self._samples if key in sample), (awake_s, used_s))
            share = (used_s - earlier[1]) / self._window_s
            if share > most:
                busiest, most = present[key[0]], share
        return busiest

    def tell(self, uid: int, text: str) -> None:
        """Write a line to the terminals of this node. One that does not take it is left out: it may be stopped."""
        present = _all_processes()
        for tty in {_terminal(pid) for pid in self._mine(present, uid)[0]} - {""}:
            with contextlib.suppress(OSError):
                opened = os.open(tty, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                try:
                    os.write(opened, f"\r\n*** {plain(text)}\r\n".encode())
                finally:
                    os.close(opened)


def _terminal(pid: int) -> str:
    """Return the terminal that a process reads; empty without one."""
    try:
        tty = str((_PROC / str(pid) / "fd" / "0").readlink())
    except OSError:
        return ""
    return tty if tty.startswith(_TERMINALS) else ""


def _all_processes() -> dict[int, _Process]:
    try:
        up_s = float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return {}
    present = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            uid = folder.stat().st_uid
            name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            fields = rest.split()
            used_s = (int(fields[11]) + int(fields[12])) / _TICKS_S
            age_s = up_s - int(fields[19]) / _TICKS_S
            pid = int(folder.name)
            present[pid] = _Process(pid, int(fields[1]), name.partition("(")[2], fields[19], age_s, used_s, uid)
        except (OSError, ValueError, IndexError):  # it has just ended
            continue
    return present


def _below(present: dict[int, _Process], roots: set[int]) -> set[int]:
    """Return these processes and all their descendants."""
    below = roots & present.keys()
    grown = True
    while grown:
        more = {pid for pid, process in present.items() if process.parent in below and pid not in below}
        below |= more
        grown = bool(more)
    return below


def _idle_ones(present: dict[int, _Process], services: dict[str, int]) -> set[int]:
    """Return processes that are ours, and never anybody's work."""
    own = _below(present, {pid for name, pid in services.items() if name.startswith(_OWN)})
    quiet = {pid for name, pid in services.items() if name.startswith(_QUIET)}
    # Who starts the services, and the servers for logins with what they are made of.
    managers = {present[pid].parent for pid in services.values() if pid in present}
    return own | quiet | managers


def _local(root: str) -> dict[str, int]:
    """Return what a local node's guardian has written down."""
    try:
        about = json.loads((Path(root) / "pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}
