"""Checks of the pools: which zones offer the types, and how many addresses their subnets have left."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from clusterctl.model import MASTER
from clusterctl.providers.ec2.checks.context import Finding
from clusterctl.providers.ec2.launch import fleet_requests
from clusterctl.providers.ec2.launch.subnets import WORKER, subnets_for
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.providers.ec2.checks.context import CheckContext, Ground
    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup

_MOST_VALUES = 100
"""Most types that are asked about: EC2 takes 200 values of filters in a call."""


def types_of(group: LaunchGroup, ground: Ground) -> tuple[str, ...]:
    """Return the types that nodes of this group may have."""
    return group.types or ground.inputs.fitting_types[group.vcpus, group.memory_gb]


def find_types_not_offered(context: CheckContext) -> Iterator[Finding]:
    """Yield groups of nodes that no zone can hold, and say so of all of them together. One call."""
    ground = context.ground()
    groups = fleet_requests.group_specs(context.missing)
    names = sorted({name for group in groups for name in types_of(group, ground)})[:_MOST_VALUES]
    offered: dict[str, set[str]] = {}
    for raw in context.aws.pages(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": names}],
    ):
        offered.setdefault(raw["InstanceType"], set()).add(raw["Location"])
    usable = {subnet.zone for subnet in ground.inputs.subnets}
    common = usable
    for group in groups:
        asked = [name for name in types_of(group, ground) if name in names]
        zones = set().union(*(offered.get(name, set()) for name in asked)) if asked else usable
        if not zones & usable:
            where = ", ".join(sorted(zones)) or f"no zone of {context.aws.region}"
            yield Finding(
                f"none of {', '.join(sorted(usable))} offers {' or '.join(asked)}; {where} does",
                "name other types in NODE_INSTANCE_TYPE or MASTER_INSTANCE_TYPE, or change AVAILABILITY_ZONE or"
                " SUBNET_ID",
            )
            return
        common &= zones
    if not common and not context.options.any_zone:
        yield Finding(
            "no zone offers the types of the master and those of the workers",
            "name types of both that one zone has, or set ZONES = any",
        )


def find_full_subnets(context: CheckContext) -> Iterator[Finding]:
    """Yield that no subnet has addresses for all nodes that go to the same ones. No call of its own."""
    counts: Counter[tuple[int, ...]] = Counter()
    for spec in context.missing:
        subnets = subnets_for(context.ground().inputs.subnets, MASTER if spec.alias == MASTER else WORKER)
        counts[tuple(subnet.free_addresses for subnet in subnets)] += 1
    for free, count in counts.items():
        room = sum(free) if context.options.any_zone else max(free, default=0)
        if room < count:
            yield Finding(
                f"no subnet has {count} addresses left; the largest has {max(free, default=0)}",
                f"name a larger one in SUBNET_ID, set ZONES = any, or ask for fewer than {plural(count, 'node')}",
            )
            return
