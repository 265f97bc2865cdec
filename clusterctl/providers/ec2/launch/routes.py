"""Where the routes of subnets lead: to an internet gateway, a NAT or nowhere.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html,
https://docs.aws.amazon.com/vpc/latest/userguide/WorkWithRouteTables.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.subnets import Subnet

_INTERNET_GATEWAY = "igw-"
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_TARGETS = (
    *("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId"),
    *("VpcPeeringConnectionId", "LocalGatewayId", "CarrierGatewayId", "EgressOnlyInternetGatewayId", "CoreNetworkArn"),
)
"""What a route may lead to, by the key of the answer."""


def read_ways_out(aws: Aws, subnets: Sequence[Subnet]) -> dict[str, frozenset[str]]:
    """Return, by the id of each subnet, the ids of what its routes to everywhere lead to. One call.

    Args:
        aws: the account.
        subnets: of one VPC; at least one.
    """
    filters = [{"Name": "vpc-id", "Values": [subnets[0].vpc]}]
    tables = list(aws.pages("ec2", "describe_route_tables", "RouteTables", Filters=filters))
    return {subnet.id: _ways_out(subnet.id, tables) for subnet in subnets}


def is_public(ways: frozenset[str]) -> bool:
    """Return whether public addresses are reached there."""
    return any(way.startswith(_INTERNET_GATEWAY) for way in ways)


def private_ways(ways: frozenset[str]) -> list[str]:
    """Return what takes packets of private addresses out: an internet gateway does not."""
    return sorted(way for way in ways if not way.startswith(_INTERNET_GATEWAY))


def _ways_out(subnet: str, tables: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """By the subnet's own table, or the VPC's main one."""
    own = [table for table in tables if any(one.get("SubnetId") == subnet for one in table.get("Associations") or ())]
    main = [table for table in tables if any(one.get("Main") for one in table.get("Associations") or ())]
    return frozenset(
        str(route[key])
        for table in (own or main)[:1]
        for route in table.get("Routes") or ()
        if route.get("State") != "blackhole"
        and (route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")) in _EVERYWHERE
        for key in _TARGETS
        if route.get(key)
    )
