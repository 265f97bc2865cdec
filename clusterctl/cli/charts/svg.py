"""Spot prices over time as an SVG picture without external files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from clusterctl.cli.charts import axis
from clusterctl.cli.charts.look import COLORS, FONTS, GRID, INK, SOFT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.providers.ec2.pricing.spot_history import PriceHistory

_WIDTH, _HEIGHT = 960, 480
_LEFT, _TOP, _BOTTOM = 76, 76, 56
_LINE = 20
_LETTER, _BESIDE = 7, 116
"""The average width of a letter, and the width of the rest of a line of the legend."""
_COLORS = (*COLORS, "#000000")
_DASHES = ("", "7 3", "2 3")
_MARK_DASHES = ("10 4", "4 3", "10 4 2 4", "2 3")


@dataclass(frozen=True)
class PriceMark:
    """A price that stays the same, to compare others with: a line across the picture."""

    name: str
    usd: float
    """An hour."""


def render_price_svg(
    courses: Sequence[PriceHistory],
    *,
    place: str,
    start: datetime,
    end: datetime,
    marks: Sequence[PriceMark] = (),
) -> str:
    """Return the text of an SVG file: a line for each zone, axes with dates and dollars from zero, and a legend.

    Args:
        courses: the price histories, in the order of the legend.
        marks: such as the price on demand, below them in the legend.
        place: the region.
        start: start of the time axis.
        end: end of the time axis.
    """
    return _PriceChart(courses, start=start, end=end, marks=marks).render_svg(place)


class _PriceChart:
    def __init__(
        self, courses: Sequence[PriceHistory], *, start: datetime, end: datetime, marks: Sequence[PriceMark]
    ) -> None:
        self._courses = courses
        self._marks = marks
        self._start, self._end = start, end
        most = max([*(float(course.highest) for course in courses), *(mark.usd for mark in marks)])
        # From zero: a line that looks twice as high costs twice as much.
        self._ticks = axis.price_ticks(0.0, most)
        several = len({course.instance_type for course in courses}) > 1
        self._names = [f"{course.instance_type} {course.zone}" if several else course.zone for course in courses]
        self._right = _WIDTH - _BESIDE - _LETTER * max(map(len, [*self._names, *(mark.name for mark in marks)])) - 20
        self._height = max(_HEIGHT, _TOP + _BOTTOM + _LINE * (len(courses) + len(marks)))

    def render_svg(self, place: str) -> str:
        kinds = ", ".join(dict.fromkeys(course.instance_type for course in self._courses))
        when = f"{self._start:%d %b %Y %H:%M} to {self._end:%d %b %Y %H:%M} UTC"
        size = f'viewBox="0 0 {_WIDTH} {self._height}" width="{_WIDTH}" height="{self._height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" font-size="12">',
            f"<title>Spot prices of {escape(kinds)} in {escape(place)}</title>",
            f'<rect width="{_WIDTH}" height="{self._height}" fill="#ffffff"/>',
            f'<text x="{_LEFT}" y="32" font-size="18" fill="{INK}">Spot prices of {escape(kinds)}</text>',
            f'<text x="{_LEFT}" y="54" fill="{SOFT}">USD an hour, Linux/UNIX, {escape(place)}, {when}</text>',
            f'<text x="{_WIDTH - 16}" y="54" text-anchor="end" fill="{SOFT}">at the end</text>',
            *self._draw_price_axis(),
            *self._draw_time_axis(),
            *(line for number in range(len(self._marks)) for line in self._draw_mark(number)),
            *(line for number in range(len(self._courses)) for line in self._draw_history(number)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _x_of(self, moment: datetime) -> float:
        share = (moment - self._start) / (self._end - self._start)
        return _LEFT + share * (self._right - _LEFT)

    def _y_of(self, usd: float) -> float:
        share = (usd - self._ticks[0]) / (self._ticks[-1] - self._ticks[0])
        return self._height - _BOTTOM - share * (self._height - _TOP - _BOTTOM)

    def _draw_price_axis(self) -> list[str]:
        places = axis.count_decimals(self._ticks[1] - self._ticks[0])
        lines = []
        for usd in self._ticks:
            y = self._y_of(usd)
            lines.append(f'<path d="M{_LEFT} {y:.1f}H{self._right}" stroke="{GRID}"/>')
            lines.append(
                f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{SOFT}">${usd:.{places}f}</text>'
            )
        return lines

    def _draw_time_axis(self) -> list[str]:
        bottom = self._height - _BOTTOM
        lines = [f'<path d="M{_LEFT} {bottom}H{self._right}" stroke="{SOFT}"/>']
        for moment in axis.time_ticks(self._start, self._end):
            x = self._x_of(moment)
            text = f"{moment:%d %b}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%H:%M}"
            lines.append(f'<path d="M{x:.1f} {bottom}v5" stroke="{SOFT}"/>')
            lines.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle" fill="{SOFT}">{text}</text>')
        return lines

    def _draw_history(self, number: int) -> list[str]:
        course = self._courses[number]
        dash = _DASHES[number // len(_COLORS) % len(_DASHES)]
        style = f'fill="none" stroke="{_COLORS[number % len(_COLORS)]}" stroke-width="1.8" stroke-linejoin="round"'
        style += f' stroke-dasharray="{dash}"' if dash else ""
        legend = self._draw_legend(number, self._names[number], float(course.last), style)
        return [f'<path d="{self._step_path(course)}" {style}/>', *legend]

    def _draw_mark(self, number: int) -> list[str]:
        mark = self._marks[number]
        style = f'fill="none" stroke="{INK}" stroke-width="1.2"'
        style += f' stroke-dasharray="{_MARK_DASHES[number % len(_MARK_DASHES)]}"'
        path = f'<path d="M{_LEFT} {self._y_of(mark.usd):.1f}H{self._right}" {style}/>'
        return [path, *self._draw_legend(len(self._courses) + number, mark.name, mark.usd, style)]

    def _draw_legend(self, line: int, name: str, usd: float, style: str) -> list[str]:
        x, y = self._right + 20, _TOP + _LINE * line + 6
        return [
            f'<path d="M{x} {y}h22" {style}/>',
            f'<text x="{x + 30}" y="{y + 4}" fill="{INK}">{escape(name)}</text>',
            f'<text x="{_WIDTH - 16}" y="{y + 4}" text-anchor="end" fill="{SOFT}">${usd:.4f}</text>',
        ]

    def _step_path(self, course: PriceHistory) -> str:
        """Return the path of a line in steps, since a price stays the same until it changes."""
        first = course.changes[0]
        path = f"M{self._x_of(max(first.since, self._start)):.1f} {self._y_of(float(first.usd)):.1f}"
        for change in course.changes[1:]:
            path += f"H{self._x_of(change.since):.1f}V{self._y_of(float(change.usd)):.1f}"
        return f"{path}H{self._x_of(self._end):.1f}"
