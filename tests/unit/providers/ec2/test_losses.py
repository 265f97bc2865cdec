"""Since when, and why, nodes do not run: as EC2 says it, and as the journal keeps it when EC2 has forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.model import NodeState

from ....support.ec2_lab import HERE, SPOT, plan_of


def now():
    return datetime.now(timezone.utc).replace(microsecond=0)


@pytest.fixture
def nodes(lab):
    return {node.alias: node for node in lab.create(plan_of(3, SPOT))}


def test_a_spot_instance_that_was_taken_back_was_interrupted_when_its_request_says(lab, cloud, nodes):
    before = now()
    cloud.interrupt(nodes["node001"].machine_id, notice_s=0)
    cloud.clear_calls()
    (alias,) = losses = lab.provider().find_losses("lab")
    loss = losses[alias]
    assert (alias, loss.reason, loss.interrupted) == ("node001", "EC2 took the spot instance back", True)
    assert before <= loss.since <= now()
    assert [call.action for call in cloud.calls] == ["DescribeInstances", "DescribeSpotInstanceRequests"]
    lab.provider().find_losses("lab")
    assert len(cloud.calls) == 3  # what the journal knows is not asked for again


def test_one_that_somebody_ended_in_the_console_was_ended_then(lab, nodes):
    lab.ec2.terminate_instances(InstanceIds=[nodes["node002"].machine_id])
    loss = lab.provider().find_losses("lab")["node002"]
    assert (loss.reason, loss.interrupted) == ("somebody ended or stopped it through EC2", False)
    assert abs(loss.since - now()) < timedelta(minutes=1)


def test_what_is_stopped_says_since_when(lab, nodes):
    lab.ec2.stop_instances(InstanceIds=[nodes["master"].machine_id])
    losses = lab.provider().find_losses("lab")
    assert list(losses) == ["master"]
    assert abs(losses["master"].since - now()) < timedelta(minutes=1)
    lab.create(plan_of(3, SPOT))
    assert lab.provider().find_losses("lab") == {}


def test_when_ec2_has_forgotten_the_journal_still_knows(lab, cloud, nodes):
    cloud.interrupt(nodes["node001"].machine_id, notice_s=0)
    told = lab.provider().find_losses("lab")
    cloud.lives.forget(nodes["node001"].machine_id)
    assert lab.provider().find_losses("lab") == told


def test_it_is_known_from_where_ssh_is_open(lab, nodes):
    assert lab.provider().list_admitted("lab") == [HERE]


def test_a_node_says_where_it_is_and_when_its_lifetime_ends(lab):
    from dataclasses import replace

    lab.options = replace(lab.options, lifetime_h=2.0)
    master, node = lab.create(plan_of(2))
    assert (node.region, node.state) == ("us-east-1", NodeState.RUNNING)
    assert master.ends_at is None, "it is stopped, and keeps its disk"
    assert timedelta(hours=1, minutes=58) < node.ends_at - now() <= timedelta(hours=2, seconds=1)
