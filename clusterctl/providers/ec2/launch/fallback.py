"""On demand in place of spot instances: what that costs, and what it may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.ec2.launch.fleet_errors import summarize_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.launch.context import LaunchContext
    from clusterctl.providers.ec2.launch.fleet_errors import FleetError
    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup


def choose_types(
    context: LaunchContext, group: LaunchGroup, missing: Sequence[str], errors: Sequence[FleetError]
) -> tuple[str, ...]:
    """Return the types to ask for on demand, and warn of their price; none if all are dearer than `FALLBACK_MAX`.

    Args:
        context: the context of the launch.
        group: the nodes that were asked for on the spot market.
        missing: the aliases of those that were not had.
        errors: why not.
    """
    limit = context.options.fallback_max
    prices = context.on_demand_prices(group.types)
    had = len(group.aliases) - len(missing)
    text = f"{had} of {len(group.aliases)} spot instances could be had: {summarize_errors(context.aws, errors)}"
    types = tuple(name for name in group.types if limit is None or (name in prices and prices[name] <= limit))
    if not types:
        cheapest = (
            f"the cheapest type costs {_format_usd(min(prices.values()))}" if prices else "no type's price is known"
        )
        context.report.warn(
            f"{text}. None is bought on demand: FALLBACK_MAX is {_format_usd(limit)} USD an hour, and {cheapest}"
        )
        return ()
    known = [prices[name] for name in types if name in prices]
    context.report.warn(f"{text}. Asking for {len(missing)} on demand, {_describe_price(known, types, len(missing))}")
    return types


def _describe_price(known: Sequence[Decimal], types: Sequence[str], count: int) -> str:
    if len(known) < len(types):
        return "at a price that is not known here"
    low, high = min(known), max(known)
    price = _format_usd(high) if low == high else f"{_format_usd(low)} to {_format_usd(high)}"
    return f"at {price} USD an hour each, {_format_usd(high * count)} an hour in all at most"


def _format_usd(price: Decimal | None) -> str:
    """Return a price without the zeros that AWS's list writes behind it."""
    return f"{price.normalize():f}" if price is not None else "not set"
