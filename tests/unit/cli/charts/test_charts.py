"""Lines in a terminal, marks of axes, and pictures."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterctl.cli.charts import axis, braille, svg
from clusterctl.cli.charts import text as price_text
from clusterctl.providers.ec2.pricing.prices import SpotPrice, mean_price
from clusterctl.providers.ec2.pricing.spot_history import PriceHistory

START = datetime(2026, 11, 20, 8, 0, tzinfo=timezone.utc)
END = START + timedelta(days=7)
SVG = "{http://www.w3.org/2000/svg}"


def course(zone="us-east-1a", kind="c7i.large", prices=((0, "0.04"), (48, "0.03"), (100, "0.05"))):
    changes = tuple(SpotPrice(kind, zone, Decimal(usd), START + timedelta(hours=hours)) for hours, usd in prices)
    return PriceHistory(kind, zone, changes, mean_price(changes, START, END))


class TestBraille:
    def test_low_to_high_goes_up(self):
        assert braille.draw_line([0, 1, 2, 3], low=0, high=3, rows=1) == ["⡠⠊"]

    def test_a_leap_is_joined(self):
        assert braille.draw_line([0, 3], low=0, high=3, rows=1) == ["⡸"]

    def test_a_gap_stays_one(self):
        assert braille.draw_line([3, None, None, 3], low=0, high=3, rows=1) == ["⠁⠈"]

    def test_what_never_changes_is_in_the_middle(self):
        assert braille.draw_line([5, 5], low=5, high=5, rows=1) == ["⠤"]

    @given(
        st.lists(st.none() | st.floats(-1, 2), min_size=1, max_size=200),
        st.integers(1, 6),
    )
    def test_whatever_the_values_it_has_its_size(self, values, rows):
        drawn = braille.draw_line(values, low=0, high=1, rows=rows)
        assert len(drawn) == rows
        assert {len(row) for row in drawn} == {(len(values) + 1) // 2}


class TestTicks:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [
            (0.0301, 0.0684, [0.03, 0.04, 0.05, 0.06, 0.07]),
            (1.0, 2.0, [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]),
            (12.1, 31.9, [10.0, 15.0, 20.0, 25.0, 30.0, 35.0]),
            (0.0, 5.0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            (0.0, 11.0, [0.0, 2.5, 5.0, 7.5, 10.0, 12.5]),
            (0.0, 35.0, [0.0, 10.0, 20.0, 30.0, 40.0]),
            (3e-10, 9e-10, [2e-10, 4e-10, 6e-10, 8e-10, 1e-9]),
        ],
    )
    def test_amounts_are_round(self, low, high, expected):
        assert axis.price_ticks(low, high) == expected

    @given(st.floats(0.0001, 100), st.floats(0, 100))
    @example(0.5, 2.2e-16)
    def test_amounts_hold_all_there_is_and_are_few(self, low, more):
        found = axis.price_ticks(low, low + more)
        assert found[0] <= low * (1 + 1e-6)
        assert low + more <= found[-1] * (1 + 1e-6)
        assert 2 <= len(found) <= 8
        assert found == sorted(set(found))

    @pytest.mark.parametrize(
        ("hours", "first", "count"),
        [(168, "21 00:00", 7), (24, "20 09:00", 8), (1, "20 08:00", 5), (24 * 90, "27 00:00", 7)],
    )
    def test_times_are_round(self, hours, first, count):
        found = axis.time_ticks(START, START + timedelta(hours=hours))
        if hours == 24:
            assert found[0].hour % 3 == 0
        else:
            assert f"{found[0]:%d %H:%M}" == first or hours > 200
            assert abs(len(found) - count) <= 6
        assert found[0] >= START
        assert found[-1] <= START + timedelta(hours=hours)
        assert len(found) <= 9

    @pytest.mark.parametrize(
        ("span", "step"),
        [
            (timedelta(minutes=40), timedelta(minutes=5)),
            (timedelta(hours=2), timedelta(minutes=15)),
            (timedelta(hours=4), timedelta(minutes=30)),
            (timedelta(hours=8), timedelta(hours=1)),
            (timedelta(hours=24), timedelta(hours=3)),
            (timedelta(hours=48), timedelta(hours=6)),
            (timedelta(hours=96), timedelta(hours=12)),
            (timedelta(days=8), timedelta(days=1)),
            (timedelta(days=16), timedelta(days=2)),
            (timedelta(days=56), timedelta(days=7)),
            (timedelta(days=57), timedelta(days=14)),
            (timedelta(days=200), timedelta(days=14)),
        ],
    )
    def test_times_are_as_close_as_eight_steps_allow(self, span, step):
        midnight = START.replace(hour=0)
        marks = axis.time_ticks(midnight, midnight + span)
        assert marks == [midnight + number * step for number in range(span // step + 1)]

    @pytest.mark.parametrize(("step", "digits"), [(0.01, 2), (0.005, 3), (0.0025, 4), (0.2, 2), (5.0, 2)])
    def test_marks_have_the_digits_that_tell_them_apart(self, step, digits):
        assert axis.count_decimals(step) == digits


class TestText:
    def test_the_price_at_each_moment(self):
        values = price_text.sample_prices(course(), start=START, end=END, count=7)
        assert values == [0.04, 0.03, 0.03, 0.03, 0.05, 0.05, 0.05]

    def test_before_the_first_known_price_there_is_none(self):
        values = price_text.sample_prices(course(prices=((100, "0.05"),)), start=START, end=END, count=7)
        assert values == [None] * 4 + [0.05] * 3

    def test_a_chart_fits_eighty_columns_and_says_its_figures(self):
        lines = price_text.draw_charts([course(), course("us-east-1b")], start=START, end=END)
        assert max(map(len, lines)) <= 80
        assert lines[0] == "c7i.large in us-east-1a: current $0.0500, min $0.0300, mean $0.0410, max $0.0500"
        assert lines[1].startswith(" $0.0500 │")
        assert lines[5].split() == ["Nov", "20", "08:00", "Nov", "27", "08:00"]

    def test_figures(self):
        assert price_text.format_prices([course()])[1].split() == [
            "c7i.large",
            "us-east-1a",
            "0.0500",
            "0.0300",
            "0.0410",
            "0.0500",
        ]


class TestPicture:
    def drawn(self, *courses, marks=()):
        return ET.fromstring(svg.render_price_svg(courses, place="us-east-1", start=START, end=END, marks=marks))

    def test_it_is_svg_with_a_line_and_a_name_for_each_zone(self):
        root = self.drawn(course(), course("us-east-1b"))
        texts = [each.text for each in root.iter(f"{SVG}text")]
        assert "Spot prices of c7i.large" in texts
        assert "USD an hour, Linux/UNIX, us-east-1, 20 Nov 2026 08:00 to 27 Nov 2026 08:00 UTC" in texts
        assert texts[-4:] == ["us-east-1a", "$0.0500", "us-east-1b", "$0.0500"]
        assert {"21 Nov", "$0.00", "$0.01", "$0.05"} <= set(texts)
        colors = {each.get("stroke") for each in root.iter(f"{SVG}path")}
        assert {"#0072b2", "#d55e00"} <= colors

    def test_of_several_types_each_line_says_which(self):
        texts = [each.text for each in self.drawn(course(), course(kind="c7a.large")).iter(f"{SVG}text")]
        assert {"c7i.large us-east-1a", "c7a.large us-east-1a"} <= set(texts)

    def test_prices_to_compare_with_are_lines_across_it_and_named_with_their_amounts(self):
        marks = [svg.PriceMark("on demand", 0.09), svg.PriceMark("bid", 0.06)]
        root = self.drawn(course(), marks=marks)
        texts = [each.text for each in root.iter(f"{SVG}text")]
        assert {"on demand", "$0.0900", "bid", "$0.0600"} <= set(texts)
        assert "$0.10" in texts  # the axis holds them
        heights = {
            each.text: float(each.get("y")) for each in root.iter(f"{SVG}text") if each.get("text-anchor") == "end"
        }
        across = [each.get("d") for each in root.iter(f"{SVG}path") if each.get("stroke-dasharray")]
        (first, _), (second, _) = across[:2], across[2:]
        zero, tenth = heights["$0.00"], heights["$0.10"]
        for path, usd in ((first, 0.09), (second, 0.06)):
            y = float(path.split()[1].partition("H")[0])
            assert abs((zero - 4 - y) / (zero - tenth) - usd / 0.1) < 0.01

    @pytest.mark.parametrize("usd", ["0.0001", "0.04", "98.32"])
    def test_the_axis_begins_at_zero(self, usd):
        texts = [each.text for each in self.drawn(course(prices=((0, usd),))).iter(f"{SVG}text")]
        assert any(re.fullmatch(r"\$0\.0+", text) for text in texts)

    def test_every_line_lies_within_the_picture_however_many_there_are(self):
        many = [course(f"us-east-1{letter}", kind) for kind in ("a.b", "c.d", "e.f") for letter in "abcdefghij"]
        root = self.drawn(*many)
        height = float(root.get("height"))
        assert all(0 < float(each.get("y")) < height for each in root.iter(f"{SVG}text"))
        styles = {(each.get("stroke"), each.get("stroke-dasharray")) for each in root.iter(f"{SVG}path")}
        assert len(styles) >= 21

    def test_nothing_is_loaded_from_elsewhere(self):
        text = svg.render_price_svg([course()], place="<&>", start=START, end=END)
        assert "&lt;&amp;&gt;" in text
        assert not [word for word in ("href", "url(", "@import", "<script") if word in text]
