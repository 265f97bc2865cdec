"""The check of routes: can the nodes be reached, and do they reach the package index?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.ec2.checks.context import Finding
from clusterctl.providers.ec2.launch.routes import is_public, private_ways, read_ways_out
from clusterctl.providers.ec2.launch.subnets import WORKER, subnets_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.providers.ec2.checks.context import CheckContext


def find_wrong_routes(context: CheckContext) -> Iterator[Finding]:
    """Yield subnets whose nodes cannot be reached, or do not reach the internet. One call."""
    options, subnets = context.options, context.ground().inputs.subnets
    by_id = read_ways_out(context.aws, subnets)
    ways = {f"{subnet.id} ({subnet.zone})": by_id[subnet.id] for subnet in subnets}
    if options.private_workers:  # the master's subnets were chosen by their routes
        of_workers = [f"{subnet.id} ({subnet.zone})" for subnet in subnets_for(subnets, WORKER)]
        yield from _find_egress({name: ways[name] for name in of_workers}, who="workers")
    elif options.public_ips or options.address == "ipv6":
        closed = [name for name, routes in ways.items() if not is_public(routes)]
        if closed:
            yield Finding(
                f"no route leads from {', '.join(closed)} to an internet gateway: nobody reaches public addresses"
                " there, and nodes with one reach nothing outside",
                "name public subnets in SUBNET_ID, or give the subnet a route 0.0.0.0/0 to an internet gateway; for"
                " private nodes set PUBLIC_IPS = no",
                # Whoever comes from inside the network reaches them.
                stops=options.address in {"auto", "public", "ipv6"} and not options.jump,
            )
    else:
        yield from _find_egress(ways, who="nodes")


def _find_egress(ways: Mapping[str, frozenset[str]], *, who: str) -> Iterator[Finding]:
    """Yield how nodes without a public address reach the internet, and where they do not."""
    closed = [name for name, routes in ways.items() if not private_ways(routes)]
    if closed:
        yield Finding(
            f"no route leads from {', '.join(closed)} to a NAT: {who} without a public address get no packages from"
            " the internet",
            "give the subnet a route 0.0.0.0/0 to a NAT gateway, or name a private subnet that has one in SUBNET_ID; an"
            " index or a mirror inside the network, or a baked image, does without",
            stops=False,
        )
    if open_ways := sorted({way for routes in ways.values() for way in private_ways(routes)}):
        kinds = [f"the NAT gateway {way}" if way.startswith("nat-") else way for way in open_ways]
        yield Finding(f"{who.capitalize()} without a public address reach the internet by {' or '.join(kinds)}")
