"""Spot prices over time as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.cli.charts import braille
from clusterctl.cli.output import format_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.providers.ec2.pricing.spot_history import PriceHistory

_ROWS = 4
_WIDTH = 80
_MARGIN = 9


def format_prices(courses: Sequence[PriceHistory]) -> list[str]:
    """Return a table of the current, lowest, average and highest price of each type and zone."""
    rows = [
        (
            course.instance_type,
            course.zone,
            *(f"{usd:.4f}" for usd in (course.last, course.lowest, course.mean, course.highest)),
        )
        for course in courses
    ]
    return format_table(("TYPE", "ZONE", "CURRENT", "MIN", "MEAN", "MAX"), rows)


def draw_charts(courses: Sequence[PriceHistory], *, start: datetime, end: datetime) -> list[str]:
    """Return a chart for each zone below its prices, all of a type to one scale, at most 80 characters wide."""
    lines: list[str] = []
    for kind in dict.fromkeys(course.instance_type for course in courses):
        same = [course for course in courses if course.instance_type == kind]
        low, high = float(min(course.lowest for course in same)), float(max(course.highest for course in same))
        for course in same:
            lines += [*_draw_chart(course, start=start, end=end, low=low, high=high), ""]
    return lines


def _draw_chart(course: PriceHistory, *, start: datetime, end: datetime, low: float, high: float) -> list[str]:
    width = _WIDTH - _MARGIN - 1
    drawn = braille.draw_line(
        sample_prices(course, start=start, end=end, count=width * braille.DOTS_WIDE), low=low, high=high, rows=_ROWS
    )
    scale = [f"${high:.4f}", *[""] * (_ROWS - 2), f"${low:.4f}"]
    head = (
        f"{course.instance_type} in {course.zone}: current ${course.last:.4f}, min ${course.lowest:.4f},"
        f" mean ${course.mean:.4f}, max ${course.highest:.4f}"
    )
    first, last = f"{start:%b %d %H:%M}", f"{end:%b %d %H:%M}"
    days = f"{'':{_MARGIN}}{first}{last:>{width + 1 - len(first)}}"
    return [head, *(f"{mark:>{_MARGIN - 1}} │{row}" for mark, row in zip(scale, drawn, strict=True)), days]


def sample_prices(course: PriceHistory, *, start: datetime, end: datetime, count: int) -> list[float | None]:
    """Return the price at `count` moments, evenly spaced, the last at `end`; None before the first known price."""
    values: list[float | None] = []
    step = (end - start) / count
    changes, price = list(course.changes), None
    for number in range(1, count + 1):
        while changes and changes[0].since <= start + number * step:
            price = float(changes.pop(0).usd)
        values.append(price)
    return values
