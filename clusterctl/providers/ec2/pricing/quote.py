"""The cost of a group of nodes, computed from known prices. Pure: it makes no calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.model import Market
from clusterctl.providers.money import PriceRange, QuotedGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup
    from clusterctl.providers.ec2.pricing.prices import SpotPrice

SHOWN_TYPES = 4
"""If no types are named, the estimate uses this many of those that fit, the cheapest ones."""


@dataclass(frozen=True)
class MarketPrices:
    """The known prices."""

    on_demand: Mapping[str, Decimal]
    """On-demand prices by type."""
    pools: Sequence[SpotPrice]
    """Spot prices in the zones that can be used."""
    any_zone: bool
    """Nodes may be in different zones."""
    fallback_max: Decimal | None = None
    """Most that a node may cost which is bought on demand in place of a spot instance; None: any price."""


def quote_group(
    group: LaunchGroup, instance_types: Sequence[str], market: MarketPrices, add_note: Callable[[str], object]
) -> QuotedGroup:
    """Return the present hourly cost of each of these nodes.

    Spot prices are those of the zone with the cheapest type, up to the bid. Without a bid the limit is the on-demand
    price, which is the most that EC2 charges then.

    Args:
        group: the nodes.
        instance_types: types that can be used.
        market: the prices.
        add_note: called with remarks for the user.
    """
    usual = {name: market.on_demand[name] for name in instance_types if name in market.on_demand}
    if group.market == Market.SPOT_WITH_FALLBACK and market.fallback_max is not None:
        usual = {name: price for name, price in usual.items() if price <= market.fallback_max}
    zone, prices = "", usual
    if group.market != Market.ON_DEMAND:
        zone, prices = _cheapest_zone(group, instance_types, market)
        if not prices:
            add_note(_no_spot_note(group, instance_types, market, fallback=bool(usual)))
            prices = usual if group.market == Market.SPOT_WITH_FALLBACK else {}
    order = sorted(prices, key=lambda name: (prices[name], name))
    if not group.types:
        order = order[:SHOWN_TYPES]
        add_note(f"any of {len(instance_types)} types may be taken; the cheapest are reckoned with")
    return QuotedGroup(
        role=group.role,
        count=len(group.aliases),
        types=(*order, *(name for name in group.types if name not in order)),
        market=group.market,
        zone=zone,
        node_price=_span_of(prices[name] for name in order),
        on_demand=_span_of(usual[name] for name in order or group.types if name in usual),
        bid=group.bid,
    )


def _cheapest_zone(
    group: LaunchGroup, instance_types: Sequence[str], market: MarketPrices
) -> tuple[str, dict[str, Decimal]]:
    """Return the zone (empty: any), and the prices by type there that the bid covers."""
    by_price = sorted(
        _affordable_pools(group, instance_types, market), key=lambda pool: (pool.usd, pool.zone, pool.instance_type)
    )
    zone = by_price[0].zone if by_price and not market.any_zone else ""
    prices: dict[str, Decimal] = {}
    for pool in by_price:
        if zone in {"", pool.zone}:
            prices.setdefault(pool.instance_type, pool.usd)
    return zone, prices


def _affordable_pools(group: LaunchGroup, instance_types: Sequence[str], market: MarketPrices) -> Iterable[SpotPrice]:
    for pool in market.pools:
        limit = market.on_demand.get(pool.instance_type) if group.bid is None else group.bid
        if pool.instance_type in instance_types and (limit is None or pool.usd <= limit):
            yield pool


def _no_spot_note(group: LaunchGroup, instance_types: Sequence[str], market: MarketPrices, *, fallback: bool) -> str:
    cheapest = min(
        (pool for pool in market.pools if pool.instance_type in instance_types), key=lambda pool: pool.usd, default=None
    )
    if cheapest is None:
        return f"no spot price is known of: {', '.join(instance_types)}"
    limit = "what it does on demand" if group.bid is None else f"${group.bid:f}"
    on_demand = group.market == Market.SPOT_WITH_FALLBACK and fallback
    consequence = "on demand it is, then" if on_demand else "none will be had"
    return (
        f"no spot instance of these types costs {limit} or less now, the cheapest is {cheapest.instance_type} in"
        f" {cheapest.zone} for ${cheapest.usd.normalize():f}: {consequence}"
    )


def _span_of(prices: Iterable[Decimal]) -> PriceRange | None:
    known_prices = list(prices)
    return PriceRange(min(known_prices), max(known_prices)) if known_prices else None
