"""Where in the network nodes are: the default VPC, a VPC of one's own, and what is said where there is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .....support.ec2_lab import SPOT, plan_of

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute


@pytest.fixture
def own_vpc(lab):
    """Two subnets of a VPC that is nobody's default, in two zones, in an account without a default VPC."""
    ec2 = lab.ec2
    for each in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=each["SubnetId"])
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        ec2.delete_vpc(VpcId=vpc["VpcId"])
    made = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    return made, [
        new_subnet(lab, made, f"10.1.{number}.0/24", zone=f"us-east-1{zone}") for number, zone in enumerate("bc")
    ]


def new_subnet(lab, vpc, network, *, zone):
    made = lab.ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=zone)["Subnet"]["SubnetId"]
    # moto takes the first one in a zone for the default one, whatever VPC it is in.
    lab.cloud.moto.backend("ec2", "us-east-1").get_subnet(made).default_for_az = False
    return made


def problem(lab, plan, **options):
    """What is wrong before anything is made."""
    lab.options = replace(lab.options, **options)
    (found,) = lab.provider().check(plan)
    assert lab.instances() == []
    return found


def test_a_vpc_of_ones_own_does_and_no_default_one_is_needed(lab, own_vpc):
    vpc, subnets = own_vpc
    lab.options = replace(lab.options, subnets=tuple(subnets))
    plan = plan_of(3, SPOT)
    assert lab.provider().check(plan) == []
    nodes = lab.create(plan)
    assert {each["VpcId"] for each in lab.instances()} == {vpc}
    assert len({each["SubnetId"] for each in lab.instances()}) == 1  # one zone
    assert all(node.address.startswith("10.1.") for node in nodes)
    (group,) = lab.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["clusterctl-lab"]}])[
        "SecurityGroups"
    ]
    assert group["VpcId"] == vpc
    lab.provider().destroy("lab")
    assert lab.cloud.left() == []


@pytest.mark.parametrize("public", [True, False])
def test_public_addresses_are_as_the_template_says_whatever_the_subnet_would_give(lab, own_vpc, public):
    lab.options = replace(lab.options, subnets=tuple(own_vpc[1]), public_ips=public)
    lab.create(plan_of(1))
    (call,) = lab.cloud.calls_of("CreateLaunchTemplate")
    (card,) = call.params["LaunchTemplateData"]["NetworkInterfaces"]
    assert card["AssociatePublicIpAddress"] is public


def test_without_a_default_vpc_the_subnets_to_name_are_told(lab, own_vpc):
    found = problem(lab, plan_of(1))
    assert found.message == "there is no default VPC in us-east-1"
    assert all(name in found.remedy for name in ("SUBNET_ID", *own_vpc[1]))


def test_without_any_subnet_it_says_how_to_have_a_default_vpc(lab, own_vpc):
    for made in own_vpc[1]:
        lab.ec2.delete_subnet(SubnetId=made)
    assert "create-default-vpc" in problem(lab, plan_of(1)).remedy


def test_one_that_is_not_there_is_named(lab, own_vpc):
    found = problem(lab, plan_of(1), subnets=(own_vpc[1][0], "subnet-0123"))
    assert found.message == "there is no subnet subnet-0123 in us-east-1"


def test_those_of_two_vpcs_are_refused(lab, own_vpc):
    other = lab.ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    there = new_subnet(lab, other, "10.2.0.0/24", zone="us-east-1b")
    assert "several VPCs" in problem(lab, plan_of(1), subnets=(own_vpc[1][0], there)).message


def test_a_zone_without_one_says_which_have_one(lab, own_vpc):
    found = problem(lab, plan_of(1), subnets=tuple(own_vpc[1]), zone="us-east-1a")
    assert found.message == "there is no subnet to use in the zone us-east-1a"
    assert "us-east-1b, us-east-1c" in found.remedy


def test_one_without_ipv6_is_refused_where_that_is_the_way_to_the_nodes(lab, own_vpc):
    found = problem(lab, plan_of(1), subnets=tuple(own_vpc[1]), address="ipv6")
    assert "IPv6" in found.message


def test_one_that_is_too_small_is_told_with_the_room_there_is(lab, own_vpc):
    small = new_subnet(lab, own_vpc[0], "10.1.9.0/28", zone="us-east-1b")
    assert "the largest has 11" in problem(lab, plan_of(12), subnets=(small,)).message


def test_a_placement_group_holds_all_nodes_and_ends_with_them(lab):
    lab.options = replace(lab.options, placement_group=True)
    lab.create(plan_of(2))
    (group,) = lab.ec2.describe_placement_groups()["PlacementGroups"]
    assert group["Strategy"] == "cluster"
    assert {each["Placement"]["GroupName"] for each in lab.instances()} == {group["GroupName"]}
    lab.provider().destroy("lab")
    assert lab.ec2.describe_placement_groups()["PlacementGroups"] == []
