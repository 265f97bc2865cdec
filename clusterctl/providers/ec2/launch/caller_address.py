"""The networks that the user comes from, for the ingress rules of SSH."""

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
"""AWS's own services that answer with the caller's address. The second one also answers over IPv6."""
_ECHO_S = 5


def find_allowed_networks(options: Options, subnets: Sequence[Subnet]) -> list[str]:
    """Return the networks that may reach SSH, as CIDR.

    Args:
        options: of the template. This function replaces ``auto`` by the present address.
        subnets: possible subnets of the nodes, for nodes that are reached by their private address.

    Raises:
        ProviderError: the address cannot be found out.
    """
    if options.ssm and options.allow_from == ("auto",):
        return []  # the SSM agent on the node opens the connection itself
    networks: dict[str, None] = {}
    for network in options.allow_from:
        networks |= dict.fromkeys(_own_networks(options, subnets) if network == "auto" else [network])
    return list(networks)


def _own_networks(options: Options, subnets: Sequence[Subnet]) -> list[str]:
    if options.jump:
        # The gateway is in the VPC or has a route into it. The address that nodes see of it is not known here.
        return list(dict.fromkeys(subnet.network for subnet in subnets))
    if options.address == "private" or not (options.public_ips or options.address == "ipv6"):
        return [f"{_source_address(subnets[0].network)}/32"]
    return [_public_address(6 if options.address == "ipv6" else 4)]


def _source_address(network: str) -> str:
    """Return this computer's own address on the route to a network. Nothing is sent."""
    target = str(next(ipaddress.ip_network(network).hosts()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target, 22))
        except OSError as exc:
            raise ProviderError(
                f"there is no way from this computer to {network}: {exc.strerror or exc}",
                remedy="set ALLOW_FROM to the addresses that you come from, or use PUBLIC_IPS, PROXY_JUMP or SSM",
            ) from exc
        return str(probe.getsockname()[0])


def _public_address(version: int) -> str:
    """Return this computer's public address, as CIDR."""
    remedy = "set ALLOW_FROM to the address that you come from, such as 192.0.2.7/32"
    try:
        with urllib.request.urlopen(_ECHO[version], timeout=_ECHO_S) as answer:  # noqa: S310  https, of ours
            address = ipaddress.ip_address(answer.read(100).decode("ascii").strip())
    except (OSError, ValueError) as exc:
        raise ProviderError(f"cannot find out this computer's address: {exc}", remedy=remedy) from exc
    if address.version != version:
        raise ProviderError(f"this computer comes from {address}, which is not IPv{version}", remedy=remedy)
    return f"{address}/{address.max_prefixlen}"
