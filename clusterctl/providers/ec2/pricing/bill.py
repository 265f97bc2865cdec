"""What the lives of instances cost, each with its disks and its address: the bill of clusters, ended nodes included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.model import Market
from clusterctl.providers.ec2.pricing import price_table, prices
from clusterctl.providers.ec2.pricing.background import DeadlineCall
from clusterctl.providers.ec2.pricing.price_list import PriceList
from clusterctl.providers.money import Bill, BillLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.pricing.lives import Life
    from clusterctl.providers.ec2.pricing.volume_lives import VolumeLife

_PATIENCE_S = 20.0
_HISTORY = timedelta(days=90)
"""EC2 keeps spot prices for this long."""
_HOUR = Decimal(3600)
_HOME = "(home)"
"""What stands in place of an alias where a line is of the volume with the home."""
_LEAST = timedelta(seconds=60)
"""A run of an instance costs a minute at least. Source: https://aws.amazon.com/ec2/pricing/on-demand/"""


@dataclass(frozen=True)
class Rates:
    """What things cost an hour, in USD."""

    on_demand: Mapping[str, Decimal]
    """By instance type."""
    spot: prices.SpotHistory
    disk: Callable[[str], Decimal | None]
    """Returns the price of a GB of a type of disk."""


def compute_bill(
    aws: Aws, lives: Sequence[Life], volumes: Sequence[VolumeLife] = (), *, since: datetime | None, now: datetime
) -> Bill:
    """Return what these lives cost. Three kinds of calls, side by side.

    Args:
        aws: the account, in the region of the instances.
        lives: the instances, the oldest first.
        volumes: those that outlive instances.
        since: what was before does not count; None: all counts.
        now: what lives still has cost until then.
    """
    deadline, notes = Deadline.after(_PATIENCE_S), dict[str, None]()
    spot = [life for life in lives if life.market == Market.SPOT]
    began = min((life.began for life in spot), default=now)
    if began < now - _HISTORY and (since is None or since < now - _HISTORY):
        notes["EC2 keeps spot prices for 90 days: what was before is counted at the oldest price that it has"] = None
    history = DeadlineCall(
        "spot prices",
        partial(
            prices.fetch_spot_history, aws, {life.type for life in spot}, start=max(began, now - _HISTORY), end=now
        ),
        deadline=deadline,
    )
    tariff = PriceList(
        aws,
        instance_types={life.type for life in lives if life.market != Market.SPOT},
        volume_types=sorted({*(life.disk_type for life in lives if life.disk_gb), *(one.type for one in volumes)}),
        deadline=deadline,
    )
    rates = Rates(tariff.on_demand_prices(), history.result_or({}, notes.setdefault), tariff.disk_price)
    priced = [*price_lives(lives, rates, since=since, now=now), *_price_volumes(volumes, rates, since, now)]
    lines = [line for line in priced if line.hours or line.usd]
    if unpriced := sorted({line.alias for line in lines if line.machine is None}):
        notes[f"not counted, because the price is not known: {', '.join(unpriced)}"] = None
    if diskless := sorted({life.alias for life in lives if not life.disk_gb}):
        notes[f"without their disks, whose size nobody noted: {', '.join(diskless)}"] = None
    return Bill(tuple(lines), (*tariff.notes, *notes))


def price_lives(lives: Sequence[Life], rates: Rates, *, since: datetime | None, now: datetime) -> list[BillLine]:
    """Return a line for each life. The disks of a stopped instance count in the line of its last run."""
    last = {life.id: life for life in lives}
    return [_price_life(life, rates, since, now, is_last=last[life.id] is life, lives=lives) for life in lives]


def _price_life(
    life: Life, rates: Rates, since: datetime | None, now: datetime, *, is_last: bool, lives: Sequence[Life]
) -> BillLine:
    begin = max(life.began, since) if since else life.began
    end = max(life.stopped or now, begin)
    if life.stopped and (not since or life.began >= since):
        end = max(end, life.began + _LEAST)
    hours = _hours(begin, end)
    changes = rates.spot.get((life.type, life.zone))
    hourly = rates.on_demand.get(life.type)
    if life.market == Market.SPOT:
        hourly = prices.mean_price(changes, begin, end) if changes else None
    # Disks stay from run to run: each run pays until the next one begins.
    following = [other.began for other in lives if other.id == life.id and other.began > life.began]
    disk_end = (life.ended or now) if is_last else min(following)
    disk = rates.disk(life.disk_type) if life.disk_gb else None
    return BillLine(
        alias=life.alias,
        id=life.id,
        type=life.type,
        market=life.market,
        zone=life.zone,
        began=life.began,
        stopped=life.stopped,
        hours=hours,
        machine=None if hourly is None else hourly * hours,
        disks=Decimal(0) if disk is None else disk * life.disk_gb * _hours(begin, max(disk_end, begin)),
        address=price_table.PUBLIC_IPV4_USD * hours if life.public_ip else Decimal(0),
    )


def _price_volumes(
    volumes: Sequence[VolumeLife], rates: Rates, since: datetime | None, now: datetime
) -> Iterator[BillLine]:
    for life in volumes:
        begin = max(life.began, since) if since else life.began
        hours, price = _hours(begin, max(life.ended or now, begin)), rates.disk(life.type)
        yield BillLine(
            alias=_HOME,
            id=life.id,
            type=f"{life.gb} GB of {life.type}",
            market=None,
            zone=life.zone,
            began=life.began,
            stopped=life.ended,
            hours=hours,
            machine=Decimal(0),
            disks=Decimal(0) if price is None else price * life.gb * hours,
            address=Decimal(0),
        )


def _hours(begin: datetime, end: datetime) -> Decimal:
    return Decimal(str((end - begin).total_seconds())) / _HOUR
