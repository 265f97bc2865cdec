"""What the instances of a cluster cost: by the hour now, and since each was launched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.model import NodeState
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.pricing import price_table, prices
from clusterctl.providers.ec2.pricing.background import Errand
from clusterctl.providers.ec2.pricing.price_list import Tariff
from clusterctl.providers.money import Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Node
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.options import Options

_PATIENCE_S = 4.0
"""Less than before a start: nobody asked for prices in particular."""
_HISTORY = timedelta(days=90)
"""EC2 remembers no older spot prices."""
_HOUR = Decimal(3600)


@dataclass(frozen=True)
class _Volume:
    type: str
    gb: int
    made: datetime


def spending(aws: Aws, options: Options, cluster: str, nodes: Sequence[Node]) -> Spending:
    """What these nodes cost: four calls or fewer, in one round.

    Args:
        aws: the account.
        options: of the template.
        cluster: whose disks count too.
        nodes: of the cluster.
    """
    until, now = time.monotonic() + _PATIENCE_S, datetime.now(timezone.utc)
    up = [node for node in nodes if node.state in {NodeState.RUNNING, NodeState.PENDING}]
    spot = [node for node in up if node.market == "spot"]
    began = max(min((_launched(node, now) for node in spot), default=now), now - _HISTORY)
    volumes = Errand("disks", partial(_volumes, aws, cluster), until=until)
    past = Errand(
        "spot prices",
        partial(prices.spot_history, aws, {node.type for node in spot}, start=began, end=now),
        until=until,
    )
    kinds = {node.type for node in up if node.market != "spot"}
    tariff = Tariff(aws, kinds=kinds, volume_types=[options.root_volume_type], until=until)
    bill, notes = _Bill(now), dict[str, None]()
    _machines(bill, up, past.result_or({}, notes.setdefault), tariff.usual(), notes.setdefault)
    if options.public_ips:
        for node in up:
            bill.add(price_table.PUBLIC_IPV4_USD, _launched(node, now))
    for volume in volumes.result_or([], notes.setdefault):
        price = tariff.disk(volume.type)
        if price is not None:
            bill.add(price * volume.gb, volume.made)
    return Spending(bill.hourly, bill.so_far, (*tariff.notes, *notes))


class _Bill:
    """Adds up."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.hourly = Decimal(0)
        self.so_far = Decimal(0)

    def add(self, hourly: Decimal, since: datetime, mean: Decimal | None = None) -> None:
        """Something that costs `hourly` now and cost `mean` an hour (None: the same) since then."""
        hours = Decimal(str(max(0.0, (self.now - since).total_seconds()))) / _HOUR
        self.hourly += hourly
        self.so_far += hours * (hourly if mean is None else mean)


def _machines(
    bill: _Bill,
    up: Sequence[Node],
    past: prices.History,
    usual: dict[str, Decimal],
    tell: Callable[[str], object],
) -> None:
    now = bill.now
    means: dict[tuple[str, str, datetime], Decimal] = {}
    for node in up:
        since = _launched(node, now)
        if node.market != "spot":
            if node.type in usual:
                bill.add(usual[node.type], since)
            continue
        changes = past.get((node.type, node.zone))
        if not changes:
            tell(f"the spot price is not known: {node.type} in {node.zone}")
            continue
        key = (node.type, node.zone, since)
        if key not in means:  # those that were launched together cost the same
            means[key] = prices.mean(changes, since, now)
        bill.add(changes[-1].usd, since, means[key])


def _launched(node: Node, now: datetime) -> datetime:
    """When this boot of a node began; its id says so."""
    _, _, text = node.id.partition("@")
    try:
        # Python 3.10 knows no Z; strptime takes far longer, for each of a thousand.
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return now


def _volumes(aws: Aws, cluster: str) -> list[_Volume]:
    """The disks that were made with the nodes, and go with them."""
    found = aws.pages("ec2", "describe_volumes", "Volumes", Filters=[tags.filter_by(tags.CLUSTER, cluster)])
    return [_Volume(each["VolumeType"], int(each["Size"]), each["CreateTime"]) for each in found]
