"""What nodes cost, as providers say it and commands show it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Span:
    """From the least to the most, in USD an hour."""

    low: Decimal
    high: Decimal

    def __add__(self, other: Span) -> Span:
        """Of both together."""
        return Span(self.low + other.low, self.high + other.high)

    def times(self, count: int) -> Span:
        """Of so many."""
        return Span(self.low * count, self.high * count)


@dataclass(frozen=True)
class QuotedGroup:
    """New nodes that are alike, and what an hour of each costs now."""

    role: str
    """``master`` or ``worker``."""
    count: int
    types: tuple[str, ...]
    """Those that may be taken, the cheapest first."""
    market: str
    zone: str
    """Where it would cost that; empty: in any zone."""
    each: Span | None
    """Over the types that may be taken; None where nobody could say."""
    on_demand: Span | None
    """The same on demand."""
    bid: Decimal | None = None
    """Most that is paid for an hour of a spot instance."""


@dataclass(frozen=True)
class QuotedPart:
    """Something besides the machines that costs by the hour."""

    name: str
    """Such as ``root disks``."""
    what: str
    """Such as ``3 x 8 GB gp3``."""
    hourly: Decimal | None
    """Of all of them, in USD; None where nobody could say."""


@dataclass(frozen=True)
class QuotedLimit:
    """What the account may still have, of what the new nodes need."""

    name: str
    needed: int | None
    """Processors, at most; None where nobody could say."""
    left: int | None


@dataclass(frozen=True)
class Estimate:
    """What the new nodes of a plan cost."""

    place: str
    """Such as the region."""
    groups: tuple[QuotedGroup, ...]
    parts: tuple[QuotedPart, ...]
    limits: tuple[QuotedLimit, ...]
    notes: tuple[str, ...]
    """What is to be known of these numbers, such as that they are old."""

    @property
    def complete(self) -> bool:
        """Whether every price is known."""
        prices = [*(group.each for group in self.groups), *(part.hourly for part in self.parts)]
        return None not in prices

    @property
    def hourly(self) -> Span:
        """All that is known, in USD an hour."""
        return self._sum(on_demand=False)

    @property
    def hourly_on_demand(self) -> Span:
        """The same if every spot instance had to be had on demand."""
        return self._sum(on_demand=True)

    def _sum(self, *, on_demand: bool) -> Span:
        total = Span(Decimal(0), Decimal(0))
        for group in self.groups:
            each = group.on_demand if on_demand else group.each
            total = total + each.times(group.count) if each else total
        for part in self.parts:
            total = total + Span(part.hourly, part.hourly) if part.hourly is not None else total
        return total


@dataclass(frozen=True)
class Spending:
    """What the nodes that there are cost, in USD. What has ended is not in it."""

    hourly: Decimal
    so_far: Decimal
    """Since each was launched."""
    notes: tuple[str, ...] = ()
    """What is not in it, or is not exact."""
