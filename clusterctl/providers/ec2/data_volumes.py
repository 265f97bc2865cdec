"""Data volumes: the user's own EBS volumes. They are attached to the master and never deleted here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import Volume
    from clusterctl.providers.ec2.aws import Aws

_LETTERS = "fghijklmno"
"""Last letters of the device names that EC2 recommends for data volumes, but for the one that a home has.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html. A node finds the disk by its volume id,
not by this name.
"""


@dataclass(frozen=True)
class DataVolume:
    """An EBS volume that exists."""

    id: str
    zone: str
    state: str
    attached_to: tuple[str, ...]
    """Ids of the instances that it is attached to."""
    size_gb: int = 0


def parse_data_volume(raw: Mapping[str, Any]) -> DataVolume:
    """Return a volume as AWS describes it."""
    attachments = [entry for entry in raw.get("Attachments") or () if entry.get("State") != "detached"]
    holders = tuple(entry["InstanceId"] for entry in attachments)
    return DataVolume(raw["VolumeId"], raw["AvailabilityZone"], raw["State"], holders, int(raw.get("Size") or 0))


def find_data_volumes(aws: Aws, volumes: Sequence[Volume]) -> list[DataVolume]:
    """Return the EBS volumes of these volumes, in the same order. One call; none without volumes.

    Raises:
        ProviderError: a volume does not exist in this region, or they are in several zones.
    """
    ids = [volume.id for volume in volumes if volume.id]
    if not ids:
        return []
    filters = [{"Name": "volume-id", "Values": ids}]
    disks = {
        raw["VolumeId"]: parse_data_volume(raw)
        for raw in aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
    }
    missing = [volume for volume in volumes if volume.id and volume.id not in disks]
    if missing:
        raise ProviderError(
            f"volume {missing[0].name}: there is no {missing[0].id} in {aws.region}",
            remedy="correct VOLUME_ID; `clusterctl listvolumes` shows those there are",
        )
    refuse_zones(disks.values())
    return [disks[id_] for id_ in ids]


def refuse_zones(disks: Iterable[DataVolume]) -> None:
    """Raise an error if these volumes are in several zones."""
    zones = sorted({disk.zone for disk in disks})
    if len(zones) > 1:
        raise ProviderError(
            f"the volumes are in several zones: {', '.join(zones)}",
            remedy="a master can only have volumes of its own zone: name volumes of one",
        )


def attach_data_volumes(aws: Aws, disks: Sequence[DataVolume], master: str) -> None:
    """Attach the volumes to the master, unless they are attached already. The master must be running or stopped.

    Raises:
        ProviderError: a volume is attached to another instance.
    """
    for disk, letter in zip(disks, _LETTERS, strict=False):
        others = [holder for holder in disk.attached_to if holder != master]
        if others:
            raise ProviderError(
                f"the volume {disk.id} is attached to {others[0]}",
                remedy="end the cluster that uses it, or detach it: a volume can serve one master at a time",
            )
        if not disk.attached_to:
            aws.call("ec2", "attach_volume", VolumeId=disk.id, InstanceId=master, Device=f"/dev/sd{letter}")
