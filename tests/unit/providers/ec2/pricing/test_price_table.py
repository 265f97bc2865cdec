"""The prices that are shipped, checked against some that are known one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clusterctl.providers.ec2.pricing import price_table

KNOWN = [
    ("c7i.large", "us-east-1", "0.08925"),
    ("c7i.xlarge", "us-east-1", "0.17850"),
    ("c7a.48xlarge", "us-east-1", "9.85344"),
    ("m7i-flex.2xlarge", "us-east-1", "0.38304"),
    ("t3.nano", "us-east-1", "0.00520"),
    ("t3.micro", "us-east-1", "0.01040"),
    ("t4g.medium", "us-east-1", "0.03360"),
    ("r8g.medium", "us-east-1", "0.05891"),
    ("c5a.large", "eu-central-1", "0.08700"),
    ("c5a.xlarge", "ap-south-1", "0.09400"),
    ("c5a.xlarge", "us-west-1", "0.19000"),
    ("g5.xlarge", "us-east-1", "1.00600"),
    ("g5.12xlarge", "us-east-1", "5.67200"),
    ("g4dn.xlarge", "us-west-2", "0.52600"),
]


@pytest.mark.parametrize(("kind", "region", "usd"), KNOWN)
def test_what_a_known_type_costs(kind, region, usd):
    assert price_table.on_demand_price(kind, region) == Decimal(usd)


def test_a_family_with_gpus_elsewhere_costs_what_it_does_to_a_thousandth():
    assert abs(price_table.on_demand_price("g4dn.xlarge", "eu-central-1") - Decimal("0.658")) < Decimal("0.001")


@pytest.mark.parametrize(
    ("kind", "region"),
    [
        ("c7i.metal-24xl", "us-east-1"),
        ("zz9.large", "us-east-1"),
        ("c7i.large", "mars-north-1"),
        ("c8i.large", "eu-west-1"),
        ("c7i", "us-east-1"),
        ("g5.nano", "us-east-1"),
    ],
)
def test_what_it_does_not_have_is_not_guessed(kind, region):
    assert price_table.on_demand_price(kind, region) is None


def test_every_row_has_a_price_or_a_dash_for_each_region():
    regions = len(price_table._REGIONS)
    for table in (price_table._LARGE, price_table._BY_REGION):
        for line in table.strip().splitlines():
            words = line.split()[1:]
            assert len(words) == regions, line
            assert all(word == "-" or 0 < Decimal(word) < 3 for word in words), line


def test_no_region_is_cheaper_by_half_or_twice_as_dear():
    # It would be a slip of the pen. Mumbai really is that cheap for AMD's and Amazon's own processors.
    for line in price_table._LARGE.strip().splitlines():
        family, *words = line.split()
        base = Decimal(words[0])
        for region, word in zip(price_table._REGIONS, words, strict=True):
            if word != "-":
                assert Decimal("0.55") < Decimal(word) / base < Decimal("2.2"), (family, region)


def test_disks_and_when_prices_are_of():
    assert price_table.disk_price("gp3", "us-east-1") == Decimal("0.08")
    assert price_table.disk_price("io2", "us-east-1") is None
    assert price_table.disk_price("gp3", "sa-east-1") is None
    assert price_table.price_date("us-east-1") == "2026-07-20"
    assert price_table.price_date("eu-west-1") == "2025-03-02"


def test_what_is_far_dearer_than_the_cheapest_is_left_out():
    names = ("g6.xlarge", "g4dn.xlarge", "p5.4xlarge", "unheard.of")
    assert price_table.leave_dear_out(names, "us-east-1") == ("g6.xlarge", "g4dn.xlarge")
    assert price_table.leave_dear_out(("unheard.of",), "us-east-1") == ("unheard.of",)
