"""What is made of AWS's answers on prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.providers.ec2.pricing import prices
from clusterctl.providers.ec2.pricing.prices import SpotPrice

from .....support.fake_aws import NOW, FakeAws, product, products, spot

HOUR = timedelta(hours=1)


def change(usd, hours_ago):
    return SpotPrice("c7i.large", "us-east-1a", Decimal(str(usd)), NOW - hours_ago * HOUR)


class TestSpot:
    def test_the_price_of_now_is_the_newest_of_each_type_and_zone_in_one_call(self):
        aws = FakeAws(
            {
                "describe_spot_price_history": [
                    spot("c7i.large", "us-east-1b", "0.0400", NOW),
                    spot("c7i.large", "us-east-1a", "0.0350", NOW - HOUR),
                    spot("c7i.large", "us-east-1a", "0.0357", NOW),
                ]
            }
        )
        found = prices.fetch_spot_prices(aws, ["c7i.large", "c7i.large"])
        assert [(price.zone, price.usd) for price in found] == [
            ("us-east-1a", Decimal("0.0357")),
            ("us-east-1b", Decimal("0.0400")),
        ]
        (asked,) = aws.asked("describe_spot_price_history")
        assert asked["InstanceTypes"] == ["c7i.large"]
        assert "EndTime" not in asked
        assert "AvailabilityZone" not in asked

    def test_nothing_is_asked_for_no_types(self):
        aws = FakeAws()
        assert prices.fetch_spot_prices(aws, []) == []
        assert aws.calls == []

    def test_history_begins_with_the_price_in_force_at_the_start(self):
        start = NOW - 10 * HOUR
        aws = FakeAws(
            {
                "describe_spot_price_history": [
                    spot("c7i.large", "us-east-1a", "3", NOW - 1 * HOUR),
                    spot("c7i.large", "us-east-1a", "2", NOW - 5 * HOUR),
                    spot("c7i.large", "us-east-1a", "1", NOW - 12 * HOUR),
                ]
            }
        )
        found = prices.fetch_spot_history(aws, ["c7i.large"], start=start, end=NOW, zone="us-east-1a")
        (changes,) = found.values()
        assert [(price.usd, price.since) for price in changes] == [
            (1, start),
            (2, NOW - 5 * HOUR),
            (3, NOW - 1 * HOUR),
        ]
        assert aws.asked("describe_spot_price_history")[0]["AvailabilityZone"] == "us-east-1a"


class TestMean:
    def test_each_price_counts_for_as_long_as_it_was_in_force(self):
        changes = [change(1, 4), change(3, 1)]
        assert prices.mean_price(changes, NOW - 4 * HOUR, NOW) == Decimal("1.5")

    def test_what_changed_before_or_after_does_not_count(self):
        changes = [change(9, 8), change(1, 4), change(7, 1)]
        assert prices.mean_price(changes, NOW - 3 * HOUR, NOW - 2 * HOUR) == 1

    def test_no_time_at_all_is_the_price_of_that_moment(self):
        assert prices.mean_price([change(1, 4), change(3, 1)], NOW, NOW) == 3

    def test_before_the_first_change_its_price_counts(self):
        assert prices.mean_price([change(2, 1)], NOW - 4 * HOUR, NOW) == 2

    @given(
        st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 500)), min_size=1, max_size=8),
        st.integers(1, 400),
    )
    def test_it_lies_between_the_least_and_the_most(self, raw, hours):
        changes = sorted((change(usd, ago) for usd, ago in raw), key=lambda each: each.since)
        mean = prices.mean_price(changes, NOW - hours * HOUR, NOW)
        usd = [each.usd for each in changes]
        assert min(usd) - Decimal("1e-9") <= mean <= max(usd) + Decimal("1e-9")


class TestList:
    def test_several_types_are_asked_for_at_once_in_the_list_s_own_region(self):
        aws = FakeAws({"get_products": products({"c7i.large": "0.1", "c7a.large": "0.2"})}, region="eu-west-1")
        found = prices.fetch_on_demand_prices(aws, ["c7i.large", "c7a.large", "zz.large"])
        assert found == {"c7i.large": Decimal("0.1"), "c7a.large": Decimal("0.2")}
        ((_, region, asked),) = aws.calls
        assert region == "us-east-1"
        filters = {each["Field"]: (each["Type"], each["Value"]) for each in asked["Filters"]}
        assert filters["regionCode"] == ("TERM_MATCH", "eu-west-1")
        assert filters["instanceType"] == ("ANY_OF", "c7a.large,c7i.large,zz.large")

    def test_one_type_is_asked_for_by_its_name(self):
        aws = FakeAws({"get_products": products({"c7i.large": "0.1"})})
        prices.fetch_on_demand_prices(aws, ["c7i.large"])
        assert {"Field": "instanceType", "Type": "TERM_MATCH", "Value": "c7i.large"} in aws.calls[0][2]["Filters"]

    def test_no_list_is_longer_than_aws_takes(self):
        kinds = [f"m{number}i-flex.24xlarge" for number in range(200)]
        aws = FakeAws({"get_products": products(dict.fromkeys(kinds, "1"))})
        assert len(prices.fetch_on_demand_prices(aws, kinds)) == 200
        values = [each["Value"] for _, _, asked in aws.calls for each in asked["Filters"]]
        assert len(aws.calls) > 1
        assert max(map(len, values)) <= 1024

    def test_reservations_capacity_blocks_and_prices_of_nothing_are_left_out(self):
        aws = FakeAws(
            {
                "get_products": [
                    product("p5.48xlarge", "0"),
                    product("p5.48xlarge", "31.464", marketoption="CapacityBlock"),
                    product("p5.48xlarge", "55.04"),
                ]
            }
        )
        assert prices.fetch_on_demand_prices(aws, ["p5.48xlarge"]) == {"p5.48xlarge": Decimal("55.04")}

    @pytest.mark.parametrize(("listed", "expected"), [({"gp3": "0.08"}, Decimal("0.08")), ({}, None)])
    def test_disks_by_the_gb_and_month(self, listed, expected):
        assert prices.fetch_disk_price(FakeAws({"get_products": products({}, listed)}), "gp3") == expected
