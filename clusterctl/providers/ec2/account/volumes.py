"""The account's EBS volumes: listed, made, grown and deleted. launch/data_volumes.py attaches them to masters."""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.errors import DeadlineError, ProviderError, UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.text import utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws

_READY_S, _EVERY_S = 600.0, 2.0


@dataclass(frozen=True)
class Attachment:
    """A volume's being on an instance."""

    instance: str
    device: str
    state: str


@dataclass(frozen=True)
class ListedVolume:
    """A volume, ours or not."""

    id: str
    name: str
    size_gb: int
    type: str
    iops: int | None
    state: str
    zone: str
    encrypted: bool
    snapshot: str
    created: str
    attachments: tuple[Attachment, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def held(self) -> str:
        """Who has it, in few words."""
        return ", ".join(f"{each.instance} as {each.device}" for each in self.attachments)


@dataclass(frozen=True)
class Wish:
    """What a new volume shall be like."""

    size_gb: int
    zone: str
    type: str = "gp3"
    iops: int | None = None
    """None: what the type has by itself."""
    encrypted: bool = True


def region_of(zone: str) -> str | None:
    """The region of a zone, which its name begins with; None where it looks otherwise."""
    found = re.match(r"[a-z]{2}(?:-[a-z]+)+-\d+", zone)
    return found[0] if found else None


def volumes(aws: Aws, filters: Mapping[str, tuple[str, ...]] | None = None) -> list[ListedVolume]:
    """The volumes of the region, the oldest first.

    Args:
        aws: the account.
        filters: EC2's own, name to values.
    """
    wanted = [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    found = [_volume(each) for each in aws.pages("ec2", "describe_volumes", "Volumes", Filters=wanted)]
    return sorted(found, key=lambda volume: (volume.created, volume.id))


def _volume(said: Mapping[str, Any]) -> ListedVolume:
    marks = tags.tags_of(said)
    return ListedVolume(
        id=said["VolumeId"],
        name=marks.get(tags.NAME, ""),
        size_gb=int(said.get("Size", 0)),
        type=said.get("VolumeType", ""),
        iops=said.get("Iops"),
        state=said.get("State", ""),
        zone=said.get("AvailabilityZone", ""),
        encrypted=bool(said.get("Encrypted")),
        snapshot=said.get("SnapshotId", ""),
        created=utc(said.get("CreateTime")),
        attachments=tuple(
            Attachment(each.get("InstanceId", ""), each.get("Device", ""), each.get("State", ""))
            for each in said.get("Attachments") or ()
        ),
        tags=marks,
    )


def volume(aws: Aws, id_: str) -> ListedVolume:
    """One volume.

    Raises:
        UsageError: there is none of this id here.
    """
    found = volumes(aws, {"volume-id": (id_,)})
    if not found:
        raise UsageError(
            f"there is no volume {id_} in {aws.region}",
            remedy="`clusterctl listvolumes` shows those there are; -r looks in another region",
        )
    return found[0]


def create(aws: Aws, wish: Wish, *, marks: Mapping[str, str]) -> ListedVolume:
    """Make a blank volume and wait until it can be attached.

    Args:
        aws: the account.
        wish: what it shall be like.
        marks: its tags.

    Raises:
        ProviderError: AWS does not make it.
    """
    more: dict[str, Any] = {} if wish.iops is None else {"Iops": wish.iops}
    try:
        made = aws.call(
            "ec2",
            "create_volume",
            Size=wish.size_gb,
            AvailabilityZone=wish.zone,
            VolumeType=wish.type,
            Encrypted=wish.encrypted,
            # A call that is repeated because its answer was lost must not make, and bill, a second one.
            ClientToken=uuid.uuid4().hex,
            TagSpecifications=tags.specifications(marks, "volume"),
            **more,
        )["VolumeId"]
    except AwsError as exc:
        if exc.code not in {"InvalidZone.NotFound", "InvalidParameterValue"}:
            raise
        raise UsageError(
            exc.message, remedy="`clusterctl listzones` shows the zones; --help what else can be said"
        ) from exc
    return _wait_until_available(aws, str(made))


def _wait_until_available(aws: Aws, made: str) -> ListedVolume:
    deadline = time.monotonic() + _READY_S
    while True:
        found = volumes(aws, {"volume-id": (made,)})
        state = found[0].state if found else "creating"  # for some seconds EC2 may not know what it has just made
        if found and state == "available":
            return found[0]
        if state != "creating":
            raise ProviderError(
                f"the new volume {made} is {state}, not available",
                remedy=f"`clusterctl removevolume {made}`, try again",
            )
        if time.monotonic() > deadline:
            raise DeadlineError(
                f"the new volume {made} was not available after {_READY_S:.0f} s",
                remedy=f"look at it again with `clusterctl listvolumes -v {made}`; it is billed",
            )
        threading.Event().wait(_EVERY_S)


def resize(aws: Aws, id_: str, size_gb: int) -> ListedVolume:
    """Let a volume grow where it is, and wait until the new size can be used; returns it as it was.

    Raises:
        UsageError: there is none, or it would not grow.
        ProviderError: AWS does not let it.
    """
    before = volume(aws, id_)
    if size_gb < before.size_gb:
        raise UsageError(
            f"{id_} has {before.size_gb} GB: a volume cannot shrink",
            remedy=f"make another with `clusterctl createvolume {size_gb} {before.zone}`, and copy what you keep",
        )
    if size_gb == before.size_gb:
        raise UsageError(f"{id_} has {before.size_gb} GB already", remedy="give a greater size")
    try:
        aws.call("ec2", "modify_volume", VolumeId=id_, Size=size_gb)
    except AwsError as exc:
        if exc.code in {"VolumeModificationRateExceeded", "IncorrectModificationState"}:
            raise ProviderError(
                exc.message,
                remedy="wait: AWS limits how often a volume is modified, and ends one change before another",
            ) from exc
        raise
    _wait_until_grown(aws, id_)
    return before


def _wait_until_grown(aws: Aws, id_: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        wanted = [{"Name": "volume-id", "Values": [id_]}]
        found = list(aws.pages("ec2", "describe_volumes_modifications", "VolumesModifications", Filters=wanted))
        last: Mapping[str, Any] = max(found, key=lambda each: str(each.get("StartTime", "")), default={})
        state = last.get("ModificationState", "modifying")
        if state in {"optimizing", "completed"}:
            return
        if state == "failed":
            raise ProviderError(
                f"{id_} did not grow: {last.get('StatusMessage') or 'AWS does not say why'}",
                remedy="run the same command again",
            )
        if time.monotonic() > deadline:
            raise DeadlineError(
                f"{id_} has not grown after {_READY_S:.0f} s",
                remedy=f"AWS goes on with it: look again with `clusterctl listvolumes -v {id_}`",
            )
        threading.Event().wait(_EVERY_S)


def remove(aws: Aws, id_: str) -> None:
    """Delete a volume and what is on it. Not being there is success."""
    try:
        aws.call("ec2", "delete_volume", VolumeId=id_)
    except AwsError as exc:
        if not exc.code.endswith("NotFound"):
            raise
