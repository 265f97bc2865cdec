"""The volume of HOME_VOLUME: a cluster's own, which outlives its masters.

It is found by its tags. Only the end of the whole cluster deletes it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.errors import DeadlineError, ProviderError
from clusterctl.model import MASTER, Problem
from clusterctl.providers.base import machine_layout
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.data_volumes import (
    DataVolume,
    find_data_volumes,
    parse_data_volume,
    refuse_zones,
)
from clusterctl.providers.ec2.deletion import delete_resource
from clusterctl.providers.ec2.instance_reader import LIVING_STATES, read_instances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.events import Reporter
    from clusterctl.model import Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.tags import ClusterKey

DEVICE = "/dev/sdp"
"""The last of the names that EC2 recommends; the user's volumes begin with the first."""
_ENDING = frozenset({"deleting", "deleted", "error"})
_FREE_S = 600.0
"""Most seconds to wait until a machine that ends has let go of it."""
_EVERY_S, _LONGEST_S = 0.5, 5.0


def find_home_volumes(aws: Aws, cluster: ClusterKey) -> list[DataVolume]:
    """Return the volumes with the home of a cluster: one, where it has one. One call."""
    filters = [*cluster.filters, tags.filter_by(tags.ROLE, tags.HOME)]
    described = aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
    return [parse_data_volume(raw) for raw in described if raw.get("State") not in _ENDING]


def find_home_volume(aws: Aws, cluster: ClusterKey) -> DataVolume | None:
    """Return the volume with the home of a cluster, or None.

    Raises:
        ProviderError: there are several, of which none is known to be the right one.
    """
    volumes = find_home_volumes(aws, cluster)
    if len(volumes) > 1:
        ids = ", ".join(volume.id for volume in volumes)
        raise ProviderError(
            f"{cluster.name} has several volumes for its home: {ids}",
            remedy="look into them, and remove all but the right one: `clusterctl removevolume vol-...`",
        )
    return volumes[0] if volumes else None


def find_disks(aws: Aws, plan: Plan, cluster: ClusterKey | None) -> list[DataVolume]:
    """Return all volumes of a plan that exist, all in one zone: that of the home first, then the user's own.

    Raises:
        ProviderError: one of the user's does not exist in this region, or they are in several zones.
    """
    home = find_home_volume(aws, cluster) if plan.home_volume and cluster else None
    disks = [*([home] if home else []), *find_data_volumes(aws, plan.volumes)]
    refuse_zones(disks)
    return disks


def check_home(aws: Aws, plan: Plan, existing: Mapping[str, Instance], cluster: ClusterKey | None) -> Iterator[Problem]:
    """Yield why the home of this plan cannot be where the plan has it. A call where it may be on a volume.

    Args:
        aws: the account.
        plan: the cluster.
        existing: its instances, by alias.
        cluster: its name and id; None for a new one.
    """
    home = machine_layout(plan.user).home
    outer = [volume.name for volume in plan.volumes if volume.mount_path in (home, *home.parents)]
    if plan.home_volume and outer:
        yield Problem(
            f"the volume {outer[0]} holds the home already, and HOME_VOLUME wants one of its own",
            "leave HOME_VOLUME out: that volume outlives the master too; or change its MOUNT_PATH",
        )
    master = existing.get(MASTER)
    if plan.home_volume and master and not has_home_volume(master):
        yield Problem(
            f"the home of {plan.cluster} is on its master's own disk, and cannot move to a volume while it exists",
            f"leave HOME_VOLUME out; or save what you need (`clusterctl get`) and `clusterctl terminate {plan.cluster}`"
            " first",
        )
    if plan.home_volume or cluster is None or (master and not has_home_volume(master)):
        return
    if volume := find_home_volume(aws, cluster):
        yield Problem(
            f"the home of {plan.cluster} is on the volume {volume.id}, and would not be seen without HOME_VOLUME = yes",
            f"put HOME_VOLUME = yes back; `clusterctl terminate {plan.cluster}` ends the volume with the cluster",
        )


def has_home_volume(instance: Instance) -> bool:
    """Return whether an instance was launched for a cluster whose home is on a volume of its own."""
    return instance.tags.get(tags.HOME_ON) == tags.VOLUME


def home_tags(plan: Plan) -> dict[str, str]:
    """Return the tags, for all that is launched, that say where the home of this plan is."""
    return {tags.HOME_ON: tags.VOLUME} if plan.home_volume else {}


def create_home_volume(
    aws: Aws,
    cluster: ClusterKey,
    options: Options,
    master: Instance,
    resource_tags: Mapping[str, str],
    report: Reporter,
) -> DataVolume:
    """Make an empty volume for the home, in the master's zone. A call that was killed may be repeated: it makes one.

    Args:
        aws: the account.
        cluster: its name and id.
        options: of the template.
        master: the instance that it is for.
        resource_tags: of all that is made for the cluster.
        report: told of it.
    """
    report.say(f"Making a volume of {options.home_volume_gb} GB for the home of {cluster.name}")
    # The same master asks for the same volume, whoever was killed before.
    token = hashlib.sha256(f"{cluster.uuid} home {master.id}".encode()).hexdigest()[:64]
    own = {**resource_tags, tags.NAME: f"{cluster.name}-home"}
    request = build_request(options, zone=master.zone, resource_tags=own)
    return parse_data_volume(aws.call("ec2", "create_volume", ClientToken=token, **request))


def build_request(options: Options, *, zone: str, resource_tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what an empty volume for the home is asked for with."""
    key = {"KmsKeyId": options.kms_key} if options.kms_key else {}
    return {
        **key,
        "Size": options.home_volume_gb,
        "AvailabilityZone": zone,
        "VolumeType": options.root_volume_type,
        "Encrypted": True,
        "TagSpecifications": tags.tag_specifications({**resource_tags, tags.ROLE: tags.HOME}, "volume"),
    }


def attach_home_volume(aws: Aws, cluster: str, volume: DataVolume, master: str, report: Reporter) -> None:
    """Attach the volume to the master, which runs, once the master before it has let go of it.

    Raises:
        ProviderError: another machine has it that lives, or the deadline has passed.
    """
    said, refusal = False, ""
    for _ in Deadline.after(_FREE_S).polls(_EVERY_S, longest_s=_LONGEST_S):
        filters = [{"Name": "volume-id", "Values": [volume.id]}]
        volumes = [parse_data_volume(raw) for raw in aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)]
        if not volumes or volumes[0].state == "creating":  # EC2 lists a new one some seconds late
            continue
        holders = volumes[0].attached_to
        if master in holders:
            return
        refusal = "" if holders else _try_attach(aws, volume.id, master)
        if not holders and not refusal:
            return
        _refuse_living(aws, cluster, volume.id, [holder for holder in holders if holder != master])
        if holders and not said:
            report.say(f"Waiting until {holders[0]} has let go of the volume with the home")
            said = True
    raise DeadlineError(
        f"the volume {volume.id} with the home of {cluster} could not be attached in {_FREE_S:.0f} s"
        f"{f': {refusal}' if refusal else ''}",
        remedy=f"see who has it (`clusterctl listvolumes -v {volume.id}`), then run `clusterctl start {cluster}` again",
    )


def _try_attach(aws: Aws, volume: str, master: str) -> str:
    """Attach a volume; return why it could not be, else an empty text. EC2 says late who has it."""
    try:
        aws.call("ec2", "attach_volume", VolumeId=volume, InstanceId=master, Device=DEVICE)
    except AwsError as exc:
        if exc.kind not in {Kind.HELD, Kind.BUSY, Kind.ABSENT}:
            raise
        return exc.message
    return ""


def _refuse_living(aws: Aws, cluster: str, volume: str, holders: list[str]) -> None:
    """Raise an error if one of these is no master of ours that ends, but a machine that lives."""
    if not holders:
        return
    living = read_instances(aws, {"Name": "instance-id", "Values": holders}, states=LIVING_STATES)
    if living:
        raise ProviderError(
            f"the volume {volume} with the home of {cluster} is attached to {living[0].id}, which is {living[0].state}",
            remedy="detach it there first: a home can be on one machine at a time",
        )


def delete_home_volumes(aws: Aws, cluster: ClusterKey) -> list[str]:
    """Delete the home of a cluster with all files in it. Return what is left, with the reason."""
    left = []
    for volume in find_home_volumes(aws, cluster):
        error = delete_resource(aws, "delete_volume", deadline=Deadline.after(_FREE_S), VolumeId=volume.id)
        if error:
            left.append(f"{volume.id} with its home ({error.message})")
    return left
