"""Termination of instances and deletion of their resources, in the order that EC2 requires. Leftovers are named."""

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
    """End a cluster and wait until it has ended; return what is left, with the reason.

    Args:
        aws: the account.
        cluster: its name.
        opened: launches without a known result. Their instances are waited for, and ended too.
        fleets: ids of the fleets that launched instances.
        uuid: end only the cluster with this uuid, and keep what another user made under the same name.
    """
    cluster_instances = _find_with_late(aws, cluster, [launch.token for launch in opened])
    ids = [instance.id for instance in cluster_instances if instance.tags.get(tags.UUID, "") == uuid or not uuid]
    fleet_requests.terminate(aws, ids)
    only_ids = ids if uuid else None
    leftovers = (
        [f"{instance} (has not ended)" for instance in waiters.until_ended(aws, cluster, only_ids)] if ids else []
    )
    for name in _template_names(aws, cluster, uuid):
        fleet_requests.drop_template(aws, name)
    _delete_fleets(aws, fleets)
    return leftovers + security_groups.remove_groups(aws, cluster, uuid=uuid)


def some(aws: Aws, cluster: str, ids: Sequence[str]) -> None:
    """Terminate these instances and wait until they have ended: their addresses and names are free then."""
    if ids:
        fleet_requests.terminate(aws, ids)
        waiters.until_ended(aws, cluster, ids)


def undo(
    aws: Aws, cluster: str, *, begun: Sequence[str], opened: Sequence[Launch], started: Sequence[str]
) -> list[str]:
    """Undo one transaction: terminate new instances, stop started ones; return what is left."""
    ids = {*begun}
    if opened:
        tokens = {launch.token for launch in opened}
        late = _find_with_late(aws, cluster, tokens)
        ids |= {instance.id for instance in late if instance.tags.get(tags.ATTEMPT) in tokens}
        for launch in opened:
            fleet_requests.drop_template(aws, launch.template)
    if ids:
        fleet_requests.terminate(aws, sorted(ids))
    if started:
        stop(aws, [*started])
    return []


def _find_with_late(aws: Aws, cluster: str, tokens: Sequence[str] | set[str]) -> list[Instance]:
    """Return the instances of a cluster. Those of a request without an answer may appear some seconds later."""
    cluster_instances = instances.find(aws, cluster)
    if tokens:
        cluster_instances = waiters.until_settled(aws, cluster)
    return cluster_instances


def stop(aws: Aws, ids: Sequence[str]) -> None:
    """Stop instances; their disks stay."""
    for start in range(0, len(ids), fleet_requests.BATCH):
        aws.call("ec2", "stop_instances", InstanceIds=list(ids[start : start + fleet_requests.BATCH]))


def _template_names(aws: Aws, cluster: str, uuid: str) -> list[str]:
    filters = [tags.filter_by(tags.CLUSTER, cluster), *([tags.filter_by(tags.UUID, uuid)] if uuid else [])]
    templates = aws.pages("ec2", "describe_launch_templates", "LaunchTemplates", Filters=filters)
    return [template["LaunchTemplateName"] for template in templates]


def _delete_fleets(aws: Aws, fleets: Sequence[str]) -> None:
    """Delete the records of fleets whose instances have ended. They cost nothing, so an error does no harm."""
    for start in range(0, len(fleets), 100):
        batch = list(fleets[start : start + 100])
        with suppress(AwsError):
            aws.call("ec2", "delete_fleets", FleetIds=batch, TerminateInstances=True)
