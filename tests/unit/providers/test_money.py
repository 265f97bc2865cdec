"""Sums of money."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from clusterctl.providers.money import Bill, BillLine, Estimate, PriceRange, QuotedGroup, QuotedPart

amounts = st.decimals(min_value=0, max_value=100, places=5, allow_nan=False)
spans = st.tuples(amounts, amounts).map(lambda pair: PriceRange(min(pair), max(pair)))
groups = st.builds(
    QuotedGroup,
    role=st.just("worker"),
    count=st.integers(1, 1000),
    types=st.just(("c7i.large",)),
    market=st.just("spot"),
    zone=st.just(""),
    node_price=st.none() | spans,
    on_demand=st.none() | spans,
)
parts = st.builds(QuotedPart, name=st.just("disks"), details=st.just(""), hourly=st.none() | amounts)


@given(st.lists(groups, max_size=4), st.lists(parts, max_size=3))
def test_an_estimate_is_the_sum_of_what_is_known(groups, parts):
    estimate = Estimate("us-east-1", tuple(groups), tuple(parts), (), ())
    disks = sum((part.hourly for part in parts if part.hourly is not None), Decimal(0))
    low = sum((group.node_price.low * group.count for group in groups if group.node_price), disks)
    high = sum((group.node_price.high * group.count for group in groups if group.node_price), disks)
    usual = sum((group.on_demand.high * group.count for group in groups if group.on_demand), disks)
    assert (estimate.hourly.low, estimate.hourly.high) == (low, high)
    assert estimate.hourly_on_demand.high == usual
    unknown = [*(group.node_price for group in groups), *(part.hourly for part in parts)].count(None)
    assert estimate.is_complete == (unknown == 0)
    assert estimate.hourly.low <= estimate.hourly.high


def test_a_bill_is_the_sum_of_its_lines_and_an_unknown_price_counts_nothing():
    began = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def line(machine, disks, address):
        known = None if machine is None else Decimal(machine)
        parts = known, Decimal(disks), Decimal(address)
        return BillLine("master", "i-1", "c7i.large", None, "", began, None, Decimal(1), *parts)

    bill = Bill((line("1.5", "0.25", "0.01"), line(None, "0.5", "0.02")), ())
    assert [each.usd for each in bill.lines] == [Decimal("1.76"), Decimal("0.52")]
    assert bill.usd == Decimal("2.28")
    assert Bill((), ()).usd == 0
