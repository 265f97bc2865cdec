"""The steps of a start as an SVG picture without external files: a row for each node, a bar for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from clusterctl.cli.charts import axis
from clusterctl.cli.charts.look import COLORS, FONTS, GRID, INK, SOFT
from clusterctl.model import MASTER
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.timing import Step

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 110, 24, 78, 70
_ROW, _BAR = 26, 16
_LETTER = 7
_MOST_ROWS = 200
_COLORS = (*COLORS, "#666666", "#000000")
_WAIT = "#cccccc"


def render_steps_svg(steps: Sequence[Step], *, name: str, seconds: float) -> str:
    """Return the text of an SVG file.

    A thin line before a bar is the time in which a step could have begun and did not yet. Each bar has its words as a
    title, and the picture all of them as its description, for who cannot see it.

    Args:
        steps: the steps.
        name: the cluster.
        seconds: how long the start took.
    """
    return _Gantt(steps, name=name, seconds=seconds).render_svg()


class _Gantt:
    def __init__(self, steps: Sequence[Step], *, name: str, seconds: float) -> None:
        first = {"laptop": 0, MASTER: 1}
        nodes = sorted({step.node for step in steps}, key=lambda node: (first.get(node, 2), node))
        self._left_out = max(0, len(nodes) - _MOST_ROWS)
        self._nodes = {node: row for row, node in enumerate(nodes[:_MOST_ROWS])}
        self._steps = [step for step in steps if step.node in self._nodes]
        self._kinds = list(dict.fromkeys(step.plugin for step in self._steps))
        self._name, self._seconds = name, seconds
        self._ticks = axis.price_ticks(0.0, max([seconds, 0.1, *(step.ended_s for step in steps)]))
        self._bottom = _TOP + _ROW * len(self._nodes)
        self._legend = self._place_legend()
        self._height = self._bottom + _BOTTOM + 20 * max((line for _, line in self._legend), default=0)

    def _place_legend(self) -> list[tuple[float, int]]:
        """Return where each entry is: its left edge, and its line."""
        places, x, line = [], float(_LEFT), 0
        for kind in self._kinds:
            width = 34 + _LETTER * len(kind)
            if x + width > _WIDTH - _RIGHT and x > _LEFT:
                x, line = float(_LEFT), line + 1
            places.append((x, line))
            x += width
        return places

    def render_svg(self) -> str:
        size = f'viewBox="0 0 {_WIDTH} {self._height}" width="{_WIDTH}" height="{self._height}"'
        title = f"The start of {escape(self._name)}: {self._seconds:.1f} s"
        about = [_words(step) for step in self._steps]
        more = f", and {plural(self._left_out, 'more node')} that are not shown" if self._left_out else ""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}" font-size="12" role="img">',
            f"<title>{title}</title>",
            f"<desc>{escape('; '.join(about))}</desc>",
            f'<rect width="{_WIDTH}" height="{self._height}" fill="#ffffff"/>',
            f'<text x="{_LEFT}" y="32" font-size="18" fill="{INK}">{title}</text>',
            f'<text x="{_LEFT}" y="54" fill="{SOFT}">a row for each node{more}; a thin line: it waits</text>',
            *self._draw_axis(),
            *(line for node, row in self._nodes.items() for line in self._draw_row(node, row)),
            *(line for step in self._steps for line in self._draw_step(step)),
            *(line for number in range(len(self._kinds)) for line in self._draw_legend(number)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _x_of(self, seconds: float) -> float:
        return _LEFT + seconds / self._ticks[-1] * (_WIDTH - _LEFT - _RIGHT)

    def _color_of(self, kind: str) -> str:
        return _COLORS[self._kinds.index(kind) % len(_COLORS)]

    def _draw_axis(self) -> list[str]:
        places = axis.count_decimals(self._ticks[1] - self._ticks[0])
        lines = []
        for seconds in self._ticks:
            x = self._x_of(seconds)
            lines.append(f'<path d="M{x:.1f} {_TOP}V{self._bottom}" stroke="{GRID}"/>')
            text = f"{seconds:.{places}f} s"
            lines.append(f'<text x="{x:.1f}" y="{self._bottom + 18}" text-anchor="middle" fill="{SOFT}">{text}</text>')
        return lines

    def _draw_row(self, node: str, row: int) -> list[str]:
        y = _TOP + _ROW * row + _ROW / 2 + 4
        return [f'<text x="{_LEFT - 10}" y="{y:.1f}" text-anchor="end" fill="{INK}">{escape(node)}</text>']

    def _draw_step(self, step: Step) -> list[str]:
        middle = _TOP + _ROW * self._nodes[step.node] + _ROW / 2
        ready, began, ended = (self._x_of(seconds) for seconds in (step.ready_s, step.began_s, step.ended_s))
        frame = ' stroke="#000000" stroke-width="2"' if step.error else ""
        lines = [f'<path d="M{ready:.1f} {middle:.1f}H{began:.1f}" stroke="{_WAIT}" stroke-width="2"/>']
        return [
            *(lines if began - ready >= 1 else []),
            (
                f'<rect x="{began:.1f}" y="{middle - _BAR / 2:.1f}" width="{max(1.0, ended - began):.1f}"'
                f' height="{_BAR}" fill="{self._color_of(step.plugin)}"{frame}>'
                f"<title>{escape(_words(step))}</title></rect>"
            ),
        ]

    def _draw_legend(self, number: int) -> list[str]:
        kind, (x, line) = self._kinds[number], self._legend[number]
        y = self._bottom + 46 + 20 * line
        return [
            f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" fill="{self._color_of(kind)}"/>',
            f'<text x="{x + 18:.1f}" y="{y}" fill="{INK}">{escape(kind)}</text>',
        ]


def _words(step: Step) -> str:
    """Return a step in words."""
    waited = f", after {step.waited_for}" if step.waited_for else ""
    failed = ", failed" if step.error else ""
    return f"{step.node}: {step.plugin} from {step.began_s:.2f} to {step.ended_s:.2f} s{waited}{failed}"
