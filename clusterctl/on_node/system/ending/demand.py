"""Demand: what clients say that waits for engines, in files of the home. The one reader of them.

The controller writes such a file for each client that maps (`with_ipyparallel/records/demand_files.py`); whoever else
has work may write one: ``<home>/.clusterctl/demand/NAME.json``.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_AHEAD_S = 86_400.0
_FRESH_S = 300.0


@dataclass(frozen=True)
class Demand:
    """What one client wants. Numbers that cannot be are none."""

    items: int
    """How many wait."""
    item_s: float
    """Seconds that one takes; 0 if nobody knows."""
    engines: int
    """How many engines are wanted; 0: as many as there are."""
    until: float
    """Seconds since 1970, by the clock of the client, after which it is forgotten."""
    rate: float = 0.0
    """How many were done in a second of late."""


def parse_demand(text: str) -> Demand | None:
    """Return the demand in a file's text: ``items``, ``item_s``, ``engines``, ``until``; None where it is none.

    ``rate`` is there where a client of ours maps.
    """
    try:
        said = json.loads(text)
        if not isinstance(said, dict):
            return None
        items, item_s, engines, rate, until = (
            _number(said[name]) if name in ("items", "until") else _number(said.get(name, 0))
            for name in ("items", "item_s", "engines", "rate", "until")
        )
    except (ValueError, KeyError, RecursionError):
        return None
    return Demand(int(items), item_s, int(engines), until, rate) if items >= 1 else None


def in_date_at(texts: Mapping[str, str], wall_s: float) -> dict[str, Demand]:
    """Return the demand that is in date by the clock alone, for who has not looked before, by the names of the files.

    Args:
        texts: what the files have, by their names.
        wall_s: seconds since 1970.
    """
    demands = {name: parse_demand(text) for name, text in texts.items()}
    return {
        name: demand for name, demand in demands.items() if demand and wall_s < demand.until < wall_s + _MOST_AHEAD_S
    }


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("no number")
    if not 0 <= value <= 1e12:
        raise ValueError("no such number")
    return float(value)


class Demands:
    """What is remembered of demand files: a file that changes is in date, whatever clock its client has."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def in_date(self, texts: Mapping[str, str]) -> dict[str, Demand]:
        """Return the demand that is in date, by the names of the files.

        Args:
            texts: what the files have now, by their names.
        """
        awake_s, wall_s = time.monotonic(), time.time()
        first = not self._seen
        self._seen = {name: (text, self._changed(name, text, awake_s, first=first)) for name, text in texts.items()}
        wanted = {}
        for name, (text, changed_s) in self._seen.items():
            demand = parse_demand(text)
            if demand is None:
                continue
            age_s = awake_s - changed_s
            if age_s < _FRESH_S or (wall_s < demand.until and age_s < _MOST_AHEAD_S):
                wanted[name] = demand
        return wanted

    def _changed(self, name: str, text: str, awake_s: float, *, first: bool) -> float:
        """Return when a file was seen to change. One that was there before this process may be old."""
        before = self._seen.get(name)
        if before is None:
            return awake_s - (_FRESH_S if first else 0.0)
        return before[1] if before[0] == text else awake_s
