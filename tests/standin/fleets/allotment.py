"""Who gets what: a number of machines wanted, pools that could give them, and what each gives or why not.

A fleet's allocation as the API reference tells it. Cheapest pool first for lowest-price and price-capacity-optimized
(simplified: EC2 also weighs the risk of interruption), one after the other for diversified, by priority for prioritized
and capacity-optimized-prioritized. Single zone and single type pick the one that gives most, then the cheapest. A pool
that gives less than was asked of it is an error in the answer, even where another pool makes up for it, as users of
EC2 report. Less than MinTargetCapacity means nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..money.prices import price_too_low
from .capacity import SPOT


@dataclass(frozen=True)
class Offer:
    """A pool that a fleet may use: which override led to it, what one costs, and what one counts for."""

    override: int
    name: str
    zone: str
    subnet: str
    usd: float
    most_usd: float | None = None
    priority: float | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Refusal:
    """A pool that gave less than was asked of it, and why."""

    offer: Offer
    code: str
    message: str


@dataclass(frozen=True)
class Allotment:
    """How many of each offer, and the refusals."""

    given: tuple[tuple[Offer, int], ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def capacity(self) -> float:
        return sum(offer.weight * count for offer, count in self.given)

    @property
    def usd(self) -> float:
        return sum(offer.usd * count for offer, count in self.given)


Room = Callable[[Offer, int, dict[Offer, int]], "tuple[int, tuple[str, str] | None]"]
"""Of so many wanted from an offer beside what was given already: how many can be had, and why not more."""


@dataclass(frozen=True)
class Wish:
    """What a fleet asks for on one market."""

    market: str
    target: float
    strategy: str = "lowest-price"
    single_zone: bool = False
    single_type: bool = False
    least: float = 0
    most_usd: float | None = None


def allot(wish: Wish, offers: list[Offer], room: Room) -> Allotment:
    """Share the wish out over the offers."""
    if wish.target <= 0:
        return Allotment()
    if not (wish.single_zone or wish.single_type):
        return _enough(wish, _share(wish, offers, room))
    groups: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        key = (offer.zone if wish.single_zone else "", offer.name if wish.single_type else "")
        groups.setdefault(key, []).append(offer)
    tried = [_share(wish, group, room) for group in groups.values()]
    best = min(tried, key=lambda one: (-min(one.capacity, wish.target), one.usd), default=Allotment())
    if best.capacity < wish.target:
        others = tuple(each for one in tried if one is not best for each in one.refused)
        best = Allotment(best.given, best.refused + others)
    return _enough(wish, best)


def _enough(wish: Wish, got: Allotment) -> Allotment:
    if got.capacity < wish.least:
        return Allotment((), got.refused)
    return got


def _ordered(wish: Wish, offers: list[Offer]) -> list[Offer]:
    if wish.strategy in ("prioritized", "capacity-optimized-prioritized"):
        last = float("inf")
        return sorted(offers, key=lambda one: (last if one.priority is None else one.priority, one.usd / one.weight))
    return sorted(offers, key=lambda one: (one.usd / one.weight, one.override, one.zone))


def _share(wish: Wish, offers: list[Offer], room: Room) -> Allotment:
    given: dict[Offer, int] = {}
    refused: list[Refusal] = []
    left, money = wish.target, wish.most_usd
    ordered = _ordered(wish, offers)
    for position, offer in enumerate(ordered):
        if left <= 0:
            break
        part = left / (len(ordered) - position) if wish.strategy == "diversified" else left
        wanted = math.ceil(part / offer.weight)
        if wish.market == SPOT and offer.most_usd is not None and offer.most_usd < offer.usd:
            refused.append(Refusal(offer, *price_too_low(offer.most_usd, offer.usd)))
            continue
        if money is not None:
            wanted = min(wanted, int((money + 1e-9) // offer.usd))
        if wanted <= 0:
            continue
        count, why = room(offer, wanted, given)
        if count < wanted and why is not None:
            refused.append(Refusal(offer, *why))
        if count > 0:
            given[offer] = given.get(offer, 0) + count
            left -= count * offer.weight
            money = None if money is None else money - count * offer.usd
    return Allotment(tuple(given.items()), tuple(refused))
