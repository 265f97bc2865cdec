"""The cost of nodes, as providers report it and commands show it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from clusterctl.model import Market, Node


@dataclass(frozen=True)
class PriceRange:
    """A range of prices, in USD an hour."""

    low: Decimal
    high: Decimal

    def __add__(self, other: PriceRange) -> PriceRange:
        """Return the sum of two ranges."""
        return PriceRange(self.low + other.low, self.high + other.high)

    def multiplied_by(self, count: int) -> PriceRange:
        """Return the range for `count` items."""
        return PriceRange(self.low * count, self.high * count)


@dataclass(frozen=True)
class QuotedGroup:
    """New nodes of the same kind, and the present price of one for an hour."""

    role: str
    """``master`` or ``worker``."""
    count: int
    types: tuple[str, ...]
    """The allowed instance types, the cheapest first."""
    market: Market
    zone: str
    """The zone of these prices; empty: any zone."""
    node_price: PriceRange | None
    """The price of one node, over the allowed types; None if unknown."""
    on_demand: PriceRange | None
    """The same price on demand."""
    bid: Decimal | None = None
    """The highest price for an hour of a spot instance, in USD."""


@dataclass(frozen=True)
class QuotedPart:
    """An hourly cost besides the machines."""

    name: str
    """The name, such as ``root disks``."""
    details: str
    """The details, such as ``3 x 8 GB gp3``."""
    hourly: Decimal | None
    """The price of all of them, in USD; None if unknown."""


@dataclass(frozen=True)
class QuotedLimit:
    """A quota of the account that the new nodes need a part of."""

    name: str
    needed: int | None
    """The most processors that the nodes may need; None if unknown."""
    left: int | None


@dataclass(frozen=True)
class Estimate:
    """The cost of the new nodes of a plan."""

    place: str
    """The place of these prices, such as the region."""
    groups: tuple[QuotedGroup, ...]
    parts: tuple[QuotedPart, ...]
    limits: tuple[QuotedLimit, ...]
    notes: tuple[str, ...]
    """Notes about these numbers, such as that they are old."""

    @property
    def is_complete(self) -> bool:
        """Whether every price is known."""
        prices = [*(group.node_price for group in self.groups), *(part.hourly for part in self.parts)]
        return None not in prices

    @property
    def hourly(self) -> PriceRange:
        """The sum of all known prices, in USD an hour."""
        return self._sum_prices(on_demand=False)

    @property
    def hourly_on_demand(self) -> PriceRange:
        """The same sum with every spot instance at its price on demand."""
        return self._sum_prices(on_demand=True)

    def _sum_prices(self, *, on_demand: bool) -> PriceRange:
        total = PriceRange(Decimal(0), Decimal(0))
        for group in self.groups:
            price = group.on_demand if on_demand else group.node_price
            total = total + price.multiplied_by(group.count) if price else total
        for part in self.parts:
            total = total + PriceRange(part.hourly, part.hourly) if part.hourly is not None else total
        return total


@runtime_checkable
class Listed(Protocol):
    """A provider whose prices on demand are known without a call, as of a certain day."""

    def list_price(self, node: Node) -> Decimal | None:
        """Return the price of a node on demand, in USD an hour; None if it is not known."""
        ...


@dataclass(frozen=True)
class Spending:
    """The cost of a cluster, in USD."""

    hourly: Decimal
    """Of what exists now."""
    so_far: Decimal
    """The sum since the first launch, nodes that have ended included."""
    notes: tuple[str, ...] = ()
    """Notes about costs that are not included or not exact."""


@dataclass(frozen=True)
class BillLine:
    """One run of a machine, or the life of a volume that outlives machines, and what it cost, in USD."""

    alias: str
    id: str
    type: str
    market: Market | None
    """None for what is no machine."""
    zone: str
    began: datetime
    stopped: datetime | None
    """When it ceased to run; None if it runs."""
    hours: Decimal
    """How long it ran, within the time that was asked about."""
    machine: Decimal | None
    """Without disks and address; None if the price is not known."""
    disks: Decimal
    address: Decimal

    @property
    def usd(self) -> Decimal:
        """All that is known, together."""
        return (self.machine or Decimal(0)) + self.disks + self.address


@dataclass(frozen=True)
class Bill:
    """What a cluster cost, machines that have ended included."""

    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]

    @property
    def usd(self) -> Decimal:
        """The sum of all lines."""
        return sum((line.usd for line in self.lines), Decimal(0))


@runtime_checkable
class Noting(Protocol):
    """A provider that writes into a cluster's journal what the bill is made of."""

    def note_lives(self, cluster: str) -> None:
        """Write down what machines the cluster has and had, as long as the provider still knows."""
        ...
