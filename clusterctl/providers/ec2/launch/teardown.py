"""The end of instances and of all that belonged to them, in the order in which EC2 lets go; what is left is named."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.providers.ec2 import instances, tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fleet_requests, security_groups, waiters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instances import Instance
    from clusterctl.providers.ec2.launch_journal import Launch


def everything(
    aws: Aws, cluster: str, *, opened: Sequence[Launch] = (), fleets: Sequence[str] = (), uuid: str = ""
) -> list[str]:
    """End a cluster and wait until it has ended; returns what is left, and why.

    Args:
        aws: the account.
        cluster: its name.
        opened: launches that nobody saw the end of: what comes of them is waited for, and ended too.
        fleets: ids of the fleets that launched instances.
        uuid: end this very cluster, and leave alone what somebody else has made under its name.
    """
    there = _with_late_ones(aws, cluster, [each.token for each in opened])
    ids = [instance.id for instance in there if instance.tags.get(tags.UUID, "") == uuid or not uuid]
    fleet_requests.terminate(aws, ids)
    only = ids if uuid else None
    left = [f"{instance} (has not ended)" for instance in waiters.until_ended(aws, cluster, only)] if ids else []
    for name in _templates(aws, cluster, uuid):
        fleet_requests.drop_template(aws, name)
    _forget_fleets(aws, fleets)
    return left + security_groups.remove_groups(aws, cluster, uuid=uuid)


def some(aws: Aws, cluster: str, ids: Sequence[str]) -> None:
    """End these instances and wait until they have: their addresses and names are free then."""
    if ids:
        fleet_requests.terminate(aws, ids)
        waiters.until_ended(aws, cluster, ids)


def undo(
    aws: Aws, cluster: str, *, begun: Sequence[str], opened: Sequence[Launch], started: Sequence[str]
) -> list[str]:
    """Take back one attempt: end what it launched, stop what it started; returns what is left."""
    doomed = {*begun}
    if opened:
        tokens = {each.token for each in opened}
        late = _with_late_ones(aws, cluster, tokens)
        doomed |= {instance.id for instance in late if instance.tags.get(tags.ATTEMPT) in tokens}
        for each in opened:
            fleet_requests.drop_template(aws, each.template)
    if doomed:
        fleet_requests.terminate(aws, sorted(doomed))
    if started:
        stop(aws, [*started])
    return []


def _with_late_ones(aws: Aws, cluster: str, tokens: Sequence[str] | set[str]) -> list[Instance]:
    """The instances of a cluster. Those of a request without an answer may show up some seconds after it."""
    found = instances.find(aws, cluster)
    if tokens:
        found = waiters.until_settled(aws, cluster)
    return found


def stop(aws: Aws, ids: Sequence[str]) -> None:
    """Power instances off; their disks stay."""
    for first in range(0, len(ids), fleet_requests.BATCH):
        aws.call("ec2", "stop_instances", InstanceIds=list(ids[first : first + fleet_requests.BATCH]))


def _templates(aws: Aws, cluster: str, uuid: str) -> list[str]:
    mine = [tags.filter_by(tags.CLUSTER, cluster), *([tags.filter_by(tags.UUID, uuid)] if uuid else [])]
    found = aws.pages("ec2", "describe_launch_templates", "LaunchTemplates", Filters=mine)
    return [each["LaunchTemplateName"] for each in found]


def _forget_fleets(aws: Aws, fleets: Sequence[str]) -> None:
    """The records of fleets whose instances have ended. They cost nothing: one that will not go is no harm."""
    for first in range(0, len(fleets), 100):
        part = list(fleets[first : first + 100])
        with suppress(AwsError):
            aws.call("ec2", "delete_fleets", FleetIds=part, TerminateInstances=True)
