"""Where in the network instances may be."""

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
    """A subnet, as far as a launch has to know it."""

    id: str
    zone: str
    vpc: str
    network: str
    ipv6: str
    """Its IPv6 network; empty without one."""
    free: int
    """Addresses that are left."""


def find_subnets(aws: Aws, options: Options, *, zone: str = "") -> list[Subnet]:
    """The subnets that nodes may be in, sorted by zone. One call.

    Args:
        aws: the account.
        options: which subnets the template names.
        zone: the only one that may be taken; empty for all.

    Raises:
        ProviderError: there is none.
    """
    chosen = (
        {"Name": "subnet-id", "Values": [*options.subnets]}
        if options.subnets
        else {"Name": "default-for-az", "Values": ["true"]}
    )
    found = [_subnet(each) for each in aws.pages("ec2", "describe_subnets", "Subnets", Filters=[chosen])]
    missing = sorted(set(options.subnets) - {subnet.id for subnet in found})
    if missing:
        raise ProviderError(
            f"there is no subnet {', '.join(missing)} in {aws.region}",
            remedy="correct SUBNET_ID, or AWS_REGION_NAME in [aws]",
        )
    if not found:
        others = sorted(_subnet(each).id for each in aws.pages("ec2", "describe_subnets", "Subnets"))
        raise ProviderError(
            f"there is no default VPC in {aws.region}",
            remedy=f"set SUBNET_ID; there are: {', '.join(others[:8])}"
            if others
            else "make a default VPC (`aws ec2 create-default-vpc`), or choose another region",
        )
    if len({subnet.vpc for subnet in found}) > 1:
        raise ProviderError("the subnets of SUBNET_ID are in several VPCs", remedy="name subnets of one VPC")
    fit = [subnet for subnet in found if zone in {"", subnet.zone}]
    if not fit:
        raise ProviderError(
            f"there is no subnet to use in the zone {zone}",
            remedy=f"set AVAILABILITY_ZONE to one of: {', '.join(sorted({subnet.zone for subnet in found}))}",
        )
    if options.address == "ipv6" and not any(subnet.ipv6 for subnet in fit):
        raise ProviderError(
            "none of the subnets has IPv6 addresses", remedy="give the subnet an IPv6 network, or change ADDRESS"
        )
    return sorted(fit, key=lambda subnet: (subnet.zone, subnet.id))


def _subnet(said: Mapping[str, Any]) -> Subnet:
    ipv6 = [each["Ipv6CidrBlock"] for each in said.get("Ipv6CidrBlockAssociationSet") or ()]
    return Subnet(
        id=said["SubnetId"],
        zone=said["AvailabilityZone"],
        vpc=said["VpcId"],
        network=said["CidrBlock"],
        ipv6=ipv6[0] if ipv6 else "",
        free=int(said.get("AvailableIpAddressCount", 0)),
    )
