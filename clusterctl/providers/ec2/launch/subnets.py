"""Selection of the subnets for instances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.model import MASTER
from clusterctl.providers.ec2.launch.routes import is_public, read_ways_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options

WORKER = "worker"
"""The role of all nodes but the master."""


@dataclass(frozen=True)
class Subnet:
    """The facts about a subnet that a launch needs."""

    id: str
    zone: str
    vpc: str
    network: str
    """Its IPv4 network; empty for a subnet of IPv6 alone."""
    ipv6: str
    """Its IPv6 network; empty without one."""
    free_addresses: int
    """Number of free addresses."""
    roles: frozenset[str] = frozenset({MASTER, WORKER})
    """The roles of the nodes that may be there."""


def find_subnets(aws: Aws, options: Options, *, zone: str = "") -> list[Subnet]:
    """Return the subnets that nodes may use, sorted by zone. One call, two where workers are to be private.

    Args:
        aws: the account.
        options: of the template, which may name subnets.
        zone: the only zone to use; empty for all.

    Raises:
        ProviderError: no subnet can be used.
    """
    subnet_filter = (
        {"Name": "subnet-id", "Values": [*options.subnets]}
        if options.subnets
        else {"Name": "default-for-az", "Values": ["true"]}
    )
    subnets = [_parse_subnet(raw) for raw in aws.pages("ec2", "describe_subnets", "Subnets", Filters=[subnet_filter])]
    missing = sorted(set(options.subnets) - {subnet.id for subnet in subnets})
    if missing:
        raise ProviderError(
            f"there is no subnet {', '.join(missing)} in {aws.region}",
            remedy="correct SUBNET_ID, or AWS_REGION_NAME in [aws]",
        )
    if not subnets:
        others = sorted(_parse_subnet(raw).id for raw in aws.pages("ec2", "describe_subnets", "Subnets"))
        raise ProviderError(
            f"there is no default VPC in {aws.region}",
            remedy=f"set SUBNET_ID; there are: {', '.join(others[:8])}"
            if others
            else "make a default VPC (`aws ec2 create-default-vpc`), or choose another region",
        )
    if len({subnet.vpc for subnet in subnets}) > 1:
        raise ProviderError("the subnets of SUBNET_ID are in several VPCs", remedy="name subnets of one VPC")
    subnets = _with_ipv4(subnets)
    usable = [subnet for subnet in subnets if zone in {"", subnet.zone}]
    if not usable:
        raise ProviderError(
            f"there is no subnet to use in the zone {zone}",
            remedy=f"set AVAILABILITY_ZONE to one of: {', '.join(sorted({subnet.zone for subnet in subnets}))}",
        )
    if options.address == "ipv6" and not any(subnet.ipv6 for subnet in usable):
        raise ProviderError(
            "none of the subnets has IPv6 addresses", remedy="give the subnet an IPv6 network, or change ADDRESS"
        )
    if options.private_workers:
        usable = _give_roles(usable, read_ways_out(aws, usable), any_zone=options.any_zone)
    return sorted(usable, key=lambda subnet: (subnet.zone, subnet.id))


def subnets_for(subnets: Iterable[Subnet], role: str) -> tuple[Subnet, ...]:
    """Return the subnets in which nodes of a role may be."""
    return tuple(subnet for subnet in subnets if role in subnet.roles)


def _give_roles(subnets: list[Subnet], ways: Mapping[str, frozenset[str]], *, any_zone: bool) -> list[Subnet]:
    """Return the subnets with the roles of their nodes: the master is in a public one, workers in private ones.

    Without a private one workers are in the master's, without an address of their own.
    """
    public = [subnet for subnet in subnets if is_public(ways[subnet.id])]
    if not public:
        raise ProviderError(
            "PUBLIC_IPS = master: no route leads from any of the subnets to an internet gateway, so nobody would reach"
            " the master",
            remedy="name a public subnet in SUBNET_ID besides, in the zone of the private one",
        )
    private = [subnet for subnet in subnets if subnet not in public]
    if not any_zone:
        common = {subnet.zone for subnet in public} & {subnet.zone for subnet in private}
        public = [subnet for subnet in public if subnet.zone in common or not common]
        private = [subnet for subnet in private if subnet.zone in common]
    masters = frozenset({MASTER}) if private else frozenset({MASTER, WORKER})
    return [
        *(replace(subnet, roles=masters) for subnet in public),
        *(replace(subnet, roles=frozenset({WORKER})) for subnet in private),
    ]


def _with_ipv4(subnets: list[Subnet]) -> list[Subnet]:
    """Return the subnets whose nodes can reach each other: members know each other by their private IPv4 addresses."""
    with_ipv4 = [subnet for subnet in subnets if subnet.network]
    if not with_ipv4:
        listed = ", ".join(f"{subnet.id} ({subnet.zone})" for subnet in subnets)
        raise ProviderError(
            f"these subnets have IPv6 addresses alone: {listed}",
            remedy="name subnets in SUBNET_ID that have IPv4 addresses too: members reach each other by those",
        )
    return with_ipv4


def _parse_subnet(raw: Mapping[str, Any]) -> Subnet:
    ipv6 = [association["Ipv6CidrBlock"] for association in raw.get("Ipv6CidrBlockAssociationSet") or ()]
    return Subnet(
        id=raw["SubnetId"],
        zone=raw["AvailabilityZone"],
        vpc=raw["VpcId"],
        network=raw.get("CidrBlock") or "",
        ipv6=ipv6[0] if ipv6 else "",
        free_addresses=int(raw.get("AvailableIpAddressCount", 0)),
    )
