"""What the faults that hit a call change about it, beside refusing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..fleets.capacity import Pool, covers

if TYPE_CHECKING:
    from ..cloud import Cloud


@dataclass
class Effects:
    """Collected from the faults before the call is answered."""

    slow: int = 0
    hidden: int = 0
    doomed: int = 0
    interrupted: int = 0
    notice_s: float = 0
    limits: dict[Pool, int] = field(default_factory=dict)
    shortage_code: str = ""
    shortage_message: str = ""
    quotas: dict[str, float] = field(default_factory=dict)

    def room(self, cloud: Cloud, pool: Pool) -> int | None:
        """How many more of this pool can be had, or None where there is no limit."""
        rooms = [limit for covered, limit in self.limits.items() if covers(covered, pool)]
        limit = cloud.capacity.limit(pool)
        if limit is not None:
            rooms.append(max(0, limit - cloud.lives.taken(*pool)))
        return min(rooms, default=None)

    def quota(self, cloud: Cloud, market: str) -> float:
        """The CPUs that may run on this market."""
        return self.quotas.get(market, cloud.quotas[market])
