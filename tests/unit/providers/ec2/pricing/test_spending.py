"""What the nodes that there are cost."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath

import pytest

from clusterctl.model import Layout, Market, Node, NodeState
from clusterctl.providers.ec2.options import Options
from clusterctl.providers.ec2.pricing.lives import Life
from clusterctl.providers.ec2.pricing.spending import compute_spending

from .....support.fake_aws import FakeAws, products, spot

HOUR = timedelta(hours=1)
LAYOUT = Layout(*[PurePosixPath("/x")] * 6)


def node(alias, *, market="on-demand", hours=10, kind="c7i.large", state=NodeState.RUNNING):
    return Node(
        alias,
        "lab",
        f"i-{alias}@boot",
        state,
        "192.0.2.1",
        "172.31.0.1",
        22,
        "clusterctl",
        "",
        LAYOUT,
        machine_id=f"i-{alias}",
        launched_at=datetime.now(timezone.utc).replace(microsecond=0) - hours * HOUR,
        type=kind,
        market=market,
        zone="us-east-1a",
    )


def volume(gb=8, kind="gp3", hours=10):
    return {"VolumeType": kind, "Size": gb, "CreateTime": datetime.now(timezone.utc) - hours * HOUR}


def history(**_):
    now = datetime.now(timezone.utc)
    return [
        spot("c7i.large", "us-east-1a", "0.02", now - 100 * HOUR),
        spot("c7i.large", "us-east-1a", "0.04", now - 5 * HOUR),
    ]


ANSWERS = {
    "describe_volumes": [],
    "describe_spot_price_history": history,
    "get_products": products({"c7i.large": "0.10"}, {"gp3": "0.073"}),
}


def life(number, *, market, kind="c7i.large", began=10, stopped=8, ended=8):
    """An instance's run. Times are in hours before now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return Life(
        f"i-{number}",
        f"node{number:03d}",
        kind,
        market,
        "us-east-1a",
        now - began * HOUR,
        now,
        stopped=now - stopped * HOUR,
        ended=None if ended is None else now - ended * HOUR,
        public_ip=True,
        disk_gb=100,
        disk_type="gp3",
    )


def spent(*nodes, answers=ANSWERS, known_lives=(), **options):
    aws = FakeAws(answers)
    options = Options(**{"public_ips": False, **options})
    return compute_spending(aws, options, "lab", nodes, known_lives=known_lives, look=lambda: known_lives), aws


def about(amount):
    return pytest.approx(float(amount), rel=0.001)


def test_on_demand_is_the_price_times_the_hours_since_launch():
    found, _ = spent(node("master", hours=10))
    assert found.hourly == Decimal("0.10")
    assert float(found.so_far) == about(1.0)
    assert found.notes == ()


def test_spot_is_what_it_was_on_average_and_by_the_hour_what_it_is_now():
    found, aws = spent(node("node001", market="spot", hours=10))
    assert found.hourly == Decimal("0.04")
    assert float(found.so_far) == about(10 * 0.03)
    (asked,) = aws.asked("describe_spot_price_history")
    assert asked["InstanceTypes"] == ["c7i.large"]
    assert not aws.asked("get_products") or all(
        "volumeApiName" in {each["Field"] for each in call["Filters"]} for call in aws.asked("get_products")
    )


def test_addresses_and_disks_count_too():
    found, _ = spent(node("master", hours=10), answers={**ANSWERS, "describe_volumes": [volume(100)]}, public_ips=True)
    assert found.hourly == Decimal("0.10") + Decimal("0.005") + Decimal("0.01")
    assert float(found.so_far) == about(1.15)


def test_stopped_nodes_cost_their_disks():
    found, _ = spent(
        node("master", state=NodeState.STOPPED), answers={**ANSWERS, "describe_volumes": [volume(100)]}, public_ips=True
    )
    assert found.hourly == Decimal("0.01")


def test_a_disk_of_another_kind_has_a_price_of_its_own():
    answers = {
        "describe_volumes": [volume(100, "io2")],
        "get_products": products({"c7i.large": "0.10"}, {"gp3": "0.073", "io2": "0.146"}),
    }
    found, _ = spent(node("master"), answers=answers)
    assert found.hourly == Decimal("0.12")


def test_a_thousand_nodes_take_as_many_calls_as_one():
    nodes = [node(f"node{number:03d}", market="spot") for number in range(1000)]
    found, aws = spent(*nodes)
    assert found.hourly == 40
    assert len(aws.calls) == 3


def test_where_everything_is_refused_the_table_has_what_it_has_and_the_rest_is_said():
    found, _ = spent(node("master"), node("node001", market="spot"), answers={})
    assert found.hourly == Decimal("0.08925")
    text = "\n".join(found.notes)
    assert "prices are of 2026-07-20" in text
    assert "spot prices are not known" in text
    assert "disks are not known" in text


def test_a_node_that_does_not_say_when_it_was_launched_costs_nothing_yet():
    from dataclasses import replace

    found, _ = spent(replace(node("master"), launched_at=None))
    assert (found.hourly, float(found.so_far)) == (Decimal("0.10"), pytest.approx(0, abs=0.001))


def test_machines_that_are_gone_cost_what_they_did_with_their_addresses_and_disks():
    known = (life(1, market=Market.ON_DEMAND), life(2, market=Market.SPOT), life(3, market=Market.SPOT, ended=None))
    found, _ = spent(known_lives=known)
    machines, addresses = 2 * (0.10 + 0.02 + 0.02), 3 * 2 * 0.005
    disks = 2 * 2 * 0.01  # the third is stopped: its disk exists, and is counted where EC2 lists disks
    assert found.hourly == 0
    assert float(found.so_far) == about(machines + addresses + disks)


def test_spot_prices_are_asked_of_the_spot_machines_alone_since_the_first_of_them():
    known = (
        life(1, market=Market.ON_DEMAND, kind="m7i.large", began=80),
        life(2, market=Market.SPOT, kind="r7i.large", began=50),
    )
    _, aws = spent(node("master", kind="c7a.large"), node("node001", market="spot", hours=20), known_lives=known)
    (asked,) = aws.asked("describe_spot_price_history")
    assert sorted(asked["InstanceTypes"]) == ["c7i.large", "r7i.large"]
    assert datetime.now(timezone.utc) - asked["StartTime"] == pytest.approx(50 * HOUR, abs=60 * timedelta(seconds=1))
    kinds = {each["Value"] for call in aws.asked("get_products") for each in call["Filters"]}
    assert any({"c7a.large", "m7i.large"} <= set(kind.split(",")) for kind in kinds)
    assert not any("r7i.large" in kind for kind in kinds)


def test_a_node_whose_launch_lies_ahead_by_its_clock_costs_nothing_yet():
    found, _ = spent(node("master", hours=-1))
    assert (found.hourly, found.so_far) == (Decimal("0.10"), 0)
