"""Inventory of all our resources in an account, in all regions, by their tags. `gc` compares it with what is needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account.resources import Resource, ResourceKind, select_kind
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.instance_reader import read_instances
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from clusterctl.providers.ec2.aws import Aws

_THREADS = 16
_OURS = {"Name": "tag-key", "Values": [tags.CLUSTER, tags.UUID, tags.OWNER]}
_BAKED = {"Name": "tag-key", "Values": [tags.IMAGE_CONTENT]}
_REFUSALS = (Kind.RIGHTS, Kind.ACCOUNT)
"""A right is missing, or the region is not enabled."""
_NAMED = 3
"""So many regions are named where more say the same."""


@dataclass(frozen=True)
class Unlisted:
    """Resources of a region that could not be listed."""

    region: str
    kind: str
    """Of the resources; empty for all."""
    error: AwsError


@dataclass(frozen=True)
class Inventory:
    """The resources of the regions that were listed, and the regions that could not be."""

    resources: tuple[Resource, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    regions: tuple[str, ...] = ()
    """The regions that were listed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Where AWS does not allow a listing: our resources cannot be there, or a right was taken away."""
        refused = [item for item in self.unlisted if item.error.kind in _REFUSALS]
        return tuple(
            f"{places}: not looked at, AWS does not allow it ({error.code})" for places, error in _group(refused)
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """Where AWS failed to answer: resources may exist there. With what the user can do."""
        failed = [item for item in self.unlisted if item.error.kind not in _REFUSALS]
        return tuple(f"{places}: {error.message}; {error.remedy}" for places, error in _group(failed))


def _group(unlisted: Iterable[Unlisted]) -> Iterator[tuple[str, AwsError]]:
    """Yield the places of one answer each, and the answer: all regions may say the same."""
    groups: dict[tuple[str, str], list[Unlisted]] = {}
    for item in unlisted:
        groups.setdefault((item.kind, item.error.code), []).append(item)
    for (kind, _), items in groups.items():
        names = [item.region for item in items]
        more = f" and {plural(len(names) - _NAMED, 'more region')}" if len(names) > _NAMED else ""
        yield f"{', '.join(names[:_NAMED])}{more}{f', {kind}' if kind else ''}", items[0].error


def region_names(aws: Aws) -> list[str]:
    """Return the names of the regions that the account can use, sorted."""
    described = aws.call("ec2", "describe_regions")["Regions"]
    return sorted(raw["RegionName"] for raw in described if raw.get("OptInStatus") != "not-opted-in")


def list_account_resources(
    aws: Aws, *, images: bool = False, progress: Callable[[int, int], None] | None = None
) -> Inventory:
    """List the resources of all regions, side by side.

    Args:
        aws: the account.
        images: list baked images and their snapshots too.
        progress: called with the number of listed regions, and of all regions.

    Raises:
        AwsError: the list of regions cannot be read.
    """
    names = region_names(aws)
    listed = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, region in enumerate(
            pool.map(lambda name: list_region_resources(aws.in_region(name), images=images), names), start=1
        ):
            listed.append(region)
            if progress:
                progress(number, len(names))
    return Inventory(
        resources=tuple(resource for region in listed for resource in region.resources),
        unlisted=tuple(item for region in listed for item in region.unlisted),
        regions=tuple(name for region in listed for name in region.regions),
    )


def list_region_resources(aws: Aws, *, images: bool = False) -> Inventory:
    """List the resources of one region.

    If its instances cannot be listed the rest is left out, because instances may need it.
    """
    resources: list[Resource] = []
    unlisted: list[Unlisted] = []
    for kind_name, list_kind in {**_LISTERS, **(_IMAGE_LISTERS if images else {})}.items():
        try:
            resources += list_kind(aws)
        except AwsError as exc:
            if kind_name == "instances":
                return Inventory(unlisted=(Unlisted(aws.region, "", exc),))
            unlisted.append(Unlisted(aws.region, kind_name, exc))
    part_ids = {part for resource in select_kind(resources, ResourceKind.INSTANCE) for part in resource.parts}
    resources = [
        replace(resource, with_instance=True) if resource.id in part_ids else resource for resource in resources
    ]
    return Inventory(tuple(resources), tuple(unlisted), (aws.region,))


def _parse_resource(aws: Aws, kind: ResourceKind, raw: Mapping[str, Any], key: str, **more: Any) -> Resource:
    return Resource(kind=kind, id=str(raw[key]), region=aws.region, tags=tags.tags_of(raw), **more)


def _list_instances(aws: Aws) -> Iterable[Resource]:
    for instance in read_instances(aws, _OURS):
        yield Resource(
            kind=ResourceKind.INSTANCE,
            id=instance.id,
            region=aws.region,
            tags=instance.tags,
            made=instance.launched_at,
            detail=f"{instance.type}, {instance.market}, {instance.state}",
            type=instance.type,
            market=instance.market,
            zone=instance.zone,
            stopped=instance.state in {"stopping", "stopped"},
            parts=tuple(disk.volume for disk in instance.disks if disk.ends_with_instance),
        )


def _disks_of(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the disks of an image."""
    return [disk.get("Ebs", {}) for disk in raw.get("BlockDeviceMappings") or ()]


def _list_spot_requests(aws: Aws) -> Iterable[Resource]:
    waiting = {"Name": "state", "Values": ["open"]}  # an active request is listed as its instance
    key = "SpotInstanceRequests"
    for raw in aws.pages("ec2", "describe_spot_instance_requests", key, Filters=[_OURS, waiting]):
        made = raw.get("CreateTime")
        yield _parse_resource(aws, ResourceKind.SPOT_REQUEST, raw, "SpotInstanceRequestId", made=made, detail="open")


def _list_volumes(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_volumes", "Volumes", Filters=[_OURS]):
        attachments = raw.get("Attachments") or ()
        yield _parse_resource(
            aws,
            ResourceKind.VOLUME,
            raw,
            "VolumeId",
            name=tags.tags_of(raw).get(tags.NAME, ""),
            made=raw.get("CreateTime"),
            detail=f"{raw.get('Size', 0)} GB {raw.get('VolumeType', '')}, {raw.get('State', '')}".replace(" ,", ","),
            type=raw.get("VolumeType", ""),
            zone=raw.get("AvailabilityZone", ""),
            size_gb=int(raw.get("Size", 0)),
            with_instance=any(attachment.get("DeleteOnTermination") for attachment in attachments),
        )


def _list_placement_groups(aws: Aws) -> Iterable[Resource]:
    for raw in aws.call("ec2", "describe_placement_groups", Filters=[_OURS])["PlacementGroups"]:
        yield _parse_resource(aws, ResourceKind.PLACEMENT_GROUP, raw, "GroupName", detail=str(raw.get("State", "")))


def _list_launch_templates(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_launch_templates", "LaunchTemplates", Filters=[_OURS]):
        name, made = raw.get("LaunchTemplateName", ""), raw.get("CreateTime")
        yield _parse_resource(aws, ResourceKind.LAUNCH_TEMPLATE, raw, "LaunchTemplateId", name=name, made=made)


def _list_key_pairs(aws: Aws) -> Iterable[Resource]:
    for raw in aws.call("ec2", "describe_key_pairs", Filters=[_OURS])["KeyPairs"]:
        made = raw.get("CreateTime")
        yield _parse_resource(aws, ResourceKind.KEY_PAIR, raw, "KeyName", made=made, detail=raw.get("KeyType", ""))


def _list_network_interfaces(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=[_OURS]):
        attachment = raw.get("Attachment") or {}
        state = str(raw.get("Status", ""))
        with_instance = bool(attachment.get("DeleteOnTermination"))
        yield _parse_resource(
            aws, ResourceKind.NETWORK_INTERFACE, raw, "NetworkInterfaceId", detail=state, with_instance=with_instance
        )


def _list_security_groups(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=[_OURS]):
        yield _parse_resource(aws, ResourceKind.SECURITY_GROUP, raw, "GroupId", name=raw.get("GroupName", ""))


def _list_images(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_images", "Images", Owners=["self"], Filters=[_BAKED]):
        yield _parse_resource(
            aws,
            ResourceKind.IMAGE,
            raw,
            "ImageId",
            name=raw.get("Name", ""),
            made=_parse_date(raw.get("CreationDate")),
            detail=str(raw.get("State", "")),
            parts=tuple(disk["SnapshotId"] for disk in _disks_of(raw) if disk.get("SnapshotId")),
        )


def _list_snapshots(aws: Aws) -> Iterable[Resource]:
    for raw in aws.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=[_BAKED]):
        size = int(raw.get("VolumeSize", 0))
        made = raw.get("StartTime")
        yield _parse_resource(
            aws, ResourceKind.SNAPSHOT, raw, "SnapshotId", made=made, detail=f"{size} GB", size_gb=size
        )


def _parse_date(text: object) -> datetime | None:
    """Parse a time as an image has it: ``2025-06-10T07:00:00.000Z``."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


_LISTERS: Mapping[str, Callable[[Aws], Iterable[Resource]]] = {
    "instances": _list_instances,
    "spot requests": _list_spot_requests,
    "volumes": _list_volumes,
    "placement groups": _list_placement_groups,
    "launch templates": _list_launch_templates,
    "key pairs": _list_key_pairs,
    "network interfaces": _list_network_interfaces,
    "security groups": _list_security_groups,
}
_IMAGE_LISTERS: Mapping[str, Callable[[Aws], Iterable[Resource]]] = {
    "images": _list_images,
    "snapshots": _list_snapshots,
}
