"""Counts, times and ages as text; lists and names in texts."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 node``, ``2 nodes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shorten_list(names: Sequence[str]) -> str:
    """Return names with commas: of more than four the first two and the last one."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]} ... {names[-1]}"


def format_utc(moment: datetime | None) -> str:
    """Return a time in UTC, such as ``2025-06-10T07:00:00Z``; empty for None."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def format_age(passed: timedelta) -> str:
    """Return a duration in the largest unit that fits: ``45 s``, ``12 min``, ``5 h``, ``3 days``."""
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return plural(seconds // 86400, "day")


def format_rate(rate: float) -> str:
    """Return how many in a second, such as ``210`` or ``1.4``."""
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def format_span(seconds: float) -> str:
    """Return a time to wait: ``45 s``, ``12 min``, ``1 h 30 min``, ``3 days``."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        hours, minutes = whole // 3600, whole % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return plural(whole // 86400, "day")


_LINE_END = re.compile(r"\r*\n")


def clean_text(text: str) -> str:
    """Return a line as a terminal may be given it: what would move its cursor or change it is written out.

    Tabs stay. A node decides what it is called, what it prints and which error it reports; a terminal obeys all of it.
    """
    return "".join(letter if letter.isprintable() or letter == "\t" else repr(letter)[1:-1] for letter in text)


def clean_lines(text: str) -> str:
    """Return lines as a terminal may be given them; see `clean_text`."""
    return "\n".join(map(clean_text, _LINE_END.split(text)))


def comma_list(text: str) -> tuple[str, ...]:
    """Split a text at commas and line ends. Blanks are removed."""
    return tuple(item for item in (part.strip() for part in re.split(r"[,\n]", text)) if item)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` for the most similar name, or an empty text. Case is ignored."""
    by_case = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_case, n=1, cutoff=0.6)
    return f" (did you mean {by_case[near[0]]}?)" if near else ""
