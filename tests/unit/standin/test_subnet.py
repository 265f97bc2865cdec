"""Runs at the same time have subnets of their own, and instances are where their run is."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from clusterctl_standin.bodies import subnet
from clusterctl_standin.bodies.subnet import SUBNETS, USUAL, claimed, leave_out


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Nothing of the other runs on this computer."""
    monkeypatch.setattr(subnet, "CACHE", tmp_path)


def test_each_run_has_another_one_and_gives_it_back(alone):
    with claimed(SUBNETS) as first, claimed(SUBNETS) as second:
        assert (first, second) == SUBNETS[:2]
    with claimed(SUBNETS) as again:
        assert again == USUAL


def test_one_that_an_engine_gave_to_others_is_left_out():
    assert leave_out(["172.17.0.0/16", "172.31.64.0/20", "fd00::/64"]) == SUBNETS[1:]
    assert leave_out([]) == SUBNETS


def test_who_finds_none_says_so(alone, monkeypatch):
    monkeypatch.setattr(subnet, "_PATIENCE_S", 0.0)
    with claimed(), pytest.raises(AssertionError, match=USUAL.network), claimed():
        pass


def test_a_clouds_instances_have_addresses_of_its_runs_subnet(cloud):
    other = SUBNETS[1]
    cloud.moto.network = other.network
    made = cloud.client("ec2", "eu-central-1")
    (default,) = made.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert default["CidrBlock"] == other.network
    subnets = [ip_network(found["CidrBlock"]) for found in made.describe_subnets()["Subnets"]]
    assert subnets
    assert all(found.subnet_of(ip_network(other.network)) for found in subnets)
    assert ip_address(other.gateway) in ip_network(other.network)
