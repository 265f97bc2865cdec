"""The checks of rights: EC2 is asked for what a start makes, with DryRun, and says whether we may.

What does not exist yet cannot be tried: the rules of a security group, tags. For the attaching of a volume ids are
named that do not exist: what EC2 says of them, other than of rights, means nothing.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html (`DryRun`)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import home_volume, tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.checks.context import Finding
from clusterctl.providers.ec2.checks.pools import types_of
from clusterctl.providers.ec2.launch import fleet_requests, security_groups
from clusterctl.providers.ec2.launch.subnets import subnets_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusterctl.providers.ec2.checks.context import CheckContext, Ground
    from clusterctl.providers.ec2.launch.fleet_requests import LaunchGroup

_NAME = "clusterctl-dry-run"
_MOST_SHOWN = 8
_NO_VOLUME, _NO_INSTANCE = "vol-00000000000000000", "i-00000000000000000"


def makes_placement_group(context: CheckContext) -> bool:
    """Return whether the start makes one."""
    return context.new and context.options.placement_group


def makes_home(context: CheckContext) -> bool:
    """Return whether the start may make a volume for the home."""
    return context.plan.home_volume and _launches_master(context)


def attaches_volumes(context: CheckContext) -> bool:
    """Return whether the start attaches volumes to a new master."""
    return bool(context.plan.home_volume or context.plan.volumes) and _launches_master(context)


def _launches_master(context: CheckContext) -> bool:
    return any(spec.alias == MASTER for spec in context.missing)


def try_home_volume(context: CheckContext) -> Iterator[Finding]:
    """Yield that the volume for the home may not be made, with its key. One call, none where the cluster has one."""
    ground = context.ground()
    named = {volume.id for volume in context.plan.volumes}
    if any(disk.id not in named for disk in ground.data_volumes):
        return
    zone = ground.zone or ground.inputs.subnets[0].zone
    request = home_volume.build_request(context.options, zone=zone, resource_tags=_tags(context))
    yield from _refusal("ec2:CreateVolume", lambda: context.aws.call("ec2", "create_volume", DryRun=True, **request))


def try_attaching(context: CheckContext) -> Iterator[Finding]:
    """Yield that volumes may not be attached. One call."""
    volume = next((disk.id for disk in context.ground().data_volumes), _NO_VOLUME)
    yield from _refusal(
        "ec2:AttachVolume",
        lambda: context.aws.call(
            "ec2", "attach_volume", DryRun=True, VolumeId=volume, InstanceId=_NO_INSTANCE, Device=home_volume.DEVICE
        ),
    )


def try_security_group(context: CheckContext) -> Iterator[Finding]:
    """Yield that the security group may not be made. One call."""
    vpc = context.ground().inputs.subnets[0].vpc
    yield from _refusal(
        "ec2:CreateSecurityGroup",
        lambda: context.aws.call(
            "ec2",
            "create_security_group",
            DryRun=True,
            GroupName=security_groups.group_name(context.plan.cluster),
            Description=_NAME,
            VpcId=vpc,
            TagSpecifications=tags.tag_specifications(_tags(context), "security-group"),
        ),
    )


def try_placement_group(context: CheckContext) -> Iterator[Finding]:
    """Yield that the placement group may not be made. One call."""
    yield from _refusal(
        "ec2:CreatePlacementGroup",
        lambda: context.aws.call(
            "ec2",
            "create_placement_group",
            DryRun=True,
            GroupName=security_groups.group_name(context.plan.cluster),
            Strategy="cluster",
            TagSpecifications=tags.tag_specifications(_tags(context), "placement-group"),
        ),
    )


def try_launch_template(context: CheckContext) -> Iterator[Finding]:
    """Yield that the launch template may not be made. One call."""
    image = next(iter(context.ground().inputs.amis.values())).id
    yield from _refusal(
        "ec2:CreateLaunchTemplate",
        lambda: context.aws.call(
            "ec2",
            "create_launch_template",
            DryRun=True,
            LaunchTemplateName=_NAME,
            LaunchTemplateData={"ImageId": image},
            TagSpecifications=tags.tag_specifications(_tags(context), "launch-template"),
        ),
    )


def try_fleet(context: CheckContext) -> Iterator[Finding]:
    """Yield that fleets may not be asked for. One call."""
    ground = context.ground()
    group = fleet_requests.group_specs(context.missing)[0]
    request = fleet_requests.build_request(
        replace(group, types=types_of(group, ground)[:1]),
        token=_NAME,
        template=_NAME,
        market=Market.ON_DEMAND if group.market == Market.ON_DEMAND else Market.SPOT,
        subnets=subnets_for(ground.inputs.subnets, group.role)[:1],
        any_zone=False,
        fleet_tags=_tags(context),
    )
    yield from _refusal("ec2:CreateFleet", lambda: context.aws.call("ec2", "create_fleet", DryRun=True, **request))


def try_instances(context: CheckContext) -> Iterator[Finding]:
    """Yield that instances may not be launched, with this profile and image and of these types. A call for each group.

    All nodes that are alike are one group; a usual cluster has two, the master and the workers.
    """
    ground = context.ground()
    for group in fleet_requests.group_specs(context.missing):
        name = types_of(group, ground)[0]
        request = _launch_request(context, ground, group, name)
        error = _try(lambda: context.aws.call("ec2", "run_instances", DryRun=True, **request))  # noqa: B023  called at once
        if error is None:
            continue
        if error.row.about and error.kind == Kind.ACCOUNT:
            yield from _free_plan(context, error, types_of(group, ground))
        elif error.kind in {Kind.ACCOUNT, Kind.IMAGE} or (error.kind == Kind.REQUEST and error.row.about):
            yield Finding(error.message, error.row.remedy)
        elif error.kind == Kind.RIGHTS:
            yield _missing_right("ec2:RunInstances", error)
        else:
            continue
        return


def _launch_request(context: CheckContext, ground: Ground, group: LaunchGroup, name: str) -> dict[str, Any]:
    """Return a request for one instance of a group, as its launch template will have it."""
    data = fleet_requests.build_template_data(
        context.options,
        ground.inputs.amis[group.image],
        user_data="",
        groups=context.options.security_groups,
        resource_tags=_tags(context),
        placement_group="",
        when_off="terminate",
        role=group.role,
        market=Market.ON_DEMAND if group.market == Market.ON_DEMAND else Market.SPOT,
    )
    for key in ("UserData", "InstanceInitiatedShutdownBehavior"):  # nothing that rights depend on
        del data[key]
    (interface,) = data["NetworkInterfaces"]
    interface["SubnetId"] = subnets_for(ground.inputs.subnets, group.role)[0].id
    if not interface["Groups"]:  # the cluster's own does not exist yet
        del interface["Groups"]
    spot = {} if group.market == Market.ON_DEMAND else {"InstanceMarketOptions": {"MarketType": "spot"}}
    return {**data, **spot, "InstanceType": name, "MinCount": 1, "MaxCount": 1}


def _free_plan(context: CheckContext, error: AwsError, types: Sequence[str]) -> Iterator[Finding]:
    """Yield that the account's plan has none of these types, with those that it has. One call."""
    filters = [{"Name": "free-tier-eligible", "Values": ["true"]}]
    described = context.aws.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=filters)
    arch = context.ground().inputs.arch
    eligible = sorted(
        raw["InstanceType"]
        for raw in described
        if arch in raw.get("ProcessorInfo", {}).get("SupportedArchitectures", ())
    )
    if not {*types} & {*eligible}:
        yield Finding(
            f"the account's plan has none of {', '.join(types[:_MOST_SHOWN])}: {error.message}",
            f"set NODE_INSTANCE_TYPE = {', '.join(eligible[:_MOST_SHOWN])}; or upgrade the account's plan",
        )


def _tags(context: CheckContext) -> dict[str, str]:
    """Return tags as those of a launch, whose policy may ask for them."""
    return {**context.options.tags, tags.CLUSTER: context.plan.cluster}


def _refusal(action: str, call: Callable[[], object]) -> Iterator[Finding]:
    error = _try(call)
    if error is not None and error.kind == Kind.RIGHTS:
        yield _missing_right(action, error)


def _missing_right(action: str, error: AwsError) -> Finding:
    return Finding(f"a start needs {action}, which you may not: {error.message}", error.row.remedy)


def _try(call: Callable[[], object]) -> AwsError | None:
    """Return how AWS refuses; None if it says that it would not.

    Raises:
        AwsError: AWS is busy or does not answer, so that nothing is known.
    """
    try:
        call()
    except AwsError as exc:
        if exc.kind == Kind.ALLOWED:
            return None
        if not exc.code or exc.kind == Kind.BUSY:
            raise
        return exc
    return None
