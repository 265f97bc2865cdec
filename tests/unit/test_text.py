"""How counts, times and ages are said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.text import clean_lines, format_age, format_utc, plural


def test_counts():
    assert [plural(count, "node") for count in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


def test_times_are_utc_and_empty_where_nobody_knows():
    east = timezone(timedelta(hours=2))
    assert format_utc(datetime(2025, 6, 10, 9, 0, tzinfo=east)) == "2025-06-10T07:00:00Z"
    assert format_utc(None) == ""


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        ({"seconds": -5}, "0 s"),
        ({"seconds": 59}, "59 s"),
        ({"seconds": 60}, "1 min"),
        ({"seconds": 3599}, "59 min"),
        ({"seconds": 3600}, "1 h"),
        ({"hours": 48, "seconds": -1}, "47 h"),
        ({"hours": 48}, "2 days"),
        ({"hours": 71}, "2 days"),
        ({"hours": 72}, "3 days"),
    ],
)
def test_ages_are_in_the_greatest_unit_that_fits(passed, said):
    assert format_age(timedelta(**passed)) == said


HOSTILE = [
    ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    ("\x1b[2J\x1b[Hgone", r"\x1b[2J\x1b[Hgone"),
    ("\x9b2J", r"\x9b2J"),
    ("a\rb", r"a\rb"),
    ("a\bb\x7f\x00", r"a\x08b\x7f\x00"),
    ("\u202egnp.exe", r"\u202egnp.exe"),
    ("\x1b[31mred", r"\x1b[31mred"),
    ("\x1b[31", r"\x1b[31"),
    ("tab\tand ümläut", "tab\tand ümläut"),
    ("two\r\nlines\r\r\n", "two\nlines\n"),
]
"""What a node may send, and what a terminal may get."""


@pytest.mark.parametrize(("sent", "shown"), HOSTILE)
def test_a_terminal_gets_nothing_that_it_would_obey(sent, shown):
    assert clean_lines(sent) == shown
