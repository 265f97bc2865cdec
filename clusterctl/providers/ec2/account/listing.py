"""What an account has and may choose from, in one region: instances, spot requests, zones, regions, images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.text import utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clusterctl.providers.ec2.aws import Aws

_ENDED = ("shutting-down", "terminated")
_CLOSED = ("closed", "cancelled", "failed")


@dataclass(frozen=True)
class ListedInstance:
    """An instance, ours or not."""

    id: str
    name: str
    cluster: str
    """Empty for one that is not ours."""
    alias: str
    """Where its tags have it."""
    owner: str
    state: str
    reason: str
    """Why it changed its state last, if AWS says so."""
    type: str
    market: str
    zone: str
    public_address: str
    private_address: str
    ipv6: str
    launched: str
    image: str
    key_name: str
    vpc: str
    subnet: str
    groups: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class SpotRequest:
    """A request for a spot instance, ours or not."""

    id: str
    cluster: str
    state: str
    status: str
    """AWS's word for how it goes, such as ``fulfilled`` or ``capacity-not-available``."""
    message: str
    max_price_usd: str
    kind: str
    """``one-time`` or ``persistent``."""
    instance: str
    type: str
    image: str
    zone: str
    created: str


@dataclass(frozen=True)
class Zone:
    """A place in a region."""

    name: str
    id: str
    """The same for all accounts, which the name is not."""
    state: str
    kind: str
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A region that the account can use."""

    name: str
    endpoint: str


@dataclass(frozen=True)
class ListedImage:
    """An image that nodes can start from."""

    system: str
    """What NODE_IMAGE_ID calls it; ``baked`` for one of ours."""
    arch: str
    id: str
    name: str
    made: str
    base: str = ""
    """What a baked one was made from."""
    content: str = ""
    """The hash of what is in a baked one."""


def instances(aws: Aws, *, ended: bool = False) -> list[ListedInstance]:
    """All instances of the region, the oldest first; those that are ended only if asked for."""
    reservations = aws.pages("ec2", "describe_instances", "Reservations")
    found = [_instance(each) for reservation in reservations for each in reservation["Instances"]]
    return sorted((i for i in found if ended or i.state not in _ENDED), key=lambda i: (i.launched, i.id))


def _instance(said: Mapping[str, Any]) -> ListedInstance:
    marks = tags.tags_of(said)
    cards = said.get("NetworkInterfaces") or ()
    ipv6 = [each["Ipv6Address"] for card in cards for each in card.get("Ipv6Addresses") or ()]
    disks = [disk.get("Ebs", {}).get("VolumeId", "") for disk in said.get("BlockDeviceMappings") or ()]
    return ListedInstance(
        id=said["InstanceId"],
        name=marks.get(tags.NAME, ""),
        cluster=marks.get(tags.CLUSTER, ""),
        alias=tags.MASTER if marks.get(tags.ROLE) == tags.MASTER else marks.get(tags.ALIAS, ""),
        owner=marks.get(tags.OWNER, ""),
        state=said["State"]["Name"],
        reason=said.get("StateReason", {}).get("Message", "") or said.get("StateTransitionReason", ""),
        type=said.get("InstanceType", ""),
        market="spot" if said.get("InstanceLifecycle") == "spot" else "on-demand",
        zone=said.get("Placement", {}).get("AvailabilityZone", ""),
        public_address=said.get("PublicIpAddress") or "",
        private_address=said.get("PrivateIpAddress") or "",
        ipv6=ipv6[0] if ipv6 else "",
        launched=utc(said.get("LaunchTime")),
        image=said.get("ImageId", ""),
        key_name=said.get("KeyName", ""),
        vpc=said.get("VpcId", ""),
        subnet=said.get("SubnetId", ""),
        groups=tuple(group["GroupId"] for group in said.get("SecurityGroups") or ()),
        volumes=tuple(disk for disk in disks if disk),
    )


def spot_requests(aws: Aws, *, closed: bool = False) -> list[SpotRequest]:
    """All spot requests of the region, the oldest first; those that are over only if asked for."""
    asked = aws.pages("ec2", "describe_spot_instance_requests", "SpotInstanceRequests")
    found = [_spot_request(each) for each in asked]
    return sorted((r for r in found if closed or r.state not in _CLOSED), key=lambda r: (r.created, r.id))


def _spot_request(said: Mapping[str, Any]) -> SpotRequest:
    status, launch = said.get("Status", {}), said.get("LaunchSpecification", {})
    asked = launch.get("Placement", {}).get("AvailabilityZone", "")
    return SpotRequest(
        id=said["SpotInstanceRequestId"],
        cluster=tags.tags_of(said).get(tags.CLUSTER, ""),
        state=said.get("State", ""),
        status=status.get("Code", ""),
        message=status.get("Message", ""),
        max_price_usd=str(said.get("SpotPrice", "")),
        kind=said.get("Type", ""),
        instance=said.get("InstanceId", ""),
        type=launch.get("InstanceType", ""),
        image=launch.get("ImageId", ""),
        zone=said.get("LaunchedAvailabilityZone") or asked,
        created=utc(said.get("CreateTime")),
    )


def zones(aws: Aws) -> list[Zone]:
    """The zones of the region that the account can use, sorted by name."""
    return sorted(
        (
            Zone(
                name=each["ZoneName"],
                id=each.get("ZoneId", ""),
                state=each.get("State", ""),
                kind=each.get("ZoneType", ""),
                messages=tuple(said.get("Message", "") for said in each.get("Messages") or ()),
            )
            for each in aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
        ),
        key=lambda zone: zone.name,
    )


def regions(aws: Aws) -> list[Region]:
    """The regions that the account can use, sorted by name."""
    found = aws.call("ec2", "describe_regions")["Regions"]
    usable = [each for each in found if each.get("OptInStatus") != "not-opted-in"]
    return sorted((Region(each["RegionName"], each.get("Endpoint", "")) for each in usable), key=lambda r: r.name)


def baked_images(aws: Aws) -> list[ListedImage]:
    """The account's baked images of the region, the newest first."""
    baked = {"Name": "tag-key", "Values": [tags.IMAGE_CONTENT]}
    found = aws.pages("ec2", "describe_images", "Images", Owners=["self"], Filters=[baked])
    listed = [_image("baked", each) for each in found]
    return sorted(listed, key=lambda image: (image.made, image.id), reverse=True)


def named_images(aws: Aws, parameters: Mapping[tuple[str, str], str]) -> list[ListedImage]:
    """The newest images of systems, in two calls. One that is not in this region is left out.

    Args:
        aws: the account.
        parameters: of Systems Manager, ten at most, by system and architecture.
    """
    answer = aws.call("ssm", "get_parameters", Names=sorted(parameters.values()))
    ids = {each["Name"]: each["Value"] for each in answer["Parameters"]}
    described = _described(aws, ids.values())
    found = {key: described.get(ids.get(path, "")) for key, path in parameters.items()}
    return [_image(system, said) for (system, _), said in found.items() if said]


def _described(aws: Aws, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    # By a filter: one that is not there is then left out of the answer in place of an error for all.
    found = aws.call("ec2", "describe_images", Filters=[{"Name": "image-id", "Values": wanted}])["Images"]
    return {each["ImageId"]: each for each in found}


def _image(system: str, said: Mapping[str, Any]) -> ListedImage:
    marks = tags.tags_of(said)
    return ListedImage(
        system=system,
        arch=said.get("Architecture", ""),
        id=said["ImageId"],
        name=said.get("Name", ""),
        made=str(said.get("CreationDate", "")),
        base=marks.get(tags.IMAGE_BASE, ""),
        content=marks.get(tags.IMAGE_CONTENT, ""),
    )


def console(aws: Aws, instance: str) -> str:
    """What an instance has written to its console, newest included where its kind of machine can tell.

    Raises:
        UsageError: there is no such instance here.
    """
    try:
        try:
            said = aws.call("ec2", "get_console_output", InstanceId=instance, Latest=True)
        except AwsError as exc:
            if exc.code not in {"UnsupportedOperation", "InvalidParameterCombination", "InvalidParameterValue"}:
                raise
            said = aws.call("ec2", "get_console_output", InstanceId=instance)
    except AwsError as exc:
        if not exc.code.startswith("InvalidInstanceID"):
            raise
        raise UsageError(
            f"there is no instance {instance} in {aws.region}",
            remedy="`clusterctl listinstances` shows those there are; -r looks in another region",
        ) from exc
    kept = "".join(char for char in str(said.get("Output") or "") if char.isprintable() or char in "\n\t")
    return kept.rstrip()
