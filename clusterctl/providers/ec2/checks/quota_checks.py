"""The check of the account's quotas: may so many processors run on each market that may be used?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2.checks.context import Finding
from clusterctl.providers.ec2.checks.pools import types_of
from clusterctl.providers.ec2.launch import fleet_requests
from clusterctl.providers.ec2.pricing.quotas import find_quota
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.providers.ec2.checks.context import CheckContext, Ground
    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup
    from clusterctl.providers.ec2.pricing.quotas import Quota

_REMEDY = (
    "ask for a higher quota in the Service Quotas console (hours to days), take smaller types or fewer nodes, or end"
    " other instances"
)


def find_short_quotas(context: CheckContext) -> Iterator[Finding]:
    """Yield quotas that leave too few processors, reckoned with the smallest type of each node.

    Two calls at most for each quota, and one for what runs. It stops where EC2 could not give a new cluster its
    `MIN_SIZE`: a cluster that exists goes on with fewer.
    """
    ground = context.ground()
    groups = sorted(fleet_requests.group_specs(context.missing), key=lambda group: group.role != MASTER)
    taken: dict[str, int] = {}
    had, texts, master_lacks = 0, [], False
    for group in groups:
        left = len(group.aliases)
        for market in _markets_of(group):
            quota, vcpus = _smallest(group, ground, market)
            free = context.quotas.free_vcpus(quota) if quota.code and vcpus else None
            fits = left if free is None else min(left, max(0, free - taken.get(quota.code, 0)) // vcpus)
            taken[quota.code] = taken.get(quota.code, 0) + fits * vcpus
            if fits < left:
                texts.append(
                    f"{quota.name}: the quota {quota.code} leaves {plural(free or 0, 'processor')} in"
                    f" {context.aws.region}, and {plural(left, group.role)} need {left * vcpus}"
                )
            left -= fits
            if not left:
                break
        had += len(group.aliases) - left
        master_lacks |= bool(left) and group.role == MASTER
    if texts and had < len(context.missing):
        yield Finding("; ".join(texts), _REMEDY, stops=master_lacks or (context.new and had < context.plan.min_size))


def _markets_of(group: LaunchGroup) -> tuple[Market, ...]:
    """Return the markets that are asked, in their order."""
    both = (Market.SPOT, Market.ON_DEMAND)
    return both if group.market == Market.SPOT_WITH_FALLBACK else (group.market,)


def _smallest(group: LaunchGroup, ground: Ground, market: Market) -> tuple[Quota, int]:
    """Return the quota of the smallest type of a group, and its processors; 0 if they are not known."""
    known = ground.inputs.instance_types
    sizes = {name: known[name].vcpus if name in known else int(group.vcpus or 0) for name in types_of(group, ground)}
    name = min(sizes, key=lambda name: sizes[name])
    return find_quota(name, market), sizes[name]
