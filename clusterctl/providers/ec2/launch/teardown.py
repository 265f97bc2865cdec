"""Termination of instances and deletion of their resources, in the order that EC2 requires. Leftovers are named."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.providers.ec2 import home_volume, instances, tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fleet_requests, security_groups, waiters
from clusterctl.providers.ec2.launch.endings import delete_template, end_instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.launch_journal import Launch
    from clusterctl.providers.ec2.tags import ClusterKey

_FLEETS_AT_ONCE = 25
"""Most fleets of the type `instant` that one call deletes; with more it deletes none.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFleets.html
"""


def end_cluster(
    aws: Aws,
    cluster: ClusterKey,
    *,
    open_launches: Sequence[Launch] = (),
    fleet_ids: Sequence[str] = (),
    home: bool,
) -> list[str]:
    """End a cluster and wait until it has ended; return what is left, with the reason.

    Args:
        aws: the account.
        cluster: its name and id. What another user made under the same name stays.
        open_launches: launches without a known result. Their instances are waited for, and ended too.
        fleet_ids: ids of the fleets that launched instances.
        home: end the volume with its home, too, and all files in it.
    """
    ids = [instance.id for instance in _find_with_late(aws, cluster, [launch.token for launch in open_launches])]
    leftovers = end_instances(aws, cluster, ids)
    leftovers += _delete_templates(aws, _template_names(aws, cluster))
    _delete_fleets(aws, fleet_ids)
    leftovers += home_volume.delete_home_volumes(aws, cluster) if home else []
    return leftovers + security_groups.delete_groups(aws, cluster)


def undo_launches(
    aws: Aws,
    cluster: ClusterKey,
    *,
    launched_ids: Sequence[str],
    open_launches: Sequence[Launch],
    started_ids: Sequence[str],
) -> list[str]:
    """Undo one transaction: terminate new instances, stop started ones; return what is left."""
    ids = {*launched_ids}
    if open_launches:
        tokens = {launch.token for launch in open_launches}
        late = _find_with_late(aws, cluster, tokens)
        ids |= {
            instance.id
            for instance in late
            if any(launch.made(instance.tags.get(tags.ATTEMPT, "")) for launch in open_launches)
        }
    leftovers = end_instances(aws, cluster, sorted(ids), wait=False)
    leftovers += _delete_templates(aws, [launch.template for launch in open_launches])
    if started_ids:
        stop_instances(aws, [*started_ids])
    return leftovers


def _find_with_late(aws: Aws, cluster: ClusterKey, tokens: Sequence[str] | set[str]) -> list[Instance]:
    """Return the instances of a cluster. Those of a request without an answer may appear some seconds later."""
    cluster_instances = instances.find_instances(aws, cluster)
    if tokens:
        cluster_instances = waiters.wait_until_listed(aws, cluster)
    return cluster_instances


def stop_instances(aws: Aws, ids: Sequence[str]) -> None:
    """Stop instances; their disks stay."""
    for start in range(0, len(ids), fleet_requests.BATCH_SIZE):
        aws.call("ec2", "stop_instances", InstanceIds=list(ids[start : start + fleet_requests.BATCH_SIZE]))


def _template_names(aws: Aws, cluster: ClusterKey) -> list[str]:
    templates = aws.pages("ec2", "describe_launch_templates", "LaunchTemplates", Filters=cluster.filters)
    return [template["LaunchTemplateName"] for template in templates]


def _delete_templates(aws: Aws, names: Iterable[str]) -> list[str]:
    """Delete launch templates; return those that are left, with the reason."""
    leftovers = []
    for name in names:
        try:
            delete_template(aws, name)
        except AwsError as exc:
            leftovers.append(f"{name} ({exc.reason})")
    return leftovers


def _delete_fleets(aws: Aws, fleets: Sequence[str]) -> None:
    """Delete the records of fleets whose instances have ended. They cost nothing, so an error does no harm."""
    for start in range(0, len(fleets), _FLEETS_AT_ONCE):
        batch = list(fleets[start : start + _FLEETS_AT_ONCE])
        with suppress(AwsError):
            aws.call("ec2", "delete_fleets", FleetIds=batch, TerminateInstances=True)
