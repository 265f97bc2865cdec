"""Selection of the subnets for instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options


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


def find_subnets(aws: Aws, options: Options, *, zone: str = "") -> list[Subnet]:
    """Return the subnets that nodes may use, sorted by zone. One call.

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
    return sorted(usable, key=lambda subnet: (subnet.zone, subnet.id))


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
