"""The cost of a group of nodes, computed from known prices. Pure: it makes no calls."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from clusterctl.providers.money import QuotedGroup, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.launch.fleet_requests import Wanted
    from clusterctl.providers.ec2.pricing.prices import SpotPrice

SHOWN = 4
"""If no types are named, the estimate uses this many of those that fit, the cheapest ones."""


@dataclass(frozen=True)
class Market:
    """The known prices."""

    usual: Mapping[str, Decimal]
    """On-demand prices by type."""
    pools: Sequence[SpotPrice]
    """Spot prices in the zones that can be used."""
    any_zone: bool
    """Nodes may be in different zones."""


def quote(wanted: Wanted, kinds: Sequence[str], market: Market, tell: Callable[[str], object]) -> QuotedGroup:
    """Return the present hourly cost of each of these nodes.

    Spot prices are those of the zone with the cheapest type, up to the bid. Without a bid the limit is the on-demand
    price, which is the most that EC2 charges then.

    Args:
        wanted: the nodes.
        kinds: types that can be used.
        market: the prices.
        tell: called with remarks for the user.
    """
    usual = {kind: market.usual[kind] for kind in kinds if kind in market.usual}
    zone, prices = "", usual
    if wanted.market != "on-demand":
        zone, prices = _cheapest_zone(wanted, kinds, market)
        if not prices:
            tell(_no_spot_note(wanted, kinds, market))
            prices = usual if wanted.market == "spot-with-fallback" else {}
    order = sorted(prices, key=lambda kind: (prices[kind], kind))
    if not wanted.types:
        order = order[:SHOWN]
        tell(f"any of {len(kinds)} types may be taken; the cheapest are reckoned with")
    return QuotedGroup(
        role=wanted.role,
        count=len(wanted.aliases),
        types=(*order, *(kind for kind in wanted.types if kind not in order)),
        market=wanted.market,
        zone=zone,
        each=_span_of(prices[kind] for kind in order),
        on_demand=_span_of(usual[kind] for kind in order or wanted.types if kind in usual),
        bid=Decimal(wanted.bid) if wanted.bid else None,
    )


def _cheapest_zone(group: Wanted, kinds: Sequence[str], market: Market) -> tuple[str, dict[str, Decimal]]:
    """Return the zone (empty: any), and the prices by type there that the bid covers."""
    by_price = sorted(_affordable_pools(group, kinds, market), key=lambda pool: (pool.usd, pool.zone, pool.kind))
    zone = by_price[0].zone if by_price and not market.any_zone else ""
    prices: dict[str, Decimal] = {}
    for pool in by_price:
        if zone in {"", pool.zone}:
            prices.setdefault(pool.kind, pool.usd)
    return zone, prices


def _affordable_pools(group: Wanted, kinds: Sequence[str], market: Market) -> Iterable[SpotPrice]:
    for pool in market.pools:
        limit = Decimal(group.bid) if group.bid else market.usual.get(pool.kind)
        if pool.kind in kinds and (limit is None or pool.usd <= limit):
            yield pool


def _no_spot_note(group: Wanted, kinds: Sequence[str], market: Market) -> str:
    cheapest = min((pool for pool in market.pools if pool.kind in kinds), key=lambda pool: pool.usd, default=None)
    if cheapest is None:
        return f"no spot price is known of: {', '.join(kinds)}"
    consequence = "on demand it is, then" if group.market == "spot-with-fallback" else "none will be had"
    return (
        f"no spot instance of these types costs ${group.bid} or less now, the cheapest is {cheapest.kind} in"
        f" {cheapest.zone} for ${cheapest.usd.normalize():f}: {consequence}"
    )


def _span_of(prices: Iterable[Decimal]) -> Span | None:
    known_prices = list(prices)
    return Span(min(known_prices), max(known_prices)) if known_prices else None
