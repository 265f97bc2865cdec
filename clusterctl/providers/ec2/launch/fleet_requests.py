"""Requests for instances: a launch template, and a fleet of the type `instant`, which answers at once with its result.

AWS recommends fleets over RunInstances for spot instances: one call names several types and zones, and the answer has
an error for each that failed
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ec2-fleets.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fleet_errors
from clusterctl.providers.ec2.launch.subnets import WORKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.images import Ami
    from clusterctl.providers.ec2.launch.fleet_errors import FleetError
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.launch_journal import Launch
    from clusterctl.providers.ec2.options import Options

BATCH_SIZE = 1000
"""Most instances in one request, and most resources in one call that ends or tags them."""
_TAGGED = ("instance", "volume", "network-interface")
_OVERRIDES = 300
"""Most pairs of type and subnet in one request."""


@dataclass(frozen=True)
class LaunchGroup:
    """Nodes with the same requirements, which are launched together."""

    role: str
    aliases: tuple[str, ...]
    types: tuple[str, ...]
    market: Market
    bid: Decimal | None
    image: str
    vcpus: float | None
    memory_gb: float | None


@dataclass(frozen=True)
class FleetResult:
    """The result of a fleet request."""

    fleet_id: str
    instance_ids: tuple[str, ...]
    subnet: str
    """The subnet of the first instances; empty if there are none, or if EC2 does not say."""
    errors: tuple[FleetError, ...]


def group_specs(specs: Iterable[NodeSpec]) -> list[LaunchGroup]:
    """Group nodes that can be launched together, at most `BATCH_SIZE` in each group.

    Workers come first, because they decide on the zone.
    """

    def requirements_of(spec: NodeSpec) -> tuple[Any, ...]:
        role = MASTER if spec.alias == MASTER else WORKER
        return (role, spec.types, spec.market, spec.bid, spec.image, spec.vcpus, spec.memory_gb)

    wanted_groups = []
    for (role, types, market, bid, image, vcpus, memory_gb), same_specs in groupby(
        sorted(specs, key=_sort_key(requirements_of)), requirements_of
    ):
        aliases = [spec.alias for spec in same_specs]
        for first in range(0, len(aliases), BATCH_SIZE):
            part = tuple(aliases[first : first + BATCH_SIZE])
            wanted_groups.append(LaunchGroup(role, part, types, market, bid, image, vcpus, memory_gb))
    return sorted(wanted_groups, key=lambda wanted_group: (wanted_group.role == MASTER, -len(wanted_group.aliases)))


def _sort_key(requirements_of: Any) -> Any:
    return lambda spec: (str(requirements_of(spec)), spec.alias)


def build_template_data(
    options: Options,
    ami: Ami,
    *,
    user_data: str,
    groups: Sequence[str],
    resource_tags: Mapping[str, str],
    placement_group: str,
    when_off: str,
    role: str,
    market: Market,
) -> dict[str, Any]:
    """Return the content of the launch template: what all instances of a launch have in common.

    Args:
        options: of the template.
        ami: the image.
        user_data: base64.
        groups: ids of security groups.
        resource_tags: tags of the instance, its disks and network interfaces.
        placement_group: name of a placement group; empty without one.
        when_off: ``stop`` or ``terminate``: what becomes of an instance that is switched off from inside.
        role: of the nodes, which decides about the size of their disks.
        market: `SPOT` or `ON_DEMAND`.
    """
    interface: dict[str, Any] = {"DeviceIndex": 0, "DeleteOnTermination": True, "Groups": [*groups]}
    if options.address == "ipv6":
        interface["Ipv6AddressCount"] = 1
    interface["AssociatePublicIpAddress"] = options.has_public_ip(role)
    disk: dict[str, Any] = {"VolumeType": options.root_volume_type, "Encrypted": True, "DeleteOnTermination": True}
    disk["VolumeSize"] = options.root_gb(role, ami.root_gb)
    if options.kms_key:
        disk["KmsKeyId"] = options.kms_key
    requests = ["spot-instances-request"] if market == Market.SPOT else []  # EC2 refuses it where there are none
    data: dict[str, Any] = {
        "ImageId": ami.id,
        "UserData": user_data,
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": [{"DeviceName": ami.root_device, "Ebs": disk}],
        # How a cluster ends by itself, without any right in the account: a worker is not needed any more.
        "InstanceInitiatedShutdownBehavior": when_off,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "TagSpecifications": tags.tag_specifications(resource_tags, *_TAGGED, *requests),
    }
    if options.key_name:
        data["KeyName"] = options.key_name
    if options.instance_profile:
        data["IamInstanceProfile"] = {"Name": options.instance_profile}
    if placement_group:
        data["Placement"] = {"GroupName": placement_group}
    return data


def build_request(
    group: LaunchGroup,
    *,
    token: str,
    template: str,
    market: Market,
    subnets: Sequence[Subnet],
    any_zone: bool,
    fleet_tags: Mapping[str, str],
) -> dict[str, Any]:
    """Return the parameters of CreateFleet.

    Args:
        group: the nodes.
        token: the client token.
        template: name of the launch template.
        market: `SPOT` or `ON_DEMAND`.
        subnets: to choose from.
        any_zone: the nodes may be in different zones.
        fleet_tags: tags of the fleet itself.
    """
    # The zone goes with its subnet because EC2's errors repeat of a pool only what the request said of it.
    pools: list[dict[str, Any]] = [
        {"InstanceType": kind, "SubnetId": subnet.id, "AvailabilityZone": subnet.zone}
        for kind in _spread(group.types, _OVERRIDES // max(1, len(subnets)))
        for subnet in subnets
    ][:_OVERRIDES]
    if market == Market.SPOT and group.bid is not None:
        pools = [{**pool, "MaxPrice": f"{group.bid:f}"} for pool in pools]
    strategy: dict[str, Any] = {
        "AllocationStrategy": "price-capacity-optimized" if market == Market.SPOT else "lowest-price",
        "SingleAvailabilityZone": not any_zone,
    }
    return {
        "Type": "instant",
        "ClientToken": token,
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "1"}, "Overrides": pools}
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": len(group.aliases),
            "DefaultTargetCapacityType": market.value,
        },
        ("SpotOptions" if market == Market.SPOT else "OnDemandOptions"): strategy,
        "TagSpecifications": tags.tag_specifications(fleet_tags, "fleet"),
    }


def _spread(types: Sequence[str], most: int) -> list[str]:
    """Return so many types at most, from all over a list that is sorted by families."""
    count = max(1, min(most, len(types)))
    return [types[number * len(types) // count] for number in range(count)]


def request_fleet(aws: Aws, launch: Launch) -> FleetResult:
    """Make the request. A repeated request launches nothing twice.

    Raises:
        AwsError: AWS refused the whole request, and not for a shortage.
    """
    zones = {
        override["SubnetId"]: override.get("AvailabilityZone", "")
        for config in launch.request["LaunchTemplateConfigs"]
        for override in config["Overrides"]
    }
    try:
        answer = aws.call("ec2", "create_fleet", **launch.request)
    except AwsError as exc:
        shortage = fleet_errors.of_refusal(exc)
        if shortage is None:
            raise
        return FleetResult("", (), "", (shortage,))
    groups = answer.get("Instances") or ()
    ids = [instance for group in groups for instance in group["InstanceIds"]]
    subnets = [group.get("LaunchTemplateAndOverrides", {}).get("Overrides", {}).get("SubnetId", "") for group in groups]
    return FleetResult(
        answer.get("FleetId", ""),
        tuple(sorted(ids)),
        subnets[0] if subnets else "",
        fleet_errors.read_errors(answer, zones),
    )


def create_template(
    aws: Aws, name: str, data: Mapping[str, Any], *, token: str, resource_tags: Mapping[str, str]
) -> None:
    """Make a launch template with one version."""
    aws.call(
        "ec2",
        "create_launch_template",
        LaunchTemplateName=name,
        ClientToken=token,
        LaunchTemplateData=dict(data),
        TagSpecifications=tags.tag_specifications(resource_tags, "launch-template"),
    )


def template_exists(aws: Aws, name: str) -> bool:
    """Return whether a launch template of this name exists."""
    answer = aws.call("ec2", "describe_launch_templates", Filters=[{"Name": "launch-template-name", "Values": [name]}])
    return bool(answer["LaunchTemplates"])
