"""From prices to what a group of nodes costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup
from clusterctl.providers.ec2.pricing.prices import SpotPrice
from clusterctl.providers.ec2.pricing.quote import SHOWN_TYPES, MarketPrices, quote_group
from clusterctl.providers.money import PriceRange

from .....support.fake_aws import NOW

USUAL = {"c7i.large": Decimal("0.09"), "c7a.large": Decimal("0.10")}


def pool(kind, zone, usd):
    return SpotPrice(kind, zone, Decimal(str(usd)), NOW)


POOLS = [
    pool("c7i.large", "us-east-1a", "0.040"),
    pool("c7a.large", "us-east-1a", "0.035"),
    pool("c7i.large", "us-east-1b", "0.030"),
    pool("c7a.large", "us-east-1b", "0.050"),
]


def wanted(market="spot", bid=None, types=("c7i.large", "c7a.large"), count=2):
    aliases = tuple(f"node{number:03d}" for number in range(1, count + 1))
    return LaunchGroup("worker", aliases, types, market, bid, "", 2.0, 4.0)


def quoted(group, kinds=("c7i.large", "c7a.large"), pools=POOLS, any_zone=False, usual=USUAL, fallback_max=None):
    said = []
    return quote_group(group, kinds, MarketPrices(usual, pools, any_zone, fallback_max), said.append), said


def span(low, high):
    return PriceRange(Decimal(str(low)), Decimal(str(high)))


def test_on_demand_from_the_cheapest_to_the_dearest_type():
    found, said = quoted(wanted("on-demand"))
    assert (found.node_price, found.on_demand, found.zone) == (span("0.09", "0.10"), span("0.09", "0.10"), "")
    assert found.types == ("c7i.large", "c7a.large")
    assert said == []


def test_spot_in_the_zone_that_has_the_cheapest_type():
    found, _ = quoted(wanted())
    assert (found.zone, found.node_price) == ("us-east-1b", span("0.030", "0.050"))
    assert found.on_demand == span("0.09", "0.10")


def test_in_any_zone_each_type_is_taken_where_it_is_cheapest():
    found, _ = quoted(wanted(), any_zone=True)
    assert (found.zone, found.node_price) == ("", span("0.030", "0.035"))


def test_no_type_dearer_than_the_bid_is_reckoned_with():
    found, _ = quoted(wanted(bid=Decimal("0.04")))
    assert (found.zone, found.node_price, found.bid) == ("us-east-1b", span("0.030", "0.030"), Decimal("0.04"))
    assert found.on_demand == span("0.09", "0.09")
    assert found.types == ("c7i.large", "c7a.large")


def test_without_a_bid_no_type_that_is_dearer_than_on_demand_is():
    found, _ = quoted(wanted(), pools=[*POOLS, pool("c7i.large", "us-east-1b", "0.2")])
    assert found.node_price == span("0.030", "0.050")


def test_a_bid_that_is_enough_for_nothing_is_said_and_has_no_price():
    found, (said,) = quoted(wanted(bid=Decimal("0.01")))
    assert (found.node_price, found.zone) == (None, "")
    assert said.startswith("no spot instance of these types costs $0.01 or less now, the cheapest is c7i.large in")
    assert said.endswith(" in us-east-1b for $0.03: none will be had")


def test_with_fallback_it_then_costs_what_it_does_on_demand():
    found, (said,) = quoted(wanted("spot-with-fallback", bid=Decimal("0.01")))
    assert found.node_price == span("0.09", "0.10")
    assert "on demand it is, then" in said


def test_no_type_above_the_cap_of_the_fallback_is_reckoned_with():
    found, (said,) = quoted(wanted("spot-with-fallback", bid=Decimal("0.01")), fallback_max=Decimal("0.09"))
    assert found.node_price == found.on_demand == span("0.09", "0.09")
    found, (said,) = quoted(wanted("spot-with-fallback", bid=Decimal("0.01")), fallback_max=Decimal("0.08"))
    assert (found.node_price, found.on_demand) == (None, None)
    assert said.endswith("none will be had")


def test_spot_prices_that_nobody_knows_are_unknown():
    found, (said,) = quoted(wanted(), pools=[])
    assert found.node_price is None
    assert "no spot price is known" in said


def test_a_type_without_a_price_is_named_all_the_same():
    found, _ = quoted(wanted("on-demand"), usual={"c7a.large": Decimal("0.10")})
    assert found.node_price == span("0.10", "0.10")
    assert found.types == ("c7a.large", "c7i.large")


def test_where_no_types_are_named_the_cheapest_are_reckoned_with():
    kinds = [f"m{number}.large" for number in range(10)]
    usual = {kind: Decimal(number + 1) for number, kind in enumerate(kinds)}
    found, (said,) = quoted(wanted("on-demand", types=()), kinds=kinds, usual=usual)
    assert found.types == tuple(kinds[:SHOWN_TYPES])
    assert found.node_price == span(1, SHOWN_TYPES)
    assert "10 types" in said


@given(
    prices=st.lists(
        st.tuples(st.sampled_from(sorted(USUAL)), st.sampled_from("abc"), st.integers(1, 200)), min_size=1, max_size=12
    ),
    bid=st.one_of(st.none(), st.integers(1, 200).map(lambda mills: Decimal(mills) / 1000)),
    any_zone=st.booleans(),
)
@pytest.mark.parametrize("market", ["spot", "spot-with-fallback"])
def test_whatever_the_prices_nobody_is_told_of_more_than_the_bid_or_of_less_than_the_least(
    market, prices, bid, any_zone
):
    pools = [pool(kind, f"us-east-1{zone}", Decimal(mills) / 1000) for kind, zone, mills in prices]
    found, said = quoted(wanted(market, bid), pools=pools, any_zone=any_zone)
    least = min(each.usd for each in pools)
    if found.node_price is None or said:
        assert bid is None or least > bid
        return
    assert least <= found.node_price.low <= found.node_price.high
    if bid and not said:
        assert found.node_price.high <= bid
        assert found.node_price.low == least
