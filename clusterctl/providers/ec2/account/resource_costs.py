"""What single resources cost by the hour, wherever they are."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.providers.ec2.account.resources import Kind, of
from clusterctl.providers.ec2.pricing import prices
from clusterctl.providers.ec2.pricing.background import Errand
from clusterctl.providers.ec2.pricing.price_list import Tariff

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.account.resources import Resource
    from clusterctl.providers.ec2.aws import Aws

_PATIENCE_S = 10.0
_THREADS = 16


def hourly(aws: Aws, resources: Sequence[Resource]) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    """USD an hour by id, for the instances that run and the volumes whose price is known; and what is not known.

    Addresses, images and snapshots are not counted.
    """
    regions = sorted({each.region for each in resources})
    found: dict[str, Decimal] = {}
    notes: dict[str, None] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        looks = [
            pool.submit(_here, aws.elsewhere(region), [each for each in resources if each.region == region])
            for region in regions
        ]
        for region, look in zip(regions, looks, strict=True):
            costs, unknown = look.result()
            found |= costs
            notes |= dict.fromkeys(f"{region}: {note}" for note in unknown)
    return found, tuple(notes)


def _here(aws: Aws, resources: Sequence[Resource]) -> tuple[dict[str, Decimal], tuple[str, ...]]:
    until = time.monotonic() + _PATIENCE_S
    running = [each for each in of(resources, Kind.INSTANCE) if not each.stopped]
    volumes = of(resources, Kind.VOLUME)
    spot = [each for each in running if each.market == "spot"]
    usual_kinds = {each.type for each in running if each.market != "spot"}
    if not running and not volumes:
        return {}, ()
    now = Errand("spot prices", partial(prices.spot_now, aws, {each.type for each in spot}), until=until)
    tariff = Tariff(aws, kinds=usual_kinds, volume_types={each.type for each in volumes}, until=until)
    notes: dict[str, None] = {}
    current = {(each.kind, each.zone): each.usd for each in now.result_or([], notes.setdefault)}
    usual = tariff.usual() if usual_kinds else {}
    found: dict[str, Decimal] = {}
    for each in running:
        price = current.get((each.type, each.zone)) if each.market == "spot" else usual.get(each.type)
        if price is not None:
            found[each.id] = price
    for each in volumes:
        gb = tariff.disk(each.type)
        if gb is not None:
            found[each.id] = gb * each.size_gb
    return found, (*tariff.notes, *notes)
