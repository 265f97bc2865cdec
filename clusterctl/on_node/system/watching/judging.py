"""Decides about one instance of a service: it is left alone, or ended, so that its manager starts it anew."""

from __future__ import annotations

import time
from typing import Any

from . import processes

_FAILURES = 2
"""In a row, of an instance that does nothing."""
_BUSY_FAILURES = 20
"""In a row, of one that works hard: a queue of a million tasks is no fault."""
_BUSY = 0.3
"""The share of a core that is hard work."""
_NAMED = 2
_YOUNG_S = 300.0
"""How long an instance may need until its first good probe: on a node that is busy, or slow, a notebook takes minutes,
and whoever is ended while it starts never starts."""


def describe(bad: list[tuple[str, str]]) -> str:
    """Return which parts have which trouble; of many that have the same, the first ones."""
    names: dict[str, list[str]] = {}
    for part, trouble in bad:
        names.setdefault(trouble, []).append(part)
    said = []
    for trouble, parts in names.items():
        more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
        said.append(f"{', '.join(parts[:_NAMED])}{more} {trouble}")
    return "; ".join(said)


class Judge:
    """What is remembered of one instance of a service.

    Args:
        young_s: how long it may need until its first good probe.
    """

    def __init__(self, young_s: float = _YOUNG_S) -> None:
        self._young_s = young_s
        self.pid = 0
        self._since = ""
        self._born = self._looked = 0.0
        self._cpu = 0.0
        self._failures = 0
        self._was_well = False

    def hear(self, pid: int, findings: dict[str, Any]) -> str:
        """Take in what a probe found of the process; return why the instance must be ended, or an empty text."""
        now = time.monotonic()
        since = processes.started(pid)
        if (pid, since) != (self.pid, self._since):
            self.pid, self._since, self._born, self._failures, self._was_well = pid, since, now, 0, False
        bad = [part for part in findings["parts"] if part["trouble"]]
        if not bad:
            self._failures, self._was_well, self._looked = 0, True, now
            return ""
        pids = [part["pid"] for part in bad if part["pid"]] or processes.tree(pid)
        busy = self._is_busy(pids, now)
        if not self._was_well and now - self._born < self._young_s:
            return ""
        self._failures += 1
        if self._failures < (_BUSY_FAILURES if busy else _FAILURES):
            return ""
        self._failures = 0
        return describe([(part["part"], part["trouble"]) for part in bad])

    def _is_busy(self, pids: list[int], now: float) -> bool:
        used = processes.cpu_s(pids)
        share = (used - self._cpu) / max(now - self._looked, 0.001)
        self._cpu, self._looked = used, now
        return self._failures > 0 and share > _BUSY
