"""How counts, times and ages are said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.text import clean_lines, format_age, format_rate, format_span, format_utc, plural, shorten_list


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


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (2 * 3600 + 59, "2 h"),
        (2 * 3600 + 60, "2 h 1 min"),
        (47 * 3600 + 59 * 60, "47 h 59 min"),
        (48 * 3600, "2 days"),
        (72 * 3600 - 1, "2 days"),
    ],
)
def test_times_to_wait_are_as_exact_as_somebody_who_waits_needs(seconds, said):
    assert format_span(seconds) == said


def test_rates_have_a_digit_behind_the_point_below_ten():
    assert [format_rate(rate) for rate in (0.04, 1.44, 9.9, 10, 210.4)] == ["0.0", "1.4", "9.9", "10", "210"]


def test_of_many_names_the_first_two_and_the_last_are_told():
    assert shorten_list(["a", "b", "c", "d"]) == "a, b, c, d"
    assert shorten_list(["a", "b", "c", "d", "e"]) == "a, b ... e"


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
