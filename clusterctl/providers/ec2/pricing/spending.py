"""The cost of the instances of a cluster: per hour now, and since each launch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline, utc_now
from clusterctl.model import Market, NodeState
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.pricing import price_table, prices
from clusterctl.providers.ec2.pricing.background import DeadlineCall
from clusterctl.providers.ec2.pricing.bill import Rates, price_lives
from clusterctl.providers.ec2.pricing.price_list import PriceList
from clusterctl.providers.money import Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Node
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.pricing.lives import Life

_PATIENCE_S = 4.0
"""Shorter than before a start: the user did not ask for prices in particular."""
_HISTORY = timedelta(days=90)
"""EC2 keeps spot prices for this long."""
_HOUR = Decimal(3600)


@dataclass(frozen=True)
class _Volume:
    type: str
    gb: int
    made: datetime


def compute_spending(
    aws: Aws,
    options: Options,
    cluster: str,
    nodes: Sequence[Node],
    *,
    known_lives: Sequence[Life] = (),
    look: Callable[[], Sequence[Life]] = list,
) -> Spending:
    """Return what these nodes cost, and what those of the cluster cost that have ended. Few calls, side by side.

    Args:
        aws: the account.
        options: of the template.
        cluster: name of the cluster. Its disks count too.
        nodes: of the cluster.
        known_lives: the lives of its instances that the journal tells of.
        look: returns those that EC2 knows besides.
    """
    deadline, now = Deadline.after(_PATIENCE_S), utc_now()
    running = [node for node in nodes if node.state in {NodeState.RUNNING, NodeState.PENDING}]
    spot_nodes = [node for node in running if node.market == Market.SPOT]
    spot_lives = [life for life in known_lives if life.market == Market.SPOT]
    spot_types = {*(node.type for node in spot_nodes), *(life.type for life in spot_lives)}
    begins = [*(node.launched_at or now for node in spot_nodes), *(life.began for life in spot_lives)]
    began = max(min(begins, default=now), now - _HISTORY)
    looked = DeadlineCall("nodes that have ended", look, deadline=deadline)
    volumes = DeadlineCall("disks", partial(_cluster_disks, aws, cluster), deadline=deadline)
    history = DeadlineCall(
        "spot prices",
        partial(prices.fetch_spot_history, aws, spot_types, start=began, end=now),
        deadline=deadline,
    )
    kinds = {node.type for node in running if node.market != Market.SPOT}
    kinds |= {life.type for life in known_lives if life.market != Market.SPOT}
    tariff = PriceList(aws, instance_types=kinds, volume_types=[options.root_volume_type], deadline=deadline)
    bill, notes = _Bill(now), dict[str, None]()
    spot_prices, on_demand = history.result_or({}, notes.setdefault), tariff.on_demand_prices()
    _add_machines(bill, running, spot_prices, on_demand, notes.setdefault)
    lives = looked.result_or(known_lives, notes.setdefault)
    bill.so_far += _past_costs(lives, Rates(on_demand, spot_prices, tariff.disk_price), now)
    for node in running:
        if options.has_public_ip(node.alias):
            bill.add_cost(price_table.PUBLIC_IPV4_USD, node.launched_at or now)
    for volume in volumes.result_or([], notes.setdefault):
        price = tariff.disk_price(volume.type)
        if price is not None:
            bill.add_cost(price * volume.gb, volume.made)
    return Spending(bill.hourly, bill.so_far, (*tariff.notes, *notes))


def _past_costs(lives: Sequence[Life], rates: Rates, now: datetime) -> Decimal:
    """Return what runs cost that are over; the disks only of instances that have ended, since others are listed."""
    ended = {life.id for life in lives if life.ended}
    return sum(
        (
            (line.machine or Decimal(0)) + line.address + (line.disks if line.id in ended else Decimal(0))
            for line in price_lives(lives, rates, since=None, now=now)
            if line.stopped
        ),
        Decimal(0),
    )


class _Bill:
    """A sum of costs."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.hourly = Decimal(0)
        self.so_far = Decimal(0)

    def add_cost(self, hourly: Decimal, since: datetime, mean: Decimal | None = None) -> None:
        """Add something that costs `hourly` now, and cost `mean` an hour (None: the same) since then."""
        hours = Decimal(str(max(0.0, (self.now - since).total_seconds()))) / _HOUR
        self.hourly += hourly
        self.so_far += hours * (hourly if mean is None else mean)


def _add_machines(
    bill: _Bill,
    up: Sequence[Node],
    history: prices.SpotHistory,
    on_demand: dict[str, Decimal],
    add_note: Callable[[str], object],
) -> None:
    now = bill.now
    means: dict[tuple[str, str, datetime], Decimal] = {}
    for node in up:
        since = node.launched_at or now
        if node.market != Market.SPOT:
            if node.type in on_demand:
                bill.add_cost(on_demand[node.type], since)
            continue
        changes = history.get((node.type, node.zone))
        if not changes:
            add_note(f"the spot price is not known: {node.type} in {node.zone}")
            continue
        key = (node.type, node.zone, since)
        if key not in means:  # nodes that were launched together cost the same
            means[key] = prices.mean_price(changes, since, now)
        bill.add_cost(changes[-1].usd, since, means[key])


def _cluster_disks(aws: Aws, cluster: str) -> list[_Volume]:
    """Return the disks that were made with the nodes and are deleted with them."""
    described = aws.pages("ec2", "describe_volumes", "Volumes", Filters=[tags.filter_by(tags.CLUSTER, cluster)])
    return [_Volume(raw["VolumeType"], int(raw["Size"]), raw["CreateTime"]) for raw in described]
