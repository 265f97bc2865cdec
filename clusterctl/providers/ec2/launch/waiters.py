"""Waiting for instances. Each wait also watches for ended instances, and has a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ProviderError
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import instances
from clusterctl.providers.ec2.instance_reader import ENDED_STATES, LIVING_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.launch.context import LaunchContext
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.tags import ClusterKey

_UNKNOWN_S = 60.0
"""EC2 may not know an instance for this long after its launch ("eventual consistency")."""
_LATE_S = 8.0
"""How long to wait for instances of a request without an answer."""
_REACHABLE_S = 180.0
_STOP_S = 300.0
_FIRST_S, _LONGEST_S = 0.5, 5.0
"""Pauses between two polls; they grow from the first to the longest."""
WAITING_TEXT = "Waiting for instances"


def polls_for(seconds: float) -> Iterator[None]:
    """Yield at every poll, until so many seconds have passed."""
    return Deadline.after(seconds).polls(_FIRST_S, longest_s=_LONGEST_S)


def wait_until_reachable(context: LaunchContext, ids: Sequence[str]) -> list[Instance]:
    """Wait until these instances have the addresses they are reached by, or have ended.

    Returns all instances of the cluster.

    Args:
        context: the context of the launch.
        ids: of the instances to wait for.
    """
    by_id: dict[str, Instance] = {}
    states = (*LIVING_STATES, *ENDED_STATES)
    listed = Deadline.after(_UNKNOWN_S)
    for _ in polls_for(_REACHABLE_S):
        by_id = {
            instance.id: instance for instance in instances.find_instances(context.aws, context.key, states=states)
        }
        ready = [id_ for id_ in ids if id_ in by_id and _is_ready(by_id[id_], context.options)]
        ended = [id_ for id_ in ids if id_ in by_id and by_id[id_].state in ENDED_STATES]
        # EC2 may not list a new instance yet.
        unknown = [id_ for id_ in ids if id_ not in by_id and listed.is_over]
        total = len(ids) - len(ended) - len(unknown)
        context.report.progress(WAITING_TEXT, done=len(ready), total=total)
        if len(ready) + len(ended) + len(unknown) == len(ids):
            break
    for id_ in ids:
        if id_ in by_id and by_id[id_].state in ENDED_STATES:
            text = f"{id_} ended right after its launch: {by_id[id_].reason or 'AWS does not say why'}"
            context.report.warn(text)
    return [instance for instance in by_id.values() if instance.state in LIVING_STATES]


def _is_ready(instance: Instance, options: Options) -> bool:
    if instance.state not in {"pending", "running"} or not instance.private_address:
        return False
    if options.ssm or options.jump:
        return True
    is_public = options.has_public_ip(MASTER if instance.is_master else "")
    wanted = "public" if options.address == "auto" and is_public else options.address
    return bool(instance.choose_address(wanted))


def wait_until_running(aws: Aws, cluster: ClusterKey, id_: str) -> None:
    """Wait until an instance runs.

    Raises:
        ProviderError: it ended, or the deadline passed.
    """
    for _ in polls_for(_REACHABLE_S):
        states = {instance.id: instance.state for instance in instances.find_instances(aws, cluster)}
        if states.get(id_) == "running":
            return
        if id_ not in states:
            break
    raise ProviderError(
        f"the instance {id_} of {cluster.name} does not run", remedy=f"see why: `clusterctl showconsole {id_}`"
    )


def wait_until_stopped(aws: Aws, cluster: ClusterKey) -> None:
    """Wait until no instance of the cluster is stopping: only then a stopped one can be started.

    Raises:
        ProviderError: the deadline passed.
    """
    for _ in polls_for(_STOP_S):
        if not any(instance.state == "stopping" for instance in instances.find_instances(aws, cluster)):
            return
    raise ProviderError(
        f"instances of {cluster.name} are still stopping, after {_STOP_S:.0f} s",
        remedy=f"wait a while, then run `clusterctl start {cluster.name}`",
    )


def wait_until_listed(aws: Aws, cluster: ClusterKey) -> list[Instance]:
    """Wait long enough for EC2 to list all recent launches; return the instances of the cluster."""
    by_id: dict[str, Instance] = {}
    for _ in polls_for(_LATE_S):
        by_id = {instance.id: instance for instance in instances.find_instances(aws, cluster)}
    return list(by_id.values())
