"""Line charts in a terminal, with Braille characters of two by four dots."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DOTS_WIDE, DOTS_HIGH = 2, 4
"""The dots of a character cell."""
_BLANK = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""By column and by row from the top, the value that a dot adds to the blank cell U+2800."""


def draw_line(values: Sequence[float | None], *, low: float, high: float, rows: int) -> list[str]:
    """Return the rows of text of a line through these values, from left to right.

    Args:
        values: one for each column of dots; None leaves a gap.
        low: the value of the lowest dot.
        high: the value of the highest dot; if it is not above `low`, the line is in the middle.
        rows: the number of rows of characters.
    """
    cells = [[_BLANK] * -(-len(values) // DOTS_WIDE) for _ in range(rows)]
    before: int | None = None
    for column, value in enumerate(values):
        if value is None:
            before = None
            continue
        height = rows * DOTS_HIGH - 1
        share = (value - low) / (high - low) if high > low else 0.5
        dot = round((1 - min(1.0, max(0.0, share))) * height)
        # A stroke joins the values of two columns, or a jump would look like a gap.
        first = dot if before in {None, dot} else before + (1 if dot > before else -1)
        for y in range(min(first, dot), max(first, dot) + 1):
            cells[y // DOTS_HIGH][column // DOTS_WIDE] |= _DOTS[column % DOTS_WIDE][y % DOTS_HIGH]
        before = dot
    return ["".join(map(chr, row)) for row in cells]
