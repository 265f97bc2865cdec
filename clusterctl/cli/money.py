"""The display of prices, and the questions before nodes cost money or engines end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.cli.output import confirm_or_decline, format_table
from clusterctl.cli.questions import ask_anew
from clusterctl.cli.terminal import echo
from clusterctl.model import Market
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from clusterctl.providers.money import Estimate, PriceRange, QuotedGroup, Spending

_DAY = 24


class Prompt:
    """Asks before nodes cost money or engines end, and keeps the estimate. Implements `Approval`."""

    def __init__(self, *, as_json: bool = False, asks: bool = True) -> None:
        """Start without an estimate.

        Args:
            as_json: stdout is for programs, so show and ask on stderr.
            asks: whether to ask; if not, what it costs is only shown.
        """
        self._as_json, self._asks = as_json, asks
        self.estimate: Estimate | None = None

    def allow_cost(self, estimate: Estimate) -> None:
        """Show the estimate and ask. A no, or no terminal to answer on, ends the command."""
        self.estimate = estimate
        for line in estimate_lines(estimate):
            echo(line, err=self._as_json)
        count = sum(group.count for group in estimate.groups)
        price = f" for {_hourly_text(estimate)}" if estimate.is_complete else ""
        confirm_or_decline(f"Start {plural(count, 'node')}{price}?", yes=not self._asks, err=self._as_json)

    def allow_end(self, cluster: str, endings: Sequence[str]) -> None:
        """Say what ends and ask. A no, or no terminal to answer on, ends the command."""
        confirm_or_decline(ask_anew(cluster, endings), yes=not self._asks, err=self._as_json)


def estimate_lines(estimate: Estimate) -> list[str]:
    """Return the lines of an estimate for a person."""
    rows = [_group_row(group) for group in estimate.groups]
    rows += [(part.name, "", _price_cell(part.hourly)) for part in estimate.parts]
    lines = [f"In {estimate.place}, at the prices of now, in USD an hour:"]
    lines += format_table(("WHAT", "EACH", "TOGETHER", "ON DEMAND", "SAVED"), [(*row, "", "")[:5] for row in rows])
    lines += [_describe_group(group) for group in estimate.groups]
    lines += [f"{part.name}: {part.details}" for part in estimate.parts]
    for limit in estimate.limits:
        needed = "unknown" if limit.needed is None else f"{limit.needed} at most"
        left = "unknown" if limit.left is None else str(limit.left)
        lines.append(f"quota, {limit.name}: processors needed: {needed}, left: {left}")
    lines += [f"note: {note}" for note in estimate.notes]
    return [*lines, f"In all: {_total_text(estimate)}"]


def _group_row(group: QuotedGroup) -> tuple[str, ...]:
    together = _span_cell(group.node_price.multiplied_by(group.count)) if group.node_price else "unknown"
    row = (plural(group.count, group.role), _span_cell(group.node_price), together)
    if group.market == Market.ON_DEMAND:
        return row
    saved = ""
    if group.node_price and group.on_demand and group.on_demand.low:
        saved = f"{100 * (1 - group.node_price.low / group.on_demand.low):.0f} %"
    return (*row, _span_cell(group.on_demand), saved)


def _describe_group(group: QuotedGroup) -> str:
    """Return the line that names the nodes of a row."""
    words = f"{plural(group.count, group.role)}: {' | '.join(group.types) or 'of any type'}"
    if group.market == Market.ON_DEMAND:
        return f"{words}, on demand"
    words += f", spot{'' if group.bid is None else f' up to {format_dollars(group.bid)}'}"
    words += f" in {group.zone}, the cheapest" if group.zone else ""
    return f"{words}; else on demand" if group.market == Market.SPOT_WITH_FALLBACK else words


def _total_text(estimate: Estimate) -> str:
    if not estimate.is_complete:
        return f"at least {_hourly_text(estimate)}: not every price is known."
    spot = any(group.market != Market.ON_DEMAND for group in estimate.groups)
    fall_back = any(group.market == Market.SPOT_WITH_FALLBACK for group in estimate.groups)
    hourly, on_demand = estimate.hourly, estimate.hourly_on_demand
    text = f"{_hourly_text(estimate)}, {_span_text(hourly.multiplied_by(_DAY))} a day."
    if not spot or on_demand.high <= hourly.high:
        return text
    return (
        f"{text} {'If no spot instance is to be had' if fall_back else 'On demand'}: {_span_text(on_demand)} an hour."
    )


def _hourly_text(estimate: Estimate) -> str:
    return f"{_span_text(estimate.hourly)} an hour"


def _span_text(span: PriceRange) -> str:
    low, high = format_dollars(span.low), format_dollars(span.high)
    return low if low == high else f"{low} to {high}"


def _span_cell(span: PriceRange | None) -> str:
    if span is None:
        return "unknown"
    low, high = _price_cell(span.low), _price_cell(span.high)
    return low if low == high else f"{low}-{high}"


def _price_cell(usd: Decimal | None) -> str:
    return "unknown" if usd is None else f"{usd:.4f}"


def format_dollars(usd: Decimal) -> str:
    """Return an amount as text: to the cent, or with two digits where it is less than ten cents."""
    return f"${usd:.2f}" if usd >= 0.095 or not usd else f"${usd:.2g}" if usd >= 0.0001 else "$0.00"


def spending_text(spending: Spending) -> str:
    """Return the cost of nodes in a few words."""
    return f"{format_dollars(spending.hourly)} an hour, {format_dollars(spending.so_far)} so far"


def spending_json(spending: Spending | None) -> dict[str, object] | None:
    """Return the cost of nodes for programs."""
    if spending is None:
        return None
    return {
        "hourly_usd": _to_float(spending.hourly),
        "so_far_usd": _to_float(spending.so_far),
        "notes": list(spending.notes),
    }


def estimate_json(estimate: Estimate | None) -> dict[str, object] | None:
    """Return an estimate for programs. All prices are in USD an hour."""
    if estimate is None:
        return None
    return {
        "place": estimate.place,
        "complete": estimate.is_complete,
        "hourly_usd": _span_json(estimate.hourly),
        "hourly_on_demand_usd": _span_json(estimate.hourly_on_demand),
        "groups": [
            {
                "role": group.role,
                "count": group.count,
                "types": list(group.types),
                "market": group.market,
                "zone": group.zone or None,
                "each_usd": _span_json(group.node_price),
                "on_demand_usd": _span_json(group.on_demand),
                "bid_usd": _to_float(group.bid),
            }
            for group in estimate.groups
        ],
        "parts": [
            {"name": part.name, "what": part.details, "hourly_usd": _to_float(part.hourly)} for part in estimate.parts
        ],
        "limits": [{"name": limit.name, "needed": limit.needed, "left": limit.left} for limit in estimate.limits],
        "notes": list(estimate.notes),
    }


def _span_json(span: PriceRange | None) -> dict[str, float | None] | None:
    return None if span is None else {"low": _to_float(span.low), "high": _to_float(span.high)}


def _to_float(usd: Decimal | None) -> float | None:
    return None if usd is None else round(float(usd), 6)
