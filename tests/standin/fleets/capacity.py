"""How many machines a pool has: one pool is a type in a zone on a market, unlimited until a test says otherwise."""

from __future__ import annotations

import threading

ANY = "*"
SPOT = "spot"
ON_DEMAND = "on-demand"
Pool = tuple[str, str, str]
"""Type, zone, market; `*` in a limit stands for all."""


class Capacity:
    """`cloud.capacity["c7i.large", "us-east-1a", "spot"] = 3`: three may run there at once.

    A limit with `*` holds for each pool that it covers, not for all of them together. What is running counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[Pool, int] = {}

    def __setitem__(self, pool: Pool, limit: int) -> None:
        with self._lock:
            self._limits[pool] = limit

    def __delitem__(self, pool: Pool) -> None:
        with self._lock:
            del self._limits[pool]

    def clear(self) -> None:
        """All pools are unlimited again."""
        with self._lock:
            self._limits.clear()

    def limit(self, pool: Pool) -> int | None:
        """The tightest limit that covers this pool, or None."""
        with self._lock:
            found = [limit for covered, limit in self._limits.items() if covers(covered, pool)]
        return min(found, default=None)


def covers(pattern: Pool, pool: Pool) -> bool:
    """Whether a pattern with `*` covers this pool."""
    return all(said in (ANY, value) for said, value in zip(pattern, pool, strict=True))


def shortage(pool: Pool, *, others: list[str]) -> tuple[str, str]:
    """Code and message for a pool that has none left.

    As in "Insufficient instance capacity" of the EC2 user guide and in answers that users have quoted; EC2 also says
    UnfulfillableCapacity for spot: a fault can ask for that.
    """
    name, zone, market = pool
    if market == SPOT:
        return "InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request."
    hint = f" or choosing {', '.join(others)}" if others else ""
    return (
        "InsufficientInstanceCapacity",
        (
            f"We currently do not have sufficient {name} capacity in the Availability Zone you requested ({zone}). Our"
            f" system will be working on provisioning additional capacity. You can currently get {name} capacity by not"
            f" specifying an Availability Zone in your request{hint}."
        ),
    )
