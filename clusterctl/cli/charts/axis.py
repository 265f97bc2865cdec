"""The ticks of an axis, at round amounts and round times."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

_STEPS = (1, 2, 2.5, 5, 10)
_TIMES = [
    *(timedelta(minutes=minutes) for minutes in (5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14)),
]


def price_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round numbers from below `low` to above `high`, evenly spaced, not many more than `most`.

    Amounts that differ by less than a ten-thousandth look equal, and get the scale of one amount.
    """
    if high - low <= 1e-4 * low:
        low, high = low * 0.9, low * 1.1 or 1.0
    rough = (high - low) / (most - 1)
    size: float = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in _STEPS if size * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def time_ticks(start: datetime, end: datetime, *, most: int = 8) -> list[datetime]:
    """Return at most `most` round moments from `start` to `end`: midnights, where the steps are days."""
    step = next((candidate for candidate in _TIMES if (end - start) / candidate <= most), _TIMES[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + math.ceil((start - midnight) / step) * step
    moments = []
    while first <= end:
        moments.append(first)
        first += step
    return moments


def count_decimals(step: float) -> int:
    """Return how many decimal places distinguish ticks that are `step` apart."""
    return max(2, -math.floor(math.log10(step) + 1e-9) + (0 if math.isclose(step, _one_digit(step)) else 1))


def _one_digit(step: float) -> float:
    size: float = 10 ** math.floor(math.log10(step) + 1e-9)
    return round(step / size) * size
