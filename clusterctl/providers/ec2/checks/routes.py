"""The check of routes: can the nodes be reached, and do they reach the package index?

Source: https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html,
https://docs.aws.amazon.com/vpc/latest/userguide/WorkWithRouteTables.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterctl.providers.ec2.checks.context import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clusterctl.providers.ec2.checks.context import CheckContext

_EVERYWHERE = ("0.0.0.0/0", "::/0")
_TARGETS = (
    *("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId"),
    *("VpcPeeringConnectionId", "LocalGatewayId", "CarrierGatewayId", "EgressOnlyInternetGatewayId", "CoreNetworkArn"),
)
"""What a route may lead to, by the key of the answer."""


def find_wrong_routes(context: CheckContext) -> Iterator[Finding]:
    """Yield subnets whose nodes cannot be reached, or do not reach the internet. One call."""
    subnets = context.ground().inputs.subnets
    filters = [{"Name": "vpc-id", "Values": [subnets[0].vpc]}]
    tables = list(context.aws.pages("ec2", "describe_route_tables", "RouteTables", Filters=filters))
    ways = {f"{subnet.id} ({subnet.zone})": _ways_out(subnet.id, tables) for subnet in subnets}
    if context.options.public_ips or context.options.address == "ipv6":
        closed = [name for name, found in ways.items() if not any(way.startswith("igw-") for way in found)]
        if closed:
            yield Finding(
                f"no route leads from {', '.join(closed)} to an internet gateway: nobody reaches public addresses"
                " there, and nodes with one reach nothing outside",
                "name public subnets in SUBNET_ID, or give the subnet a route 0.0.0.0/0 to an internet gateway; for"
                " private nodes set PUBLIC_IPS = no",
                # Whoever comes from inside the network reaches them.
                stops=context.options.address in {"auto", "public", "ipv6"} and not context.options.jump,
            )
        return
    closed = [name for name, found in ways.items() if not any(not way.startswith("igw-") for way in found)]
    if closed:
        yield Finding(
            f"no route leads from {', '.join(closed)} to a NAT: nodes without a public address get no packages from"
            " the internet",
            "give the subnet a route 0.0.0.0/0 to a NAT gateway; an index or a mirror inside the network, or a baked"
            " image, does without",
            stops=False,
        )


def _ways_out(subnet: str, tables: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the ids of what a subnet's routes to everywhere lead to: by its own table, or the VPC's main one."""
    own = [table for table in tables if any(one.get("SubnetId") == subnet for one in table.get("Associations") or ())]
    main = [table for table in tables if any(one.get("Main") for one in table.get("Associations") or ())]
    return {
        str(route[key])
        for table in (own or main)[:1]
        for route in table.get("Routes") or ()
        if route.get("State") != "blackhole"
        and (route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")) in _EVERYWHERE
        for key in _TARGETS
        if route.get(key)
    }
