"""From outside of the cloud a public address is the only way to a body, and without one a NAT is its only way out."""

from __future__ import annotations

import pytest
from clusterctl_standin.bodies import outside
from clusterctl_standin.bodies.subnet import USUAL
from clusterctl_standin.cloud import Cloud

from ...support.launcher import Launcher
from .conftest import DEBIAN


@pytest.fixture
def cloud():
    with Cloud(port=False) as standin:
        yield standin


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


@pytest.fixture
def rules(cloud, monkeypatch):
    """What the packet filter was told, the newest last; the rules of this computer stay as they are."""
    told = []

    def run(*command, text=""):
        if command[0] == "iptables-restore":
            told.append(text.splitlines())
        return ""

    monkeypatch.setattr(outside, "_run", run)
    monkeypatch.setattr(outside, "close_ways", lambda _: told.append("closed"))
    with outside.from_outside(cloud, "bridge", USUAL):
        yield told


@pytest.fixture
def launcher(cloud):
    return Launcher(
        cloud.client("ec2", straight=False), cloud.client("ssm").get_parameter(Name=DEBIAN)["Parameter"]["Value"]
    )


@pytest.fixture
def private(ec2):
    """A subnet whose own route table leads nowhere."""
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    made = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="172.31.200.0/24", AvailabilityZone="us-east-1a")["Subnet"][
        "SubnetId"
    ]
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=made)
    return made, table


def about(rules, address):
    return [line for line in rules[-1] if address in line]


def test_a_public_address_leads_to_its_body_until_that_has_ended(cloud, ec2, rules, launcher):
    launcher.run()
    (made,) = cloud.machines()
    dnat = f"-d {made.public_address} -j DNAT --to-destination {made.private_address}"
    assert [line.split(" ", 2)[2] for line in about(rules, made.private_address)] == [dnat]
    ec2.terminate_instances(InstanceIds=[made.id])
    assert about(rules, made.private_address) == []


def test_nothing_else_is_reached_from_here(rules):
    (line,) = about(rules, "-o bridge")
    assert line.endswith("! --ctstate DNAT -j REJECT --reject-with icmp-host-unreachable")


def test_a_private_body_gets_out_by_a_nat_alone(cloud, ec2, rules, launcher, private):
    subnet, table = private
    launcher.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}])
    (made,) = cloud.machines()
    assert not made.public_address
    (shut,) = about(rules, made.private_address)
    assert shut.endswith(f"-i bridge ! -o bridge -s {made.private_address} -j REJECT")
    nat = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert about(rules, made.private_address) == []


def test_afterwards_nothing_is_told_any_more(cloud, monkeypatch, launcher):
    told = []
    monkeypatch.setattr(outside, "_run", lambda *command, text="": told.append(command) or "")
    monkeypatch.setattr(outside, "close_ways", lambda _: told.append("closed"))
    with outside.from_outside(cloud, "bridge", USUAL):
        pass
    launcher.run()
    assert told[-1] == "closed"
