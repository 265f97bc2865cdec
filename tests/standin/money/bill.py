"""What AWS would put on the bill: the stand-in's own lives of instances, their disks and addresses, at its own prices.

By the second, a minute at least for each run, as "Amazon EC2 pricing" has it; a spot instance at the price of each
moment; a disk from the instance's launch to its end, a public address while the instance runs. It shares no code with
the program that is to know the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .pricelist import ADDRESS_USD, VOLUMES
from .prices import on_demand_usd

if TYPE_CHECKING:
    from ..cloud import Cloud
    from ..instances.lives import Life

HOUR_S = 3600
HOURS_A_MONTH = 730


@dataclass
class Account:
    """What is put down of one instance while it lives."""

    runs: list[list[datetime]] = field(default_factory=list)
    """When it began to run and when it ceased; the last of them is open while it runs."""
    disks: list[tuple[str, int]] = field(default_factory=list)
    ended: datetime | None = None
    public: bool = False

    def runs_from(self, moment: datetime, *, public: bool, disks: list[tuple[str, int]]) -> None:
        """It runs from now on."""
        self.runs.append([moment])
        self.public = public
        self.disks = disks

    def ceases(self, moment: datetime) -> None:
        """It does not run any more."""
        if self.runs and len(self.runs[-1]) == 1:
            self.runs[-1].append(max(moment, self.runs[-1][0]))


def disks_of(instance: Any) -> list[tuple[str, int]]:
    """The type and size of each disk that ends with an instance."""
    volumes = instance.ec2_backend.volumes
    own = [disk for disk in instance.block_device_mapping.values() if disk.delete_on_termination]
    found = [volumes[disk.volume_id] for disk in own if disk.volume_id in volumes]
    return [(volume.volume_type, int(volume.size)) for volume in found]


@dataclass
class Homes:
    """What is put down of volumes with homes, which end with no instance."""

    runs: list[list[Any]] = field(default_factory=list)
    """The id of each, its cluster, its kind, its size, and from when to when it had that; the end is None while so."""

    def look(self, backend: Any, now: datetime) -> None:
        """Something may have changed."""
        # moto's own look-up goes through all tags of all things.
        present = {identity: backend.tags.get(identity, {}) for identity in backend.volumes}
        homes = {identity: own for identity, own in present.items() if own.get("clusterctl:role") == "home"}
        for run in self.runs:
            gone = run[0] not in homes or int(backend.volumes[run[0]].size) != run[3]
            if run[5] is None and gone:
                run[5] = now
        known = {run[0] for run in self.runs if run[5] is None}
        for identity, own in homes.items():
            volume = backend.volumes[identity]
            if identity not in known:
                cluster = own.get("clusterctl:cluster", "")
                self.runs.append([identity, cluster, volume.volume_type, int(volume.size), now, None])

    def usd_of(self, cluster: str, now: datetime) -> float:
        """What those of a cluster have cost so far."""
        return sum(
            VOLUMES[kind][2] / HOURS_A_MONTH * size * ((ended or now) - began).total_seconds() / HOUR_S
            for _, whose, kind, size, began, ended in self.runs
            if whose == cluster
        )


def bill_usd(cloud: Cloud, lives: list[Life], now: datetime) -> float:
    """What these instances have cost so far."""
    return sum(_life_usd(cloud, life, now) for life in lives)


def _life_usd(cloud: Cloud, life: Life, now: datetime) -> float:
    account, zone = life.account, life.instance.placement.zone
    usd = 0.0
    for run in account.runs:
        begin, end = run[0], run[1] if len(run) > 1 else now
        if len(run) > 1:
            end = max(end, begin + timedelta(minutes=1))
        hours = (end - begin).total_seconds() / HOUR_S
        if life.market == "spot":
            usd += _spot_usd(cloud, life.kind.name, zone, begin, end)
        else:
            usd += on_demand_usd(life.kind.name, life.region) * hours
        usd += ADDRESS_USD * hours if account.public else 0.0
    if account.runs:
        hours = ((account.ended or now) - account.runs[0][0]).total_seconds() / HOUR_S
        usd += sum(VOLUMES[kind][2] / HOURS_A_MONTH * size * hours for kind, size in account.disks)
    return usd


def _spot_usd(cloud: Cloud, name: str, zone: str, begin: datetime, end: datetime) -> float:
    """The price of each minute, one after the other."""
    usd, moment = 0.0, begin
    while moment < end:
        following = min(moment + timedelta(minutes=1), end)
        usd += cloud.prices.spot_usd(name, zone, at=moment) * (following - moment).total_seconds() / HOUR_S
        moment = following
    return usd
