"""What nodes that are alike cost, from prices that are known. Pure: it asks nobody."""

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
"""Where no types are named, so many of those that fit, the cheapest, are reckoned with."""


@dataclass(frozen=True)
class Market:
    """What is known of prices."""

    usual: Mapping[str, Decimal]
    """On demand, by type."""
    pools: Sequence[SpotPrice]
    """Of spot instances, in the zones that may be taken."""
    any_zone: bool
    """Nodes need not be in one zone."""


def quote(wanted: Wanted, kinds: Sequence[str], market: Market, tell: Callable[[str], object]) -> QuotedGroup:
    """What an hour of each of these nodes costs now.

    Spot instances are reckoned in the zone that has the cheapest type, up to the bid; without a bid up to the price on
    demand, which is the most that EC2 takes then.

    Args:
        wanted: the nodes.
        kinds: types that may be taken.
        market: the prices.
        tell: told of what is remarkable.
    """
    usual = {kind: market.usual[kind] for kind in kinds if kind in market.usual}
    zone, now = "", usual
    if wanted.market != "on-demand":
        zone, now = _spot(wanted, kinds, market)
        if not now:
            tell(_too_little(wanted, kinds, market))
            now = usual if wanted.market == "spot-with-fallback" else {}
    order = sorted(now, key=lambda kind: (now[kind], kind))
    if not wanted.types:
        order = order[:SHOWN]
        tell(f"any of {len(kinds)} types may be taken; the cheapest are reckoned with")
    return QuotedGroup(
        role=wanted.role,
        count=len(wanted.aliases),
        types=(*order, *(kind for kind in wanted.types if kind not in order)),
        market=wanted.market,
        zone=zone,
        each=_span(now[kind] for kind in order),
        on_demand=_span(usual[kind] for kind in order or wanted.types if kind in usual),
        bid=Decimal(wanted.bid) if wanted.bid else None,
    )


def _spot(wanted: Wanted, kinds: Sequence[str], market: Market) -> tuple[str, dict[str, Decimal]]:
    """The zone (empty: any) and in it, by type, the price of those that the bid is enough for."""
    cheapest = sorted(_affordable(wanted, kinds, market), key=lambda pool: (pool.usd, pool.zone, pool.kind))
    zone = cheapest[0].zone if cheapest and not market.any_zone else ""
    prices: dict[str, Decimal] = {}
    for pool in cheapest:
        if zone in {"", pool.zone}:
            prices.setdefault(pool.kind, pool.usd)
    return zone, prices


def _affordable(wanted: Wanted, kinds: Sequence[str], market: Market) -> Iterable[SpotPrice]:
    for pool in market.pools:
        most = Decimal(wanted.bid) if wanted.bid else market.usual.get(pool.kind)
        if pool.kind in kinds and (most is None or pool.usd <= most):
            yield pool


def _too_little(wanted: Wanted, kinds: Sequence[str], market: Market) -> str:
    cheapest = min((pool for pool in market.pools if pool.kind in kinds), key=lambda pool: pool.usd, default=None)
    if cheapest is None:
        return f"no spot price is known of: {', '.join(kinds)}"
    then = "on demand it is, then" if wanted.market == "spot-with-fallback" else "none will be had"
    return (
        f"no spot instance of these types costs ${wanted.bid} or less now, the cheapest is {cheapest.kind} in"
        f" {cheapest.zone} for ${cheapest.usd.normalize():f}: {then}"
    )


def _span(prices: Iterable[Decimal]) -> Span | None:
    found = list(prices)
    return Span(min(found), max(found)) if found else None
