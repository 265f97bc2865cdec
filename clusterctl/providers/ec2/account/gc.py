"""Deletion of many resources, in an order that respects their dependencies. It waits while they are in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account.resources import Resource, ResourceKind, select_kind, sort_for_deletion
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete_resource, is_gone
from clusterctl.providers.ec2.instance_reader import ENDING_STATE, LIVING_STATES, read_instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.events import Reporter
    from clusterctl.providers.ec2.aws import Aws

_BATCH = 1000
_THREADS = 16
_ENDING_S = 900.0
"""Most seconds to wait for instances to end, and then again for their resources to be free."""
_EVERY_S = 3.0

DELETE_CALLS: Mapping[ResourceKind, tuple[str, str]] = {
    ResourceKind.VOLUME: ("delete_volume", "VolumeId"),
    ResourceKind.PLACEMENT_GROUP: ("delete_placement_group", "GroupName"),
    ResourceKind.LAUNCH_TEMPLATE: ("delete_launch_template", "LaunchTemplateId"),
    ResourceKind.KEY_PAIR: ("delete_key_pair", "KeyName"),
    ResourceKind.NETWORK_INTERFACE: ("delete_network_interface", "NetworkInterfaceId"),
    ResourceKind.SECURITY_GROUP: ("delete_security_group", "GroupId"),
    ResourceKind.IMAGE: ("deregister_image", "ImageId"),
    ResourceKind.SNAPSHOT: ("delete_snapshot", "SnapshotId"),
}
"""The operation that deletes each kind, and the name of its parameter."""


@dataclass(frozen=True)
class Leftover:
    """A resource that could not be deleted."""

    resource: Resource
    reason: str


def delete_resources(aws: Aws, resources: Iterable[Resource], *, report: Reporter) -> list[Leftover]:
    """Delete these resources, all regions side by side.

    A missing resource is success. An error with one does not stop the others.

    Args:
        aws: the account.
        resources: to delete.
        report: told of each deleted resource, from several threads.

    Returns:
        The resources that are left, with the reason.
    """
    regions: dict[str, list[Resource]] = {}
    for resource in sort_for_deletion(resources):
        regions.setdefault(resource.region, []).append(resource)
    with ThreadPoolExecutor(_THREADS) as pool:
        ended = pool.map(lambda region: _delete_in_region(aws.in_region(region), regions[region], report), regions)
        return [leftover for leftovers in ended for leftover in leftovers]


def _delete_in_region(aws: Aws, resources: Sequence[Resource], report: Reporter) -> list[Leftover]:
    leftovers = _cancel_requests(aws, select_kind(resources, ResourceKind.SPOT_REQUEST), report) + _terminate_instances(
        aws, select_kind(resources, ResourceKind.INSTANCE), report
    )
    # Resources of an instance that stays remain in use, so do not wait for them.
    deadline = Deadline.after(0 if leftovers else _ENDING_S)
    for resource in resources:
        if resource.kind in DELETE_CALLS:
            reason = _delete_one(aws, resource.kind, resource.id, deadline)
            for snapshot in resource.parts if resource.kind == ResourceKind.IMAGE and not reason else ():
                reason = reason or _delete_one(aws, ResourceKind.SNAPSHOT, snapshot, deadline)
            _report_result(resource, reason, leftovers, report)
    return leftovers


def _report_result(resource: Resource, reason: str, leftovers: list[Leftover], report: Reporter) -> None:
    if reason:
        leftovers.append(Leftover(resource, reason))
    else:
        report.note(f"{resource.region}: {resource.kind.value} {resource.id} is gone")


def _delete_one(aws: Aws, kind: ResourceKind, id_: str, deadline: Deadline) -> str:
    """Delete one resource; return the reason if it is left, else an empty text."""
    operation, parameter = DELETE_CALLS[kind]
    error = delete_resource(aws, operation, deadline=deadline, **{parameter: id_})
    return error.message if error else ""


def _cancel_requests(aws: Aws, requests: Sequence[Resource], report: Reporter) -> list[Leftover]:
    leftovers: list[Leftover] = []
    for request in requests:
        error = delete_resource(
            aws, "cancel_spot_instance_requests", deadline=Deadline.after(0), SpotInstanceRequestIds=[request.id]
        )
        _report_result(request, error.message if error else "", leftovers, report)
    return leftovers


def _terminate_instances(aws: Aws, instances: Sequence[Resource], report: Reporter) -> list[Leftover]:
    """Terminate instances, and wait until they have ended: EC2 keeps their resources in use until then."""
    refused: dict[str, AwsError] = {}
    ids = [instance.id for instance in instances]
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        try:
            aws.call("ec2", "terminate_instances", InstanceIds=batch)
        except AwsError:  # one unknown or protected instance makes the call fail for all
            for id_ in batch:
                refused |= _terminate_one(aws, id_)
    # One that EC2 says it does not know has ended, unless EC2 lists it.
    slow = _wait_until_ended(aws, {id_ for id_ in ids if id_ not in refused or is_gone(refused[id_])}) if ids else {}
    reasons = {id_: f"{state}: {refused[id_].message}" if id_ in refused else state for id_, state in slow.items()}
    reasons |= {id_: error.message for id_, error in refused.items() if not is_gone(error)}
    leftovers: list[Leftover] = []
    for instance in instances:
        _report_result(instance, reasons.get(instance.id, ""), leftovers, report)
    return leftovers


def _terminate_one(aws: Aws, id_: str) -> dict[str, AwsError]:
    try:
        aws.call("ec2", "terminate_instances", InstanceIds=[id_])
    except AwsError as exc:
        return {id_: exc}
    return {}


def _wait_until_ended(aws: Aws, ids: set[str]) -> dict[str, str]:
    """Wait until these instances have ended; return the reason for each that has not."""
    living: dict[str, str] = {}
    for _ in Deadline.after(_ENDING_S).polls(_EVERY_S):
        try:
            states = _instance_states(aws)
        except AwsError as exc:
            return dict.fromkeys(ids, exc.message)
        living = {id_: f"it is {states[id_]}" for id_ in ids if id_ in states}
        if not living:
            break
    return living


def _instance_states(aws: Aws) -> dict[str, str]:
    """Return the states of all our instances that have not ended. One call for 1000."""
    ours = {"Name": "tag-key", "Values": [tags.CLUSTER, tags.UUID, tags.OWNER]}
    not_ended = (*LIVING_STATES, ENDING_STATE)
    return {instance.id: instance.state for instance in read_instances(aws, ours, states=not_ended)}
