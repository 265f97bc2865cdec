"""Estimate of the hourly cost of new instances, and a check of the account's quotas.

All calls run side by side, and have one deadline that a user can wait for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.model import Market
from clusterctl.providers.ec2.launch import fleet_requests
from clusterctl.providers.ec2.pricing import price_table, prices, quotas
from clusterctl.providers.ec2.pricing.background import DeadlineCall
from clusterctl.providers.ec2.pricing.price_list import PriceList
from clusterctl.providers.ec2.pricing.quote import MarketPrices, quote_group
from clusterctl.providers.money import Estimate, QuotedLimit, QuotedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.pricing.quotas import Quota, QuotaReader

_PATIENCE_S = 10.0


def estimate_launch_cost(
    aws: Aws,
    options: Options,
    specs: Sequence[NodeSpec],
    inputs: LaunchInputs,
    *,
    zone: str,
    home_gb: int = 0,
    reader: QuotaReader | None = None,
) -> Estimate:
    """Return what these nodes cost. Six calls, side by side; three where the reader has asked for the quotas.

    Args:
        aws: the account.
        options: of the template.
        specs: the nodes.
        inputs: images, types and subnets of the launch.
        zone: the only zone to use; empty for all.
        home_gb: the size of a volume that is made for the home; 0 for none.
        reader: tells what quotas leave; None for a new one.
    """
    reader = reader or quotas.QuotaReader(aws)
    deadline = Deadline.after(_PATIENCE_S)
    notes: dict[str, None] = {}
    groups = _merge_groups(fleet_requests.group_specs(specs))
    types_by_group = {group: group.types or inputs.fitting_types[group.vcpus, group.memory_gb] for group in groups}
    spot_types = {
        type_name for group in groups if group.market != Market.ON_DEMAND for type_name in types_by_group[group]
    }
    all_types = {type_name for group in groups for type_name in types_by_group[group]}
    spot_prices = DeadlineCall(
        "spot prices", lambda: prices.fetch_spot_prices(aws, spot_types, zone=zone), deadline=deadline
    )
    tariff = PriceList(aws, instance_types=all_types, volume_types=[options.root_volume_type], deadline=deadline)
    needed = _needed_vcpus(groups, types_by_group, inputs)
    free = {
        bucket: DeadlineCall[int | None]("quotas", partial(reader.free_vcpus, bucket), deadline=deadline)
        for bucket in needed
    }
    zones = {zone} if zone else {subnet.zone for subnet in inputs.subnets}
    pools = [pool for pool in spot_prices.result_or([], notes.setdefault) if pool.zone in zones]
    market = MarketPrices(
        tariff.on_demand_prices(), pools, any_zone=options.any_zone, fallback_max=options.fallback_max
    )
    quoted = [quote_group(group, types_by_group[group], market, notes.setdefault) for group in groups]
    parts = [
        _root_disks_part(options, specs, inputs, tariff.disk_price(options.root_volume_type)),
        *_addresses_part(options, specs),
        *_home_part(options, home_gb, tariff.disk_price(options.root_volume_type)),
    ]
    quoted_limits = _quote_limits(needed, free, notes.setdefault)
    return Estimate(aws.region, tuple(quoted), tuple(parts), tuple(quoted_limits), (*tariff.notes, *notes))


def _merge_groups(groups: Sequence[LaunchGroup]) -> list[LaunchGroup]:
    """Merge groups that differ only in aliases and image, of any size; the master first."""
    aliases_by_traits: dict[LaunchGroup, tuple[str, ...]] = {}
    for group in groups:
        traits = replace(group, aliases=(), image="")
        aliases_by_traits[traits] = (*aliases_by_traits.get(traits, ()), *group.aliases)
    merged = [replace(traits, aliases=aliases) for traits, aliases in aliases_by_traits.items()]
    return sorted(merged, key=lambda group: group.role)


def _needed_vcpus(
    groups: Sequence[LaunchGroup], types_by_group: Mapping[LaunchGroup, Sequence[str]], inputs: LaunchInputs
) -> dict[Quota, int | None]:
    """Return the most processors needed, by the quota that they count against: of a fallback in both markets."""
    needed: dict[Quota, int | None] = {}
    for group in groups:
        most: dict[Quota, int | None] = {}
        markets = [Market.SPOT, Market.ON_DEMAND] if group.market == Market.SPOT_WITH_FALLBACK else [group.market]
        for type_name, market in product(types_by_group[group], markets):
            bucket = quotas.find_quota(type_name, market)
            described = inputs.instance_types.get(type_name)
            vcpus = described.vcpus if described else None if group.types else int(group.vcpus or 2)
            most[bucket] = None if vcpus is None else max(vcpus, most.get(bucket) or 0)
        for bucket, vcpus in most.items():
            before = needed.get(bucket, 0)
            needed[bucket] = None if vcpus is None or before is None else before + vcpus * len(group.aliases)
    return needed


def _quote_limits(
    needed: Mapping[Quota, int | None],
    free_vcpus: Mapping[Quota, DeadlineCall[int | None]],
    add_note: Callable[[str], object],
) -> Iterator[QuotedLimit]:
    for bucket, count in needed.items():
        free = free_vcpus[bucket].result_or(None, add_note)
        if free is not None and count is not None and count > free:
            add_note(
                f"{bucket.name}: {count} processors are more than the {free} that the quota {bucket.code} leaves;"
                " ask for more in the Service Quotas console"
            )
        yield QuotedLimit(bucket.name, count, free)


def _root_disks_part(
    options: Options, specs: Sequence[NodeSpec], inputs: LaunchInputs, gb_hour: Decimal | None
) -> QuotedPart:
    sizes = Counter(options.root_gb(spec.alias, inputs.amis[spec.image].root_gb) for spec in specs)
    description = ", ".join(f"{count} x {size} GB" for size, count in sorted(sizes.items()))
    total = sum(size * count for size, count in sizes.items())
    return QuotedPart(
        "root disks", f"{description} {options.root_volume_type}", None if gb_hour is None else gb_hour * total
    )


def _addresses_part(options: Options, specs: Sequence[NodeSpec]) -> list[QuotedPart]:
    count = sum(options.has_public_ip(spec.alias) for spec in specs)
    if not count:
        return []
    return [QuotedPart("addresses", f"{count} x public IPv4", price_table.PUBLIC_IPV4_USD * count)]


def _home_part(options: Options, size_gb: int, gb_hour: Decimal | None) -> list[QuotedPart]:
    if not size_gb:
        return []
    description = f"1 x {size_gb} GB {options.root_volume_type}, also while nothing runs"
    return [QuotedPart("home volume", description, None if gb_hour is None else gb_hour * size_gb)]
