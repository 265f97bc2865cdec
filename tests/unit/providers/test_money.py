"""Sums of money."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from clusterctl.providers.money import Estimate, PriceRange, QuotedGroup, QuotedPart

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
