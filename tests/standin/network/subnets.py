"""Where instances can be: subnets, their zones and their free addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..api import wire
from ..instances import launch_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud


def subnet_asked(data: Mapping[str, Any]) -> str:
    """The subnet that launch data names, or empty."""
    first = next(iter(data.get("NetworkInterfaces", ())), {})
    return str(data.get("SubnetId") or first.get("SubnetId") or "")


def places(cloud: Cloud, *, region: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The (zone, subnet) pairs that launch data allows: its subnet, or the default ones in the zone that it names."""
    backend = cloud.moto.backend("ec2", region)
    subnets = {subnet.id: subnet for by_zone in backend.subnets.values() for subnet in by_zone.values()}
    asked = subnet_asked(data)
    zone = (data.get("Placement") or {}).get("AvailabilityZone") or data.get("AvailabilityZone") or ""
    if asked:
        if asked not in subnets:
            raise wire.AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{asked}' does not exist")
        return [(subnets[asked].availability_zone, asked)]
    default = sorted((subnet.availability_zone, subnet.id) for subnet in subnets.values() if subnet.default_for_az)
    if not default:
        raise wire.AwsError("VPCIdNotSpecified", "No default VPC for this user")
    if zone and zone not in {name for name, _ in default}:
        known = {each.name for each in backend.zones[region]} if region in backend.zones else set()
        if zone not in known:
            raise wire.AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
        raise wire.AwsError("MissingInput", f"No default subnet for availability zone: '{zone}'.")
    return [(name, identity) for name, identity in default if zone in ("", name)]


def check_place(cloud: Cloud, *, region: str, data: Mapping[str, Any], subnet: str) -> None:
    """Raise what EC2 says to a subnet that does not go with the rest of the launch data."""
    found = cloud.moto.backend("ec2", region).get_subnet(subnet)
    for group in launch_data.groups(cloud, region=region, data=data):
        if group.vpc_id != found.vpc_id:
            message = f"Security group {group.id} and subnet {subnet} belong to different networks."
            raise wire.AwsError("InvalidParameter", message)
    nics = launch_data.interfaces(data)
    if any(each.get("Ipv6AddressCount") for each in [data, *nics]) and not found.ipv6_cidr_block_associations:
        raise wire.AwsError("InvalidParameterValue", f"The subnet '{subnet}' has no IPv6 CIDR block")


def free_addresses(cloud: Cloud, *, region: str, subnet: str) -> int:
    """How many instances a subnet has room for: EC2 keeps five addresses of each."""
    backend = cloud.moto.backend("ec2", region)
    found = backend.get_subnet(subnet)
    used = sum(len(nic.private_ip_addresses) for nic in backend.enis.values() if nic.subnet.id == subnet)
    return int(found.cidr.num_addresses) - 5 - used
