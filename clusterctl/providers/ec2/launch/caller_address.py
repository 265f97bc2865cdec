"""From which networks the caller comes: whom the security group lets in by SSH."""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.options import Options

_ECHO = {4: "https://checkip.amazonaws.com", 6: "https://checkip.global.api.aws"}
"""AWS's own services that answer with the address they see; the second one by IPv6 too."""
_ECHO_S = 5


def callers(options: Options, subnets: Sequence[Subnet]) -> list[str]:
    """The networks that may reach SSH, as CIDR.

    Args:
        options: what the template allows; ``auto`` is found out here.
        subnets: where nodes may be, for those that are reached by their private address.

    Raises:
        ProviderError: it cannot be found out.
    """
    if options.ssm and options.allow_from == ("auto",):
        return []  # its agent on the node makes the connection
    found: dict[str, None] = {}
    for network in options.allow_from:
        found |= dict.fromkeys(_here(options, subnets) if network == "auto" else [network])
    return list(found)


def _here(options: Options, subnets: Sequence[Subnet]) -> list[str]:
    if options.jump:
        # The gateway is in the VPC, or has a way into it; which of its addresses nodes will see nobody knows here.
        return list(dict.fromkeys(subnet.network for subnet in subnets))
    if options.address == "private" or not (options.public_ips or options.address == "ipv6"):
        return [f"{_source(subnets[0].network)}/32"]
    return [_public(6 if options.address == "ipv6" else 4)]


def _source(network: str) -> str:
    """This computer's own address on the way to a network. Nothing is sent."""
    goal = str(next(ipaddress.ip_network(network).hosts()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((goal, 22))
        except OSError as exc:
            raise ProviderError(
                f"there is no way from this computer to {network}: {exc.strerror or exc}",
                remedy="set ALLOW_FROM to the addresses that you come from, or use PUBLIC_IPS, PROXY_JUMP or SSM",
            ) from exc
        return str(probe.getsockname()[0])


def _public(version: int) -> str:
    """The address that this computer shows to the world, as CIDR."""
    remedy = "set ALLOW_FROM to the address that you come from, such as 192.0.2.7/32"
    try:
        with urllib.request.urlopen(_ECHO[version], timeout=_ECHO_S) as answer:  # noqa: S310  https, of ours
            address = ipaddress.ip_address(answer.read(100).decode("ascii").strip())
    except (OSError, ValueError) as exc:
        raise ProviderError(f"cannot find out this computer's address: {exc}", remedy=remedy) from exc
    if address.version != version:
        raise ProviderError(f"this computer comes from {address}, which is not IPv{version}", remedy=remedy)
    return f"{address}/{address.max_prefixlen}"
