"""Estimates and spending through a whole account: the program as it is, against the stand-in."""

from __future__ import annotations

from decimal import Decimal

import pytest
from clusterctl_standin.faults import Unauthorized

from clusterctl.identity.keys import new_key_pair
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeSpec, Plan, Request
from clusterctl.providers.base import Priced
from clusterctl.providers.ec2 import Ec2Options, Ec2Provider

TYPES = ("c7i.xlarge", "c7a.xlarge")


def plan(workers=2, *, market="spot", bid=None, types=TYPES, **more):
    master = NodeSpec("master", types=("m7i.large",), market="on-demand", image="debian-12")
    names = [f"node{number:03d}" for number in range(1, workers + 1)]
    nodes = [NodeSpec(name, types=types, market=market, bid=bid, image="debian-12", **more) for name in names]
    return Plan("lab", "ec2", "me", (master, *nodes), (), Request(), 1, 60.0, "x")


@pytest.fixture
def provider(aws, tmp_path, monkeypatch):
    for module in ("pricing.estimates", "pricing.spending"):  # this computer may be slow
        monkeypatch.setattr(f"clusterctl.providers.ec2.{module}._PATIENCE_S", 60.0)

    def make(**options):
        return Ec2Provider(
            aws,
            options=Ec2Options(allow_from=("192.0.2.7/32",), **options),
            journal=lambda name: ClusterFolder(tmp_path, name),
            owner="me@here",
        )

    return make


def dollars(number):
    return Decimal(str(number))


def test_prices_quotas_and_disks_of_the_account(provider, cloud):
    for zone, usd in (("us-east-1a", 0.07), ("us-east-1b", 0.05)):
        cloud.prices.set_spot("c7i.xlarge", zone, usd)
        cloud.prices.set_spot("c7a.xlarge", zone, 0.09)
    for zone in "cdef":
        for kind in TYPES:
            cloud.prices.set_spot(kind, f"us-east-1{zone}", 0.30)
    cloud.quotas["spot"] = 32
    owner = provider()
    assert isinstance(owner, Priced)
    owner.check(plan())
    cloud.clear_calls()
    found = owner.estimate_nodes(plan(), [])
    assert len(cloud.calls) == 3  # the checks have asked for the quotas
    master, workers = found.groups
    assert master.node_price == master.on_demand
    assert (workers.zone, workers.node_price.low, workers.node_price.high) == (
        "us-east-1b",
        dollars(0.05),
        dollars(0.09),
    )
    assert workers.on_demand.low > workers.node_price.low
    assert found.parts[0].details == "2 x 20 GB, 1 x 50 GB gp3"
    assert float(found.parts[0].hourly) == pytest.approx(90 * 0.08 / 730)
    limits = {limit.name: (limit.needed, limit.left) for limit in found.limits}
    assert limits["spot, standard types"] == (8, 32)
    assert found.is_complete
    assert found.notes == ()


def test_nodes_that_are_there_are_not_bought_again_and_say_the_zone(provider, cloud, tmp_path):
    owner = provider()
    ClusterFolder(tmp_path, "lab").ensure_exists()
    there = owner.create(plan(1), public_key=new_key_pair("test")[1])
    cloud.clear_calls()
    found = owner.estimate_nodes(plan(3), there)
    assert [(group.role, group.count) for group in found.groups] == [("worker", 2)]
    assert found.groups[0].zone == there[0].zone
    assert {call.params["AvailabilityZone"] for call in cloud.calls_of("DescribeSpotPriceHistory")} == {there[0].zone}


def test_types_by_requirement_are_priced_by_the_cheapest(provider):
    found = provider().estimate_nodes(plan(types=(), vcpus=4, memory_gb=8), [])
    workers = found.groups[1]
    assert len(workers.types) == 4
    assert workers.node_price.low > 0
    assert any("types may be taken" in note for note in found.notes)


def test_a_refused_price_list_leaves_the_table(provider, cloud):
    cloud.faults.add(Unauthorized("GetProducts"))
    found = provider().estimate_nodes(plan(), [])
    assert found.is_complete
    assert any("were shipped with clusterctl" in note for note in found.notes)


def test_what_runs_costs_from_its_launch_on(provider, cloud, tmp_path):
    owner = provider()
    ClusterFolder(tmp_path, "lab").ensure_exists()
    nodes = owner.create(plan(2), public_key=new_key_pair("test")[1])
    cloud.clear_calls()
    found = owner.spending("lab", owner.nodes("lab"))
    assert len(cloud.calls) <= 6
    assert found.notes == ()
    estimated = provider().estimate_nodes(plan(2), [])
    assert found.hourly == pytest.approx(estimated.hourly.low, rel=Decimal("0.25"))
    assert found.so_far < found.hourly / 10
    assert nodes


def test_what_is_stopped_costs_its_disks(provider, tmp_path):
    owner = provider()
    ClusterFolder(tmp_path, "lab").ensure_exists()
    owner.create(plan(0), public_key=new_key_pair("test")[1])
    owner.stop("lab")
    found = owner.spending("lab", owner.nodes("lab"))
    assert float(found.hourly) == pytest.approx(50 * 0.08 / 730)
