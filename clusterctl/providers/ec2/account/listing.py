"""Listings of an account in one region: instances, spot requests, zones, regions, images."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from clusterctl.errors import UsageError
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.instance_reader import ENDED_STATES, read_instances
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clusterctl.model import Market
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance

_NAMES_AT_ONCE = 10
"""Most parameters that Systems Manager takes in one call."""
_CLOSED = ("closed", "cancelled", "failed")


@dataclass(frozen=True)
class ListedInstance:
    """An instance, made by clusterctl or not."""

    id: str
    name: str
    cluster: str
    """Empty if clusterctl did not make it."""
    alias: str
    """Empty if its tags do not have it."""
    owner: str
    state: str
    reason: str
    """Reason of the last change of state, if AWS gives one."""
    type: str
    market: Market
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
    """A request for a spot instance, made by clusterctl or not."""

    id: str
    cluster: str
    state: str
    status: str
    """Status code of AWS, such as ``fulfilled`` or ``capacity-not-available``."""
    message: str
    max_price_usd: Decimal | None
    kind: str
    """``one-time`` or ``persistent``."""
    instance: str
    type: str
    image: str
    zone: str
    created: str


@dataclass(frozen=True)
class Zone:
    """An availability zone."""

    name: str
    id: str
    """The same for all accounts, unlike the name."""
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
    """The name for NODE_IMAGE_ID; ``baked`` for a baked image."""
    arch: str
    id: str
    name: str
    made: str
    base: str = ""
    """The base of a baked image."""
    content: str = ""
    """The hash of the content of a baked image."""


def list_instances(aws: Aws, *, ended: bool = False) -> list[ListedInstance]:
    """Return all instances of the region, the oldest first; ended ones only on request."""
    described = read_instances(aws, states=None)
    return [_list_instance(instance) for instance in described if ended or instance.state not in ENDED_STATES]


def _list_instance(instance: Instance) -> ListedInstance:
    return ListedInstance(
        id=instance.id,
        name=instance.tags.get(tags.NAME, ""),
        cluster=instance.cluster,
        alias=MASTER if instance.is_master else instance.tags.get(tags.ALIAS, ""),
        owner=instance.tags.get(tags.OWNER, ""),
        state=instance.state,
        reason=instance.reason,
        type=instance.type,
        market=instance.market,
        zone=instance.zone,
        public_address=instance.public_address,
        private_address=instance.private_address,
        ipv6=instance.ipv6,
        launched=format_utc(instance.launched_at),
        image=instance.image,
        key_name=instance.key_name,
        vpc=instance.vpc,
        subnet=instance.subnet,
        groups=instance.groups,
        volumes=instance.volumes,
    )


def list_spot_requests(aws: Aws, *, closed: bool = False) -> list[SpotRequest]:
    """Return all spot requests of the region, the oldest first; closed ones only on request."""
    described = aws.pages("ec2", "describe_spot_instance_requests", "SpotInstanceRequests")
    listed = [_parse_spot_request(raw) for raw in described]
    return sorted(
        (request for request in listed if closed or request.state not in _CLOSED),
        key=lambda request: (request.created, request.id),
    )


def _parse_spot_request(raw: Mapping[str, Any]) -> SpotRequest:
    status, launch = raw.get("Status", {}), raw.get("LaunchSpecification", {})
    requested_zone = launch.get("Placement", {}).get("AvailabilityZone", "")
    return SpotRequest(
        id=raw["SpotInstanceRequestId"],
        cluster=tags.tags_of(raw).get(tags.CLUSTER, ""),
        state=raw.get("State", ""),
        status=status.get("Code", ""),
        message=status.get("Message", ""),
        max_price_usd=Decimal(raw["SpotPrice"]) if raw.get("SpotPrice") else None,
        kind=raw.get("Type", ""),
        instance=raw.get("InstanceId", ""),
        type=launch.get("InstanceType", ""),
        image=launch.get("ImageId", ""),
        zone=raw.get("LaunchedAvailabilityZone") or requested_zone,
        created=format_utc(raw.get("CreateTime")),
    )


def list_zones(aws: Aws) -> list[Zone]:
    """Return the zones of the region that the account can use, sorted by name."""
    return sorted(
        (
            Zone(
                name=raw["ZoneName"],
                id=raw.get("ZoneId", ""),
                state=raw.get("State", ""),
                kind=raw.get("ZoneType", ""),
                messages=tuple(message.get("Message", "") for message in raw.get("Messages") or ()),
            )
            for raw in aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
        ),
        key=lambda zone: zone.name,
    )


def list_regions(aws: Aws) -> list[Region]:
    """Return the regions that the account can use, sorted by name."""
    described = aws.call("ec2", "describe_regions")["Regions"]
    usable = [raw for raw in described if raw.get("OptInStatus") != "not-opted-in"]
    return sorted(
        (Region(raw["RegionName"], raw.get("Endpoint", "")) for raw in usable), key=lambda region: region.name
    )


def list_baked_images(aws: Aws) -> list[ListedImage]:
    """Return the account's baked images of the region, the newest first."""
    baked_filter = {"Name": "tag-key", "Values": [tags.IMAGE_CONTENT]}
    described = aws.pages("ec2", "describe_images", "Images", Owners=["self"], Filters=[baked_filter])
    listed = [_parse_image("baked", raw) for raw in described]
    return sorted(listed, key=lambda image: (image.made, image.id), reverse=True)


def list_system_images(aws: Aws, parameters: Mapping[tuple[str, str], str]) -> list[ListedImage]:
    """Return the newest image of each system, in three calls. A system without an image in this region is left out.

    Args:
        aws: the account.
        parameters: names of parameters of Systems Manager, by system and architecture.
    """
    names = sorted(parameters.values())
    answers = [
        aws.call("ssm", "get_parameters", Names=names[start : start + _NAMES_AT_ONCE])
        for start in range(0, len(names), _NAMES_AT_ONCE)
    ]
    ids = {parameter["Name"]: parameter["Value"] for answer in answers for parameter in answer["Parameters"]}
    described = _describe_images(aws, ids.values())
    images = {key: described.get(ids.get(path, "")) for key, path in parameters.items()}
    return [_parse_image(system, raw) for (system, _), raw in images.items() if raw]


def _describe_images(aws: Aws, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    sorted_ids = sorted(set(ids))
    if not sorted_ids:
        return {}
    # A filter leaves a missing id out of the answer. An argument with the id would make the whole call fail.
    described = aws.call("ec2", "describe_images", Filters=[{"Name": "image-id", "Values": sorted_ids}])["Images"]
    return {raw["ImageId"]: raw for raw in described}


def _parse_image(system: str, raw: Mapping[str, Any]) -> ListedImage:
    raw_tags = tags.tags_of(raw)
    return ListedImage(
        system=system,
        arch=raw.get("Architecture", ""),
        id=raw["ImageId"],
        name=raw.get("Name", ""),
        made=str(raw.get("CreationDate", "")),
        base=raw_tags.get(tags.IMAGE_BASE, ""),
        content=raw_tags.get(tags.IMAGE_CONTENT, ""),
    )


def read_console(aws: Aws, instance: str) -> str:
    """Return the console output of an instance, with the newest lines if its type supports that.

    Raises:
        UsageError: the instance does not exist in this region.
    """
    try:
        try:
            answer = aws.call("ec2", "get_console_output", InstanceId=instance, Latest=True)
        except AwsError as exc:
            if exc.kind != Kind.REQUEST:
                raise
            answer = aws.call("ec2", "get_console_output", InstanceId=instance)
    except AwsError as exc:
        if exc.kind != Kind.ABSENT:
            raise
        raise UsageError(
            f"there is no instance {instance} in {aws.region} ({exc.code})",
            remedy="`clusterctl listinstances` shows those there are; -r looks in another region",
        ) from exc
    text = "".join(char for char in str(answer.get("Output") or "") if char.isprintable() or char in "\n\t")
    return text.rstrip()
