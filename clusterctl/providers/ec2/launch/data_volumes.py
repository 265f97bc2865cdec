"""Data volumes: EBS volumes of the user's own, attached to the master and never deleted by us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Volume
    from clusterctl.providers.ec2.aws import Aws

_LETTERS = "fghijklmnop"
"""Of the device names that EC2 recommends for data volumes: /dev/sdf to /dev/sdp
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html). The node finds the disk by the volume's id."""


@dataclass(frozen=True)
class Disk:
    """A volume as EC2 has it."""

    id: str
    zone: str
    state: str
    holders: tuple[str, ...]
    """Ids of the instances that it is attached to."""


def look_up(aws: Aws, volumes: Sequence[Volume]) -> list[Disk]:
    """The disks of these volumes, in their order. One call; none without volumes.

    Raises:
        ProviderError: one does not exist here, or they are in several zones.
    """
    ids = [volume.id for volume in volumes if volume.id]
    if not ids:
        return []
    filters = [{"Name": "volume-id", "Values": ids}]
    found = {
        each["VolumeId"]: Disk(
            each["VolumeId"],
            each["AvailabilityZone"],
            each["State"],
            tuple(held["InstanceId"] for held in each.get("Attachments") or () if held.get("State") != "detached"),
        )
        for each in aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
    }
    missing = [volume for volume in volumes if volume.id and volume.id not in found]
    if missing:
        raise ProviderError(
            f"volume {missing[0].name}: there is no {missing[0].id} in {aws.region}",
            remedy="correct VOLUME_ID; `clusterctl listvolumes` shows those there are",
        )
    zones = sorted({disk.zone for disk in found.values()})
    if len(zones) > 1:
        raise ProviderError(
            f"the volumes are in several zones: {', '.join(zones)}",
            remedy="a master can only have volumes of its own zone: name volumes of one",
        )
    return [found[id_] for id_ in ids]


def attach(aws: Aws, disks: Sequence[Disk], master: str) -> None:
    """Attach to the master what is not attached to it. It must be running, or stopped.

    Raises:
        ProviderError: another instance has it.
    """
    for disk, letter in zip(disks, _LETTERS, strict=False):
        others = [holder for holder in disk.holders if holder != master]
        if others:
            raise ProviderError(
                f"the volume {disk.id} is attached to {others[0]}",
                remedy="end the cluster that uses it, or detach it: a volume can serve one master at a time",
            )
        if not disk.holders:
            aws.call("ec2", "attach_volume", VolumeId=disk.id, InstanceId=master, Device=f"/dev/sd{letter}")
