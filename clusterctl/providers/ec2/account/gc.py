"""Ending what nobody needs, in an order in which nothing holds on to what goes before it, with patience."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account.resources import Kind, Resource, by_kind, of
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete, is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws

_BATCH = 1000
_THREADS = 16
_ENDING_S = 900.0
"""How long an instance may take to end, and then once more how long others may hold on to what they used."""
_EVERY_S = 3.0

WAYS: Mapping[Kind, tuple[str, str]] = {
    Kind.VOLUME: ("delete_volume", "VolumeId"),
    Kind.PLACEMENT_GROUP: ("delete_placement_group", "GroupName"),
    Kind.LAUNCH_TEMPLATE: ("delete_launch_template", "LaunchTemplateId"),
    Kind.KEY_PAIR: ("delete_key_pair", "KeyName"),
    Kind.NETWORK_INTERFACE: ("delete_network_interface", "NetworkInterfaceId"),
    Kind.SECURITY_GROUP: ("delete_security_group", "GroupId"),
    Kind.IMAGE: ("deregister_image", "ImageId"),
    Kind.SNAPSHOT: ("delete_snapshot", "SnapshotId"),
}
"""What deletes each kind, and what the parameter is called that names it."""


@dataclass(frozen=True)
class Left:
    """What could not be ended."""

    resource: Resource
    why: str


def end(aws: Aws, resources: Iterable[Resource], *, say: Callable[[str], None]) -> list[Left]:
    """End these, region by region side by side. What is gone already is success; what fails hinders no other.

    Args:
        aws: the account.
        resources: to end.
        say: told of each that has ended, from several threads.

    Returns:
        What is left, and why.
    """
    regions: dict[str, list[Resource]] = {}
    for resource in by_kind(resources):
        regions.setdefault(resource.region, []).append(resource)
    with ThreadPoolExecutor(_THREADS) as pool:
        ended = pool.map(lambda region: _end_here(aws.elsewhere(region), regions[region], say), regions)
        return [left for each in ended for left in each]


def _end_here(aws: Aws, resources: Sequence[Resource], say: Callable[[str], None]) -> list[Left]:
    left = _cancel(aws, of(resources, Kind.SPOT_REQUEST), say) + _terminate(aws, of(resources, Kind.INSTANCE), say)
    # What an instance that stays holds on to is not let go, however long one waits.
    deadline = time.monotonic() + (0 if left else _ENDING_S)
    for resource in resources:
        if resource.kind in WAYS:
            why = _delete(aws, resource.kind, resource.id, deadline)
            for snapshot in resource.parts if resource.kind == Kind.IMAGE and not why else ():
                why = why or _delete(aws, Kind.SNAPSHOT, snapshot, deadline)
            _tell(resource, why, left, say)
    return left


def _tell(resource: Resource, why: str, left: list[Left], say: Callable[[str], None]) -> None:
    if why:
        left.append(Left(resource, why))
    else:
        say(f"{resource.region}: {resource.kind.value} {resource.id} is gone")


def _delete(aws: Aws, kind: Kind, id_: str, deadline: float) -> str:
    """Delete one thing; returns why it is left, empty if it is not."""
    operation, parameter = WAYS[kind]
    error = delete(aws, operation, until=deadline, **{parameter: id_})
    return error.message if error else ""


def _cancel(aws: Aws, requests: Sequence[Resource], say: Callable[[str], None]) -> list[Left]:
    left: list[Left] = []
    for request in requests:
        try:
            aws.call("ec2", "cancel_spot_instance_requests", SpotInstanceRequestIds=[request.id])
            why = ""
        except AwsError as exc:
            why = "" if is_gone(exc) else exc.message
        _tell(request, why, left, say)
    return left


def _terminate(aws: Aws, instances: Sequence[Resource], say: Callable[[str], None]) -> list[Left]:
    """End instances, and wait until EC2 has: only then does it let go of what they used."""
    refused: dict[str, str] = {}
    ids = [instance.id for instance in instances]
    for first in range(0, len(ids), _BATCH):
        part = ids[first : first + _BATCH]
        try:
            aws.call("ec2", "terminate_instances", InstanceIds=part)
        except AwsError:  # one that is unknown, or protected, has all of them refused
            for id_ in part:
                refused |= _terminate_one(aws, id_)
    slow = _wait(aws, {id_ for id_ in ids if id_ not in refused}) if ids else {}
    left: list[Left] = []
    for instance in instances:
        _tell(instance, refused.get(instance.id) or slow.get(instance.id, ""), left, say)
    return left


def _terminate_one(aws: Aws, id_: str) -> dict[str, str]:
    try:
        aws.call("ec2", "terminate_instances", InstanceIds=[id_])
    except AwsError as exc:
        return {} if is_gone(exc) else {id_: exc.message}
    return {}


def _wait(aws: Aws, ids: set[str]) -> dict[str, str]:
    """Wait until these have ended; why not, for those that have not."""
    deadline = time.monotonic() + _ENDING_S
    while True:
        try:
            states = _states(aws)
        except AwsError as exc:
            return dict.fromkeys(ids, exc.message)
        living = {id_: f"it is {states[id_]}" for id_ in ids if id_ in states}
        if not living or time.monotonic() > deadline:
            return living
        threading.Event().wait(_EVERY_S)


def _states(aws: Aws) -> dict[str, str]:
    """The states of all instances of ours that have not ended; one call for 1000."""
    there = {
        "Name": "instance-state-name",
        "Values": ["pending", "running", "stopping", "stopped", "shutting-down"],
    }
    ours = {"Name": "tag-key", "Values": [tags.CLUSTER, tags.UUID, tags.OWNER]}
    reservations = aws.pages("ec2", "describe_instances", "Reservations", Filters=[ours, there])
    return {
        each["InstanceId"]: each["State"]["Name"] for reservation in reservations for each in reservation["Instances"]
    }
