"""Where in the network nodes are: the default VPC, a VPC of one's own, and what is said where there is neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .....support.ec2_lab import HERE, SPOT, plan_of

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


class TestPrivateWorkers:
    """PUBLIC_IPS = master: the master is in a public subnet, workers in a private one of the same zone."""

    @pytest.fixture
    def mixed(self, lab, own_vpc):
        """In us-east-1b a private subnet and a public one; in us-east-1c a public one alone."""
        vpc, (private, other) = own_vpc
        public = new_subnet(lab, vpc, "10.1.7.0/24", zone="us-east-1b")
        gateway = lab.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        lab.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = lab.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        lab.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        for subnet in (public, other):
            lab.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        lab.options = replace(
            lab.options, subnets=(private, public, other), private_workers=True, address="auto", allow_from=(HERE,)
        )
        return private, public, other

    def test_each_role_is_in_its_subnet_of_one_zone_and_the_master_is_the_way_to_workers(self, lab, mixed):
        private, public, _ = mixed
        nodes = {node.alias: node for node in lab.create(plan_of(3, SPOT))}
        found = {each["InstanceId"]: each for each in lab.instances()}
        at = {alias: found[node.machine_id] for alias, node in nodes.items()}
        assert {alias: each["SubnetId"] for alias, each in at.items()} == {
            "master": public,
            "node001": private,
            "node002": private,
        }
        assert nodes["master"].address == at["master"]["PublicIpAddress"]
        assert nodes["master"].access.through is None
        for alias in ("node001", "node002"):
            assert "PublicIpAddress" not in at[alias]
            assert nodes[alias].address == at[alias]["PrivateIpAddress"]
            assert nodes[alias].access.through == nodes["master"]
        (later,) = [node for node in lab.provider().nodes("lab") if node.alias == "node002"]
        assert later.access.through.address == nodes["master"].address

    def test_a_worker_that_joins_later_is_private_too(self, lab, mixed):
        lab.create(plan_of(2))
        (new,) = [node for node in lab.create(plan_of(3)) if node.alias == "node002"]
        assert new.access.through.alias == "master"
        assert {each["SubnetId"] for each in lab.instances()} == {*mixed[:2]}

    def test_only_the_masters_address_is_paid_for(self, lab, mixed):
        estimate = lab.provider().estimate_nodes(plan_of(3), [])
        (part,) = [part for part in estimate.parts if part.name == "addresses"]
        assert part.details == "1 x public IPv4"
        lab.create(plan_of(3))
        lives = lab.provider()._clusters.look_at_lives("lab")
        assert sorted(life.public_ip for life in lives) == [False, False, True]

    def test_without_a_private_subnet_workers_are_in_the_masters(self, lab, mixed):
        lab.options = replace(lab.options, subnets=mixed[2:])
        lab.create(plan_of(2))
        assert {each["SubnetId"] for each in lab.instances()} == {mixed[2]}
        assert len([each for each in lab.instances() if "PublicIpAddress" in each]) == 1

    def test_without_a_public_subnet_it_says_so(self, lab, mixed):
        found = problem(lab, plan_of(2), subnets=mixed[:1])
        assert "nobody would reach the master" in found.message
        assert "name a public subnet in SUBNET_ID" in found.remedy


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
