"""Asking for instances: a launch template and a fleet of the type `instant`, which answers at once with what it got.

AWS recommends fleets over RunInstances for spot instances: several types and zones in one call, and the reason for
each that could not be had
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ec2-fleets.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from clusterctl.model import MASTER
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.images import Ami
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.launch_journal import Launch
    from clusterctl.providers.ec2.options import Options

BATCH = 1000
"""Instances in one request, and resources in one call that ends or tags them."""
_OVERRIDES = 300
"""Types times subnets that one request may name."""
_NO_ROOM = frozenset({"InsufficientInstanceCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow"})
"""Codes that say all that their messages do."""
_NOT_OFFERED = frozenset({"InvalidFleetConfiguration", "Unsupported"})
QUOTA = frozenset({"VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"})
_SHOWN = 4


@dataclass(frozen=True)
class Wanted:
    """Nodes that are alike, and are asked for together."""

    role: str
    aliases: tuple[str, ...]
    types: tuple[str, ...]
    market: str
    """``on-demand``, ``spot`` or ``spot-with-fallback``."""
    bid: str
    image: str
    vcpus: float | None
    memory_gb: float | None


@dataclass(frozen=True)
class Refusal:
    """Why a type could not be had in a zone."""

    code: str
    message: str
    pool: str
    """Such as ``c7i.large in us-east-1a``."""


@dataclass(frozen=True)
class Answer:
    """What a fleet request brought."""

    fleet: str
    instances: tuple[str, ...]
    subnet: str
    """Where the first of them is; empty where there is none, or EC2 does not say."""
    refusals: tuple[Refusal, ...]


def alike(specs: Iterable[NodeSpec]) -> list[Wanted]:
    """Nodes that can be asked for together, workers first: it is they who decide on the zone. At most `BATCH` each."""

    def traits(spec: NodeSpec) -> tuple[Any, ...]:
        role = MASTER if spec.alias == MASTER else "worker"
        return (role, spec.types, spec.market, spec.bid, spec.image, spec.vcpus, spec.memory_gb)

    found = []
    for (role, types, market, bid, image, vcpus, memory_gb), group in groupby(
        sorted(specs, key=_order(traits)), traits
    ):
        aliases = [spec.alias for spec in group]
        for first in range(0, len(aliases), BATCH):
            part = tuple(aliases[first : first + BATCH])
            found.append(Wanted(role, part, types, market, bid, image, vcpus, memory_gb))
    return sorted(found, key=lambda wanted: (wanted.role == MASTER, -len(wanted.aliases)))


def _order(traits: Any) -> Any:
    return lambda spec: (str(traits(spec)), spec.alias)


def template_data(
    options: Options,
    ami: Ami,
    *,
    user_data: str,
    groups: Sequence[str],
    marks: Mapping[str, str],
    placement: str,
) -> dict[str, Any]:
    """What every instance of a launch is like, as EC2 takes it.

    Args:
        options: of the template.
        ami: the image.
        user_data: base64.
        groups: security groups.
        marks: tags of the instance, its disks and network cards.
        placement: name of a placement group; empty without.
    """
    card: dict[str, Any] = {"DeviceIndex": 0, "DeleteOnTermination": True, "Groups": [*groups]}
    if options.address == "ipv6":
        card["Ipv6AddressCount"] = 1
    card["AssociatePublicIpAddress"] = options.public_ips
    disk: dict[str, Any] = {"VolumeType": options.root_volume_type, "Encrypted": True, "DeleteOnTermination": True}
    disk["VolumeSize"] = options.root_volume_gb or ami.root_gb
    data: dict[str, Any] = {
        "ImageId": ami.id,
        "UserData": user_data,
        "NetworkInterfaces": [card],
        "BlockDeviceMappings": [{"DeviceName": ami.root_device, "Ebs": disk}],
        # Who shuts a node down from inside has no more use for it.
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "TagSpecifications": tags.specifications(marks, "instance", "volume", "network-interface"),
    }
    if options.key_name:
        data["KeyName"] = options.key_name
    if options.instance_profile:
        data["IamInstanceProfile"] = {"Name": options.instance_profile}
    if placement:
        data["Placement"] = {"GroupName": placement}
    return data


def request(
    wanted: Wanted,
    *,
    token: str,
    template: str,
    market: str,
    subnets: Sequence[Subnet],
    any_zone: bool,
    marks: Mapping[str, str],
) -> dict[str, Any]:
    """The parameters of CreateFleet.

    Args:
        wanted: the nodes.
        token: the client token.
        template: name of the launch template.
        market: ``spot`` or ``on-demand``.
        subnets: where they may be.
        any_zone: they need not all be in one zone.
        marks: tags of the fleet itself.
    """
    pools = [{"InstanceType": kind, "SubnetId": subnet.id} for kind in wanted.types for subnet in subnets]
    pools = pools[:_OVERRIDES]
    if market == "spot" and wanted.bid:
        pools = [{**pool, "MaxPrice": wanted.bid} for pool in pools]
    how: dict[str, Any] = {
        "AllocationStrategy": "price-capacity-optimized" if market == "spot" else "lowest-price",
        "SingleAvailabilityZone": not any_zone,
    }
    return {
        "Type": "instant",
        "ClientToken": token,
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "1"}, "Overrides": pools}
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": len(wanted.aliases),
            "DefaultTargetCapacityType": market,
        },
        ("SpotOptions" if market == "spot" else "OnDemandOptions"): how,
        "TagSpecifications": tags.specifications(marks, "fleet"),
    }


def ask(aws: Aws, launch: Launch) -> Answer:
    """Make the request, or make it once more: it launches nothing twice.

    Raises:
        AwsError: it was refused as a whole.
    """
    said = aws.call("ec2", "create_fleet", **launch.request)
    groups = said.get("Instances") or ()
    ids = [instance for group in groups for instance in group["InstanceIds"]]
    where = [group.get("LaunchTemplateAndOverrides", {}).get("Overrides", {}).get("SubnetId", "") for group in groups]
    refusals = [
        Refusal(each.get("ErrorCode", ""), each.get("ErrorMessage", ""), _pool(each))
        for each in said.get("Errors") or ()
    ]
    return Answer(said.get("FleetId", ""), tuple(sorted(ids)), where[0] if where else "", tuple(refusals))


def _pool(error: Mapping[str, Any]) -> str:
    override = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    kind = override.get("InstanceType") or "any type"
    return f"{kind} in {override.get('AvailabilityZone') or override.get('SubnetId') or 'any zone'}"


def make_template(aws: Aws, name: str, data: Mapping[str, Any], *, token: str, marks: Mapping[str, str]) -> None:
    """Make a launch template of one version."""
    aws.call(
        "ec2",
        "create_launch_template",
        LaunchTemplateName=name,
        ClientToken=token,
        LaunchTemplateData=dict(data),
        TagSpecifications=tags.specifications(marks, "launch-template"),
    )


def template_is_there(aws: Aws, name: str) -> bool:
    """Whether there is a launch template of this name."""
    found = aws.call("ec2", "describe_launch_templates", Filters=[{"Name": "launch-template-name", "Values": [name]}])
    return bool(found["LaunchTemplates"])


def drop_template(aws: Aws, name: str) -> None:
    """Delete a launch template. Not being there is success."""
    try:
        aws.call("ec2", "delete_launch_template", LaunchTemplateName=name)
    except AwsError as exc:
        if "NotFound" not in exc.code:
            raise


def terminate(aws: Aws, ids: Sequence[str]) -> None:
    """End instances. One that EC2 does not know any more is left out."""
    for first in range(0, len(ids), BATCH):
        part = list(ids[first : first + BATCH])
        try:
            aws.call("ec2", "terminate_instances", InstanceIds=part)
        except AwsError as exc:
            if exc.code != "InvalidInstanceID.NotFound":
                raise
            for instance in part:  # one that is unknown has all of them refused
                _terminate_one(aws, instance)


def _terminate_one(aws: Aws, instance: str) -> None:
    try:
        aws.call("ec2", "terminate_instances", InstanceIds=[instance])
    except AwsError as exc:
        if exc.code != "InvalidInstanceID.NotFound":
            raise


def reasons(refusals: Iterable[Refusal]) -> str:
    """Why, in few words: what AWS said, each once, with where."""
    pools: dict[tuple[str, str], dict[str, None]] = {}
    # That some zone has no machines of a type is said each time, and is the reason only where nothing else is.
    said = list(refusals)
    telling = [refusal for refusal in said if refusal.code not in _NOT_OFFERED]
    for refusal in telling or said:
        words = refusal.message if refusal.code not in _NO_ROOM else ""
        pools.setdefault((refusal.code, words), {})[refusal.pool] = None
    parts = []
    for (code, words), where in pools.items():
        more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
        parts.append(f"{code} ({', '.join([*where][:_SHOWN])}{more}){f': {words}' if words else ''}")
    return "; ".join(parts) or "AWS gave no reason"
