"""A public master with private workers on the stand-in for EC2: its template, and the network that it needs."""

from __future__ import annotations

from contextlib import contextmanager

_TEMPLATE = """
[cluster halfway]
EXTENDS = {extends}
SUBNET_ID = {public}, {private}
PUBLIC_IPS = master
ALLOW_FROM = 192.0.2.1/32
"""


@contextmanager
def halfway_network(ec2, *, extends):
    """The template `halfway`: one subnet is public; the other one, of its zone, leads nowhere, and goes in the end."""
    zone = [{"Name": "availability-zone", "Values": ["us-east-1a"]}]
    (public, *_) = ec2.describe_subnets(Filters=zone)["Subnets"]
    network = ".".join([*public["CidrBlock"].split(".")[:2], "200.0/24"])
    asked = {"VpcId": public["VpcId"], "CidrBlock": network, "AvailabilityZone": "us-east-1a"}
    private = ec2.create_subnet(**asked)["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=public["VpcId"])["RouteTable"]["RouteTableId"]
    way = ec2.associate_route_table(RouteTableId=table, SubnetId=private)["AssociationId"]
    yield _TEMPLATE.format(extends=extends, public=public["SubnetId"], private=private)
    ec2.disassociate_route_table(AssociationId=way)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=private)
