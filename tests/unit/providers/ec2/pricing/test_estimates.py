"""What new instances would cost: from answers of AWS, or without them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from clusterctl.model import Market, NodeSpec
from clusterctl.providers.ec2.images import Ami
from clusterctl.providers.ec2.launch.discovery import InstanceType, LaunchInputs
from clusterctl.providers.ec2.launch.subnets import Subnet
from clusterctl.providers.ec2.options import Options
from clusterctl.providers.ec2.pricing.estimates import estimate_launch_cost
from clusterctl.providers.money import PriceRange, QuotedLimit

from .....support.fake_aws import FakeAws, products, refused, spot

TYPES = ("c7i.xlarge", "c7a.xlarge")
FOUND = LaunchInputs(
    "x86_64",
    {
        kind: InstanceType(kind, ("x86_64",), vcpus)
        for kind, vcpus in (("m7i.large", 2), ("c7i.xlarge", 4), ("c7a.xlarge", 4))
    },
    {"": Ami("ami-1", "x86_64", "/dev/xvda", 8)},
    tuple(Subnet(f"subnet-{zone}", f"us-east-1{zone}", "vpc-1", "172.31.0.0/20", "", 4000) for zone in "ab"),
    {},
)
ANSWERS = {
    "describe_spot_price_history": [
        spot("c7i.xlarge", "us-east-1a", "0.0700"),
        spot("c7a.xlarge", "us-east-1a", "0.0900"),
        spot("c7i.xlarge", "us-east-1b", "0.0800"),
        spot("c7i.xlarge", "us-east-1c", "0.0100"),  # where there is no subnet
    ],
    "get_products": products({"m7i.large": "0.1008", "c7i.xlarge": "0.1785", "c7a.xlarge": "0.2053"}, {"gp3": "0.073"}),
    "get_service_quota": {"Quota": {"Value": 64.0}},
    "describe_instances": [
        {
            "Instances": [
                {"InstanceId": "i-1", "InstanceType": "c7i.large", "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2}}
            ]
        }
    ],
}


def specs(workers=2, market="spot", bid=Decimal("0.10"), **more):
    master = NodeSpec("master", types=("m7i.large",), market="on-demand")
    names = [f"node{number:03d}" for number in range(1, workers + 1)]
    return [master, *(NodeSpec(name, types=TYPES, market=market, bid=bid, **more) for name in names)]


def estimated(nodes=None, answers=ANSWERS, *, found=FOUND, zone="", **options):
    aws = FakeAws(answers)
    return estimate_launch_cost(aws, Options(**options), nodes or specs(), found, zone=zone), aws


def test_master_workers_disks_and_addresses():
    found, _ = estimated()
    assert found.place == "us-east-1"
    assert [(group.role, group.count, group.zone, group.node_price) for group in found.groups] == [
        ("master", 1, "", PriceRange(Decimal("0.1008"), Decimal("0.1008"))),
        ("worker", 2, "us-east-1a", PriceRange(Decimal("0.0700"), Decimal("0.0900"))),
    ]
    assert [(part.name, part.details, part.hourly) for part in found.parts] == [
        ("root disks", "2 x 20 GB, 1 x 50 GB gp3", Decimal("0.0090")),
        ("addresses", "3 x public IPv4", Decimal("0.015")),
    ]
    assert found.hourly == PriceRange(Decimal("0.2648"), Decimal("0.3048"))
    assert found.hourly_on_demand == PriceRange(Decimal("0.4818"), Decimal("0.5354"))
    assert found.is_complete
    assert found.notes == ()


def test_all_of_it_takes_six_calls_and_no_more_for_a_thousand_nodes():
    for nodes in (specs(), specs(999)):
        found, aws = estimated(nodes)
        assert sum(group.count for group in found.groups) == len(nodes)
        # The prices on demand and of disks are both GetProducts; each market has a quota.
        assert sorted(name for name, _, _ in aws.calls) == [
            "describe_instances",
            "describe_spot_price_history",
            "get_products",
            "get_products",
            "get_service_quota",
            "get_service_quota",
        ]


def test_quotas_count_what_is_needed_at_most_and_what_runs():
    found, _ = estimated()
    assert found.limits == (
        QuotedLimit("on demand, standard types", 2, 62),
        QuotedLimit("spot, standard types", 8, 64),
    )


def test_a_node_that_is_chosen_by_its_size_counts_with_that_and_with_two_processors_if_none_is_said():
    fitting = {(None, None): TYPES, (8, None): TYPES}
    unknown = replace(FOUND, instance_types={}, fitting_types=fitting)
    sizes = [replace(spec, types=(), vcpus=vcpus) for spec, vcpus in zip(specs()[1:], (None, 8), strict=True)]
    found, _ = estimated(sizes, found=unknown)
    assert {limit.name: limit.needed for limit in found.limits} == {"spot, standard types": 2 + 8}


def test_what_may_be_bought_on_demand_counts_in_that_quota_too():
    found, _ = estimated([replace(spec, market=Market.SPOT_WITH_FALLBACK) for spec in specs()[1:]])
    assert {limit.name: limit.needed for limit in found.limits} == {
        "spot, standard types": 8,
        "on demand, standard types": 8,
    }


def test_more_than_the_quota_leaves_is_said():
    found, _ = estimated(specs(17))
    assert any("68 processors are more than the 64 that the quota L-34B43A08 leaves" in note for note in found.notes)


def test_one_zone_that_was_chosen_is_the_only_one_asked_for():
    found, aws = estimated(zone="us-east-1b")
    assert aws.asked("describe_spot_price_history")[0]["AvailabilityZone"] == "us-east-1b"
    assert found.groups[1].node_price == PriceRange(Decimal("0.0800"), Decimal("0.0800"))


def test_on_demand_alone_asks_for_no_spot_prices():
    found, aws = estimated(specs(market="on-demand", bid=None))
    assert aws.asked("describe_spot_price_history") == []
    assert found.hourly == found.hourly_on_demand


def test_without_public_addresses_none_are_paid_for():
    found, _ = estimated(public_ips=False)
    assert [part.name for part in found.parts] == ["root disks"]


def test_the_disk_that_the_template_says():
    found, _ = estimated(root_volume_gb=50)
    assert found.parts[0].details == "3 x 50 GB gp3"
    assert found.parts[0].hourly == Decimal("0.015")


def test_where_pricing_is_refused_prices_are_of_the_table_and_that_is_said():
    found, _ = estimated(answers={**ANSWERS, "get_products": refused()})
    assert found.groups[0].node_price == PriceRange(Decimal("0.10080"), Decimal("0.10080"))
    assert found.groups[1].node_price == PriceRange(Decimal("0.0700"), Decimal("0.0900"))
    assert found.is_complete
    (note,) = found.notes
    assert note.startswith("prices are of 2026-07-20 and were shipped with clusterctl: AWS refused")


def test_where_everything_is_refused_there_is_an_estimate_still():
    found, _ = estimated(answers={})
    assert found.groups[0].node_price == PriceRange(Decimal("0.10080"), Decimal("0.10080"))
    assert found.groups[1].node_price is None
    assert found.groups[1].on_demand == PriceRange(Decimal("0.17850"), Decimal("0.20528"))
    assert not found.is_complete
    assert [limit.left for limit in found.limits] == [None, None]
    text = "\n".join(found.notes)
    assert "prices are of 2026-07-20 and were shipped with clusterctl: AWS refused" in text
    assert "spot prices are not known" in text
    assert "quotas are not known" in text
    assert len(found.notes) == len(set(found.notes))


def test_types_that_are_not_named_are_those_that_fit():
    nodes = [NodeSpec("node001", market="on-demand", vcpus=4, memory_gb=8)]
    fitting = replace(FOUND, instance_types={}, fitting_types={(4, 8): TYPES})
    found, _ = estimated(nodes, found=fitting)
    assert found.groups[0].types == ("c7i.xlarge", "c7a.xlarge")
    assert found.limits == (QuotedLimit("on demand, standard types", 4, 62),)


@pytest.mark.parametrize("market", ["spot", "spot-with-fallback"])
def test_nodes_that_differ_are_groups_of_their_own(market):
    nodes = [*specs(market=market), NodeSpec("big", types=("c7a.xlarge",), market="on-demand")]
    found, _ = estimated(nodes)
    assert [(group.role, group.count, group.market) for group in found.groups] == [
        ("master", 1, "on-demand"),
        ("worker", 2, market),
        ("worker", 1, "on-demand"),
    ]
