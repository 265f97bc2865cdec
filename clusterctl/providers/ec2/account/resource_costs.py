"""Hourly costs of single resources, in any region."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.model import Market
from clusterctl.providers.ec2.account.resources import ResourceKind, select_kind
from clusterctl.providers.ec2.pricing import prices
from clusterctl.providers.ec2.pricing.background import DeadlineCall
from clusterctl.providers.ec2.pricing.price_list import PriceList

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.account.resources import Resource
    from clusterctl.providers.ec2.aws import Aws

_PATIENCE_S = 10.0
_THREADS = 16


def compute_hourly_costs(aws: Aws, resources: Sequence[Resource]) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    """Return the cost of running instances and of volumes, in USD an hour by id; and notes on unknown prices.

    Addresses, images and snapshots are not counted.
    """
    regions = sorted({resource.region for resource in resources})
    costs: dict[str, Decimal] = {}
    notes: dict[str, None] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        futures = [
            pool.submit(
                _costs_in_region,
                aws.in_region(region),
                [resource for resource in resources if resource.region == region],
            )
            for region in regions
        ]
        for region, future in zip(regions, futures, strict=True):
            region_costs, region_notes = future.result()
            costs |= region_costs
            notes |= dict.fromkeys(f"{region}: {note}" for note in region_notes)
    return costs, tuple(notes)


def _costs_in_region(aws: Aws, resources: Sequence[Resource]) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    deadline = Deadline.after(_PATIENCE_S)
    running = [resource for resource in select_kind(resources, ResourceKind.INSTANCE) if not resource.stopped]
    volumes = select_kind(resources, ResourceKind.VOLUME)
    spot_instances = [resource for resource in running if resource.market == Market.SPOT]
    on_demand_types = {resource.type for resource in running if resource.market != Market.SPOT}
    if not running and not volumes:
        return {}, ()
    spot_prices = DeadlineCall(
        "spot prices",
        partial(prices.fetch_spot_prices, aws, {resource.type for resource in spot_instances}),
        deadline=deadline,
    )
    tariff = PriceList(
        aws, instance_types=on_demand_types, volume_types={resource.type for resource in volumes}, deadline=deadline
    )
    notes: dict[str, None] = {}
    current = {(price.instance_type, price.zone): price.usd for price in spot_prices.result_or([], notes.setdefault)}
    on_demand = tariff.on_demand_prices() if on_demand_types else {}
    costs: dict[str, Decimal] = {}
    for resource in running:
        price = (
            current.get((resource.type, resource.zone))
            if resource.market == Market.SPOT
            else on_demand.get(resource.type)
        )
        if price is not None:
            costs[resource.id] = price
    for resource in volumes:
        gb_price = tariff.disk_price(resource.type)
        if gb_price is not None:
            costs[resource.id] = gb_price * resource.size_gb
    return costs, (*tariff.notes, *notes)
