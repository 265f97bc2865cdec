"""Spot prices over time as a picture: SVG, with nothing in it that has to be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from clusterctl.cli.charts import axis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.providers.ec2.pricing.spot_history import Course

_WIDTH, _HEIGHT = 960, 480
_LEFT, _TOP, _BOTTOM = 76, 76, 56
_LINE = 20
_LETTER, _BESIDE = 7, 116
"""The width of a letter, on average, and of what else a line of the legend has."""
# Told apart by those who do not see red and green, too: https://jfly.uni-koeln.de/color/.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("", "7 3", "2 3")
_FONTS = "Helvetica, Arial, DejaVu Sans, sans-serif"
_INK, _SOFT, _GRID = "#222222", "#666666", "#e4e4e4"


def picture(courses: Sequence[Course], *, place: str, start: datetime, end: datetime) -> str:
    """The text of an SVG file: a line for each zone, axes with dates and dollars, and what each line is.

    Args:
        courses: what to draw; those that come first are first in the legend.
        place: the region.
        start: of the time.
        end: of the time.
    """
    return _Picture(courses, start=start, end=end).text(place)


class _Picture:
    def __init__(self, courses: Sequence[Course], *, start: datetime, end: datetime) -> None:
        self._courses = courses
        self._start, self._end = start, end
        least, most = min(course.least for course in courses), max(course.most for course in courses)
        self._marks = axis.amounts(float(least), float(most))
        several = len({course.kind for course in courses}) > 1
        self._names = [f"{course.kind} {course.zone}" if several else course.zone for course in courses]
        self._right = _WIDTH - _BESIDE - _LETTER * max(map(len, self._names)) - 20
        self._height = max(_HEIGHT, _TOP + _BOTTOM + _LINE * len(courses))

    def text(self, place: str) -> str:
        kinds = ", ".join(dict.fromkeys(course.kind for course in self._courses))
        when = f"{self._start:%d %b %Y %H:%M} to {self._end:%d %b %Y %H:%M} UTC"
        size = f'viewBox="0 0 {_WIDTH} {self._height}" width="{_WIDTH}" height="{self._height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONTS}" font-size="12">',
            f"<title>Spot prices of {escape(kinds)} in {escape(place)}</title>",
            f'<rect width="{_WIDTH}" height="{self._height}" fill="#ffffff"/>',
            f'<text x="{_LEFT}" y="32" font-size="18" fill="{_INK}">Spot prices of {escape(kinds)}</text>',
            f'<text x="{_LEFT}" y="54" fill="{_SOFT}">USD an hour, Linux/UNIX, {escape(place)}, {when}</text>',
            f'<text x="{_WIDTH - 16}" y="54" text-anchor="end" fill="{_SOFT}">at the end</text>',
            *self._amounts(),
            *self._times(),
            *(line for number in range(len(self._courses)) for line in self._course(number)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _x(self, moment: datetime) -> float:
        share = (moment - self._start) / (self._end - self._start)
        return _LEFT + share * (self._right - _LEFT)

    def _y(self, usd: float) -> float:
        share = (usd - self._marks[0]) / (self._marks[-1] - self._marks[0])
        return self._height - _BOTTOM - share * (self._height - _TOP - _BOTTOM)

    def _amounts(self) -> list[str]:
        places = axis.decimals(self._marks[1] - self._marks[0])
        lines = []
        for usd in self._marks:
            y = self._y(usd)
            lines.append(f'<path d="M{_LEFT} {y:.1f}H{self._right}" stroke="{_GRID}"/>')
            lines.append(
                f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_SOFT}">${usd:.{places}f}</text>'
            )
        return lines

    def _times(self) -> list[str]:
        bottom = self._height - _BOTTOM
        lines = [f'<path d="M{_LEFT} {bottom}H{self._right}" stroke="{_SOFT}"/>']
        for moment in axis.times(self._start, self._end):
            x = self._x(moment)
            text = f"{moment:%d %b}" if (moment.hour, moment.minute) == (0, 0) else f"{moment:%H:%M}"
            lines.append(f'<path d="M{x:.1f} {bottom}v5" stroke="{_SOFT}"/>')
            lines.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle" fill="{_SOFT}">{text}</text>')
        return lines

    def _course(self, number: int) -> list[str]:
        course = self._courses[number]
        dash = _DASHES[number // len(_COLORS) % len(_DASHES)]
        style = f'fill="none" stroke="{_COLORS[number % len(_COLORS)]}" stroke-width="1.8" stroke-linejoin="round"'
        style += f' stroke-dasharray="{dash}"' if dash else ""
        x, y = self._right + 20, _TOP + _LINE * number + 6
        return [
            f'<path d="{self._steps(course)}" {style}/>',
            f'<path d="M{x} {y}h22" {style}/>',
            f'<text x="{x + 30}" y="{y + 4}" fill="{_INK}">{escape(self._names[number])}</text>',
            f'<text x="{_WIDTH - 16}" y="{y + 4}" text-anchor="end" fill="{_SOFT}">${course.last:.4f}</text>',
        ]

    def _steps(self, course: Course) -> str:
        """A price stays what it is until it changes, so the line goes in steps."""
        first = course.changes[0]
        path = f"M{self._x(max(first.since, self._start)):.1f} {self._y(float(first.usd)):.1f}"
        for change in course.changes[1:]:
            path += f"H{self._x(change.since):.1f}V{self._y(float(change.usd)):.1f}"
        return f"{path}H{self._x(self._end):.1f}"
