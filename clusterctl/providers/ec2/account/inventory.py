"""Everything in an account that is tagged as ours, in all regions: the cloud's side of what `gc` compares."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account.resources import Kind, Resource, of
from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from clusterctl.providers.ec2.aws import Aws

_THREADS = 16
_OURS = {"Name": "tag-key", "Values": [tags.CLUSTER, tags.UUID, tags.OWNER]}
_BAKED = {"Name": "tag-key", "Values": [tags.IMAGE_CONTENT]}
_REFUSALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthFailure", "OptInRequired", "UnauthorizedOperation"}
)
"""What AWS says where it knows us and we may not: a region that is not enabled, a right that is not given."""


@dataclass(frozen=True)
class Inventory:
    """What was found, and where nobody could look."""

    resources: tuple[Resource, ...] = ()
    notes: tuple[str, ...] = ()
    """Where AWS does not let us look: nothing of ours can be there, or somebody else took the right away."""
    failures: tuple[str, ...] = ()
    """Where an answer should have come and did not: something may be there."""
    regions: tuple[str, ...] = ()
    """That were looked at."""


def regions(aws: Aws) -> list[str]:
    """The regions that the account can use, sorted."""
    found = aws.call("ec2", "describe_regions")["Regions"]
    return sorted(each["RegionName"] for each in found if each.get("OptInStatus") != "not-opted-in")


def everywhere(aws: Aws, *, images: bool = False, progress: Callable[[int, int], None] | None = None) -> Inventory:
    """Look at all regions, side by side.

    Args:
        aws: the account.
        images: at baked images and their snapshots too.
        progress: told how many regions of how many have been looked at.

    Raises:
        AwsError: not even the list of regions can be had.
    """
    names = regions(aws)
    found = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, each in enumerate(pool.map(lambda name: look(aws.elsewhere(name), images=images), names), start=1):
            found.append(each)
            if progress:
                progress(number, len(names))
    return Inventory(
        resources=tuple(resource for each in found for resource in each.resources),
        notes=tuple(note for each in found for note in each.notes),
        failures=tuple(failure for each in found for failure in each.failures),
        regions=tuple(name for each in found for name in each.regions),
    )


def look(aws: Aws, *, images: bool = False) -> Inventory:
    """Look at one region. Where its instances cannot be seen nothing is said of the rest: they may need it."""
    found: list[Resource] = []
    notes: list[str] = []
    failures: list[str] = []
    for what, ask in {**_LOOKS, **(_IMAGE_LOOKS if images else {})}.items():
        try:
            found += ask(aws)
        except AwsError as exc:
            whole = what == "instances"
            place = aws.region if whole else f"{aws.region}, {what}"
            if exc.code in _REFUSALS:
                notes.append(f"{place}: not looked at, AWS does not allow it ({exc.code})")
            else:
                failures.append(f"{place}: {exc.message}")
            if whole:
                return Inventory((), tuple(notes), tuple(failures))
    parts = {part for resource in of(found, Kind.INSTANCE) for part in resource.parts}
    found = [replace(each, with_instance=True) if each.id in parts else each for each in found]
    return Inventory(tuple(found), tuple(notes), tuple(failures), (aws.region,))


def _made(aws: Aws, kind: Kind, said: Mapping[str, Any], key: str, **more: Any) -> Resource:
    return Resource(kind=kind, id=str(said[key]), region=aws.region, tags=tags.tags_of(said), **more)


def _instances(aws: Aws) -> Iterable[Resource]:
    living = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    for reservation in aws.pages("ec2", "describe_instances", "Reservations", Filters=[_OURS, living]):
        for each in reservation["Instances"]:
            market, state = ("spot" if each.get("InstanceLifecycle") == "spot" else "on-demand"), each["State"]["Name"]
            yield _made(
                aws,
                Kind.INSTANCE,
                each,
                "InstanceId",
                made=each.get("LaunchTime"),
                detail=f"{each.get('InstanceType', '')}, {market}, {state}",
                type=each.get("InstanceType", ""),
                market=market,
                zone=each.get("Placement", {}).get("AvailabilityZone", ""),
                stopped=state in {"stopping", "stopped"},
                parts=tuple(disk["VolumeId"] for disk in _disks(each) if disk.get("DeleteOnTermination")),
            )


def _disks(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of an instance or an image."""
    return [disk.get("Ebs", {}) for disk in said.get("BlockDeviceMappings") or ()]


def _spot_requests(aws: Aws) -> Iterable[Resource]:
    waiting = {"Name": "state", "Values": ["open"]}  # an active one is its instance
    key = "SpotInstanceRequests"
    for each in aws.pages("ec2", "describe_spot_instance_requests", key, Filters=[_OURS, waiting]):
        made = each.get("CreateTime")
        yield _made(aws, Kind.SPOT_REQUEST, each, "SpotInstanceRequestId", made=made, detail="open")


def _volumes(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_volumes", "Volumes", Filters=[_OURS]):
        held = each.get("Attachments") or ()
        yield _made(
            aws,
            Kind.VOLUME,
            each,
            "VolumeId",
            name=tags.tags_of(each).get(tags.NAME, ""),
            made=each.get("CreateTime"),
            detail=f"{each.get('Size', 0)} GB {each.get('VolumeType', '')}, {each.get('State', '')}".replace(" ,", ","),
            type=each.get("VolumeType", ""),
            zone=each.get("AvailabilityZone", ""),
            size_gb=int(each.get("Size", 0)),
            with_instance=any(attached.get("DeleteOnTermination") for attached in held),
        )


def _placement_groups(aws: Aws) -> Iterable[Resource]:
    for each in aws.call("ec2", "describe_placement_groups", Filters=[_OURS])["PlacementGroups"]:
        yield _made(aws, Kind.PLACEMENT_GROUP, each, "GroupName", detail=str(each.get("State", "")))


def _launch_templates(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_launch_templates", "LaunchTemplates", Filters=[_OURS]):
        name, made = each.get("LaunchTemplateName", ""), each.get("CreateTime")
        yield _made(aws, Kind.LAUNCH_TEMPLATE, each, "LaunchTemplateId", name=name, made=made)


def _key_pairs(aws: Aws) -> Iterable[Resource]:
    for each in aws.call("ec2", "describe_key_pairs", Filters=[_OURS])["KeyPairs"]:
        made = each.get("CreateTime")
        yield _made(aws, Kind.KEY_PAIR, each, "KeyName", made=made, detail=each.get("KeyType", ""))


def _network_interfaces(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=[_OURS]):
        attached = each.get("Attachment") or {}
        state = str(each.get("Status", ""))
        with_instance = bool(attached.get("DeleteOnTermination"))
        yield _made(aws, Kind.NETWORK_INTERFACE, each, "NetworkInterfaceId", detail=state, with_instance=with_instance)


def _security_groups(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=[_OURS]):
        yield _made(aws, Kind.SECURITY_GROUP, each, "GroupId", name=each.get("GroupName", ""))


def _images(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_images", "Images", Owners=["self"], Filters=[_BAKED]):
        yield _made(
            aws,
            Kind.IMAGE,
            each,
            "ImageId",
            name=each.get("Name", ""),
            made=_date(each.get("CreationDate")),
            detail=str(each.get("State", "")),
            parts=tuple(disk["SnapshotId"] for disk in _disks(each) if disk.get("SnapshotId")),
        )


def _snapshots(aws: Aws) -> Iterable[Resource]:
    for each in aws.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=[_BAKED]):
        size = int(each.get("VolumeSize", 0))
        made = each.get("StartTime")
        yield _made(aws, Kind.SNAPSHOT, each, "SnapshotId", made=made, detail=f"{size} GB", size_gb=size)


def _date(text: object) -> datetime | None:
    """When, as an image says it: ``2025-06-10T07:00:00.000Z``."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


_LOOKS: Mapping[str, Callable[[Aws], Iterable[Resource]]] = {
    "instances": _instances,
    "spot requests": _spot_requests,
    "volumes": _volumes,
    "placement groups": _placement_groups,
    "launch templates": _launch_templates,
    "key pairs": _key_pairs,
    "network interfaces": _network_interfaces,
    "security groups": _security_groups,
}
_IMAGE_LOOKS: Mapping[str, Callable[[Aws], Iterable[Resource]]] = {"images": _images, "snapshots": _snapshots}
