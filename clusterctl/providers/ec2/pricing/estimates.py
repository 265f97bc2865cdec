"""What new instances would cost by the hour, and whether the account's quotas let them run.

All that has to be asked for is asked for side by side, and not for longer than a user likes to wait.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.providers.ec2.launch import fleet_requests
from clusterctl.providers.ec2.pricing import price_table, prices, quotas
from clusterctl.providers.ec2.pricing.background import Errand
from clusterctl.providers.ec2.pricing.price_list import Tariff
from clusterctl.providers.ec2.pricing.quote import Market, quote
from clusterctl.providers.money import Estimate, QuotedLimit, QuotedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import Survey
    from clusterctl.providers.ec2.launch.fleet_requests import Wanted
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.pricing.quotas import Bucket

_PATIENCE_S = 10.0


def estimate(aws: Aws, options: Options, specs: Sequence[NodeSpec], found: Survey, *, zone: str) -> Estimate:
    """What these nodes cost: six calls, in one round.

    Args:
        aws: the account.
        options: of the template.
        specs: the nodes.
        found: what there is to launch with.
        zone: the only one that may be taken; empty for all.
    """
    until = time.monotonic() + _PATIENCE_S
    notes: dict[str, None] = {}
    groups = _together(fleet_requests.alike(specs))
    kinds = {group: group.types or found.fitting[group.vcpus, group.memory_gb] for group in groups}
    spot = {kind for group in groups if group.market != "on-demand" for kind in kinds[group]}
    every = {kind for group in groups for kind in kinds[group]}
    now = Errand("spot prices", lambda: prices.spot_now(aws, spot, zone=zone), until=until)
    tariff = Tariff(aws, kinds=every, volume_types=[options.root_volume_type], until=until)
    limits = _Limits(aws, _needs(groups, kinds, found), until=until)
    zones = {zone} if zone else {subnet.zone for subnet in found.subnets}
    pools = [pool for pool in now.result_or([], notes.setdefault) if pool.zone in zones]
    market = Market(tariff.usual(), pools, any_zone=options.any_zone)
    quoted = [quote(group, kinds[group], market, notes.setdefault) for group in groups]
    parts = [_disks(options, specs, found, tariff.disk(options.root_volume_type)), *_addresses(options, len(specs))]
    left = limits.left(notes.setdefault)
    return Estimate(aws.region, tuple(quoted), tuple(parts), tuple(left), (*tariff.notes, *notes))


def _together(groups: Sequence[Wanted]) -> list[Wanted]:
    """Those that are alike as one, however many there are; the master first."""
    found: dict[Wanted, tuple[str, ...]] = {}
    for group in groups:
        traits = replace(group, aliases=(), image="")
        found[traits] = (*found.get(traits, ()), *group.aliases)
    together = [replace(traits, aliases=aliases) for traits, aliases in found.items()]
    return sorted(together, key=lambda group: group.role)


def _needs(groups: Sequence[Wanted], kinds: Mapping[Wanted, Sequence[str]], found: Survey) -> dict[Bucket, int | None]:
    """The processors that are needed, at most, by the quota that they count against."""
    needed: dict[Bucket, int | None] = {}
    for group in groups:
        most: dict[Bucket, int | None] = {}
        for kind in kinds[group]:
            bucket = quotas.bucket(kind, group.market)
            known = found.kinds.get(kind)
            each = known.vcpus if known else None if group.types else int(group.vcpus or 2)
            most[bucket] = None if each is None else max(each, most.get(bucket) or 0)
        for bucket, each in most.items():
            before = needed.get(bucket, 0)
            needed[bucket] = None if each is None or before is None else before + each * len(group.aliases)
    return needed


class _Limits:
    """What quotas leave of what is needed. Begins to ask when it is made."""

    def __init__(self, aws: Aws, needs: Mapping[Bucket, int | None], *, until: float) -> None:
        self._needs = needs
        codes = {bucket.code for bucket in needs if bucket.code}
        self._limits = {
            code: Errand[int | None]("quotas", partial(quotas.limit, aws, code), until=until) for code in codes
        }
        used = partial(quotas.running, aws) if codes else dict[str, int]
        self._used = Errand[dict[str, int] | None]("quotas", used, until=until)

    def left(self, tell: Callable[[str], object]) -> Iterator[QuotedLimit]:
        used = self._used.result_or(None, tell)
        for bucket, needed in self._needs.items():
            limit = self._limits[bucket.code].result_or(None, tell) if bucket.code else None
            left = None if used is None or limit is None else max(0, limit - used.get(bucket.code, 0))
            if left is not None and needed is not None and needed > left:
                tell(
                    f"{bucket.name}: {needed} processors are more than the {left} that the quota {bucket.code} leaves;"
                    " ask for more in the Service Quotas console"
                )
            yield QuotedLimit(bucket.name, needed, left)


def _disks(options: Options, specs: Sequence[NodeSpec], found: Survey, gb_hour: Decimal | None) -> QuotedPart:
    sizes = Counter(options.root_volume_gb or found.amis[spec.image].root_gb for spec in specs)
    what = ", ".join(f"{count} x {size} GB" for size, count in sorted(sizes.items()))
    total = sum(size * count for size, count in sizes.items())
    return QuotedPart("root disks", f"{what} {options.root_volume_type}", None if gb_hour is None else gb_hour * total)


def _addresses(options: Options, count: int) -> list[QuotedPart]:
    if not options.public_ips:
        return []
    return [QuotedPart("addresses", f"{count} x public IPv4", price_table.PUBLIC_IPV4_USD * count)]
