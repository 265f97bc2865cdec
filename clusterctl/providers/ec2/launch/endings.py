"""Endings of instances and launch templates. What EC2 says it does not know has ended only where it does not list it.

EC2's answers lag behind what it has made, so that who deletes may not know yet what who lists does
(https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import instances
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.deletion import delete_resource
from clusterctl.providers.ec2.instance_reader import ENDING_STATE, LIVING_STATES
from clusterctl.providers.ec2.launch.fleet_requests import BATCH_SIZE
from clusterctl.providers.ec2.launch.waiters import polls_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.tags import ClusterKey

_END_S = 600.0


def end_instances(aws: Aws, cluster: ClusterKey, ids: Sequence[str], *, wait: bool = True) -> list[str]:
    """Terminate instances; return those that have not ended, with the reason.

    Args:
        aws: the account.
        cluster: whose they are.
        ids: of the instances.
        wait: whether to wait until they have ended; else only until EC2 has agreed to end all that it lists.
    """
    unknown = _terminate(aws, ids)
    awaited = {*ids} if wait else {*unknown}
    if not awaited:
        return []
    left: list[str] = []
    for _ in polls_for(_END_S):
        listed = instances.find_instances(aws, cluster, states=(*LIVING_STATES, ENDING_STATE))
        states = {instance.id: instance.state for instance in listed if instance.id in awaited}
        again = [id_ for id_ in unknown if states.get(id_, ENDING_STATE) != ENDING_STATE]
        left = [f"{id_} ({unknown.get(id_, 'has not ended')})" for id_ in (states if wait else again)]
        if not left:
            break
        unknown = _terminate(aws, again)
    return left


def _terminate(aws: Aws, ids: Sequence[str]) -> dict[str, str]:
    """Terminate instances. Return the ids that EC2 says it does not know, with its code."""
    unknown: dict[str, str] = {}
    for start in range(0, len(ids), BATCH_SIZE):
        batch = ids[start : start + BATCH_SIZE]
        code = _try_terminate(aws, batch)
        aws.newborn.forget(batch)  # this call has waited for them: none of the next ones is to wait as long
        if code and len(batch) == 1:
            unknown[batch[0]] = code
        elif code:  # one unknown id makes the call fail for all
            unknown |= {id_: code for id_ in batch if (code := _try_terminate(aws, [id_]))}
    return unknown


def _try_terminate(aws: Aws, ids: Sequence[str]) -> str:
    """Terminate instances. Return EC2's code where it says that it does not know one of them; else an empty text."""
    try:
        aws.call("ec2", "terminate_instances", InstanceIds=[*ids])
    except AwsError as exc:
        if exc.kind != Kind.ABSENT:
            raise
        return exc.code
    return ""


def refuse_left(what: str, left: Sequence[str]) -> None:
    """Raise an error that names what has not ended, if there is any."""
    if left:
        raise ProviderError(
            f"not all {what} could be ended: {', '.join(left)}",
            remedy="run the same command again; `clusterctl gc` finds what is left of any cluster",
        )


def delete_template(aws: Aws, name: str) -> None:
    """Delete a launch template. A missing one is success."""
    error = delete_resource(aws, "delete_launch_template", deadline=Deadline.after(0), LaunchTemplateName=name)
    if error:
        raise error
