"""The account's EBS volumes: list, make, grow and delete. ../data_volumes.py attaches them to masters."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import DeadlineError, ProviderError, UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete_resource
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws

_READY_S, _EVERY_S = 600.0, 2.0


@dataclass(frozen=True)
class Attachment:
    """The attachment of a volume to an instance."""

    instance: str
    device: str
    state: str


@dataclass(frozen=True)
class ListedVolume:
    """A volume, made by clusterctl or not."""

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
    def attached_to(self) -> str:
        """The instances and devices it is attached to, as text."""
        return ", ".join(f"{attachment.instance} as {attachment.device}" for attachment in self.attachments)


@dataclass(frozen=True)
class VolumeRequest:
    """Properties of a new volume."""

    size_gb: int
    zone: str
    type: str = "gp3"
    iops: int | None = None
    """None: the default of the type."""
    encrypted: bool = True
    kms_key: str = ""
    """Key of KMS that encrypts it; empty: the account's key for EBS."""


def region_of_zone(zone: str) -> str | None:
    """Return the region of a zone, which is the beginning of its name; None for another form of name."""
    match = re.match(r"[a-z]{2}(?:-[a-z]+)+-\d+", zone)
    return match[0] if match else None


def list_volumes(aws: Aws, filters: Mapping[str, tuple[str, ...]] | None = None) -> list[ListedVolume]:
    """Return the volumes of the region, the oldest first.

    Args:
        aws: the account.
        filters: of EC2, values by name.
    """
    raw_filters = [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    listed = [_parse_volume(raw) for raw in aws.pages("ec2", "describe_volumes", "Volumes", Filters=raw_filters)]
    return sorted(listed, key=lambda volume: (volume.created, volume.id))


def _parse_volume(raw: Mapping[str, Any]) -> ListedVolume:
    raw_tags = tags.tags_of(raw)
    return ListedVolume(
        id=raw["VolumeId"],
        name=raw_tags.get(tags.NAME, ""),
        size_gb=int(raw.get("Size", 0)),
        type=raw.get("VolumeType", ""),
        iops=raw.get("Iops"),
        state=raw.get("State", ""),
        zone=raw.get("AvailabilityZone", ""),
        encrypted=bool(raw.get("Encrypted")),
        snapshot=raw.get("SnapshotId", ""),
        created=format_utc(raw.get("CreateTime")),
        attachments=tuple(
            Attachment(attachment.get("InstanceId", ""), attachment.get("Device", ""), attachment.get("State", ""))
            for attachment in raw.get("Attachments") or ()
        ),
        tags=raw_tags,
    )


def get_volume(aws: Aws, id_: str) -> ListedVolume:
    """Return one volume.

    Raises:
        UsageError: the volume does not exist in this region.
    """
    matching = list_volumes(aws, {"volume-id": (id_,)})
    if not matching:
        raise UsageError(
            f"there is no volume {id_} in {aws.region}",
            remedy="`clusterctl listvolumes` shows those there are; -r looks in another region",
        )
    return matching[0]


def create_volume(aws: Aws, request: VolumeRequest, *, resource_tags: Mapping[str, str]) -> ListedVolume:
    """Make an empty volume and wait until it can be attached.

    Args:
        aws: the account.
        request: the properties.
        resource_tags: its tags.

    Raises:
        ProviderError: AWS refuses.
    """
    optional: dict[str, Any] = {} if request.iops is None else {"Iops": request.iops}
    if request.kms_key:
        optional["KmsKeyId"] = request.kms_key
    try:
        volume_id = aws.call(
            "ec2",
            "create_volume",
            Size=request.size_gb,
            AvailabilityZone=request.zone,
            VolumeType=request.type,
            Encrypted=request.encrypted,
            # botocore repeats a call whose answer was lost. It must not make, and bill, a second volume.
            ClientToken=uuid.uuid4().hex,
            TagSpecifications=tags.tag_specifications(resource_tags, "volume"),
            **optional,
        )["VolumeId"]
    except AwsError as exc:
        if exc.kind not in {Kind.ABSENT, Kind.REQUEST}:
            raise
        raise UsageError(
            exc.message, remedy="`clusterctl listzones` shows the zones; --help what else can be said"
        ) from exc
    return _wait_until_available(aws, str(volume_id))


def _wait_until_available(aws: Aws, volume_id: str) -> ListedVolume:
    for _ in Deadline.after(_READY_S).polls(_EVERY_S):
        matching = list_volumes(aws, {"volume-id": (volume_id,)})
        state = matching[0].state if matching else "creating"  # EC2 may not list a new volume for some seconds
        if matching and state == "available":
            return matching[0]
        if state != "creating":
            raise ProviderError(
                f"the new volume {volume_id} is {state}, not available",
                remedy=f"`clusterctl removevolume {volume_id}`, try again",
            )
    raise DeadlineError(
        f"the new volume {volume_id} was not available after {_READY_S:.0f} s",
        remedy=f"look at it again with `clusterctl listvolumes -v {volume_id}`; it is billed",
    )


def resize_volume(aws: Aws, id_: str, size_gb: int) -> ListedVolume:
    """Grow a volume and wait until the new size can be used; return the volume as it was before.

    Raises:
        UsageError: the volume does not exist, or the size is not greater.
        ProviderError: AWS refuses.
    """
    before = get_volume(aws, id_)
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
        if exc.kind == Kind.HELD:
            raise ProviderError(
                exc.message,
                remedy="wait: AWS limits how often a volume is modified, and ends one change before another",
            ) from exc
        raise
    _wait_until_grown(aws, id_)
    return before


def _wait_until_grown(aws: Aws, id_: str) -> None:
    for _ in Deadline.after(_READY_S).polls(_EVERY_S):
        filters = [{"Name": "volume-id", "Values": [id_]}]
        modifications = list(
            aws.pages("ec2", "describe_volumes_modifications", "VolumesModifications", Filters=filters)
        )
        last: Mapping[str, Any] = max(
            modifications, key=lambda modification: str(modification.get("StartTime", "")), default={}
        )
        state = last.get("ModificationState", "modifying")
        if state in {"optimizing", "completed"}:
            return
        if state == "failed":
            raise ProviderError(
                f"{id_} did not grow: {last.get('StatusMessage') or 'AWS does not say why'}",
                remedy="run the same command again",
            )
    raise DeadlineError(
        f"{id_} has not grown after {_READY_S:.0f} s",
        remedy=f"AWS goes on with it: look again with `clusterctl listvolumes -v {id_}`",
    )


def delete_volume(aws: Aws, id_: str) -> None:
    """Delete a volume and its data. A missing one is success."""
    error = delete_resource(aws, "delete_volume", deadline=Deadline.after(0), VolumeId=id_)
    if error:
        raise error
