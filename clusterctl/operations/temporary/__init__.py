"""A cluster for the time that a program needs it: what is not up is started, and ended when the program is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.errors import StateError, UsageError
from clusterctl.model import NodeState
from clusterctl.operations.growing import grow_to
from clusterctl.operations.leave import stop_cluster, terminate_cluster
from clusterctl.operations.owning.proof import refuse_unproven
from clusterctl.operations.start import StartResult, start_cluster
from clusterctl.providers.base import Power

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Estimate

_UP = {NodeState.RUNNING, NodeState.PENDING}


class Before(Enum):
    """What there was of a cluster before the program came."""

    NOTHING = "nothing"
    AT_REST = "at rest"
    """Its nodes are stopped, or gone, and it is still known."""
    UP = "up"


@dataclass(frozen=True)
class Temporary:
    """What a program was given, and so what ends with it."""

    before: Before
    id: str
    """The id of the cluster: another one of its name is none of the program's."""


class _Unattended:
    """Nobody is asked. What costs is what the program asked for; what others have in memory is not ended."""

    def allow_cost(self, estimate: Estimate) -> None:
        pass

    def allow_end(self, cluster: str, endings: Sequence[str]) -> None:
        raise UsageError(
            f"to complete {cluster} would end {', '.join(endings)}",
            remedy=f"`clusterctl start {cluster}` asks you first",
        )


def find_before(context: RunContext) -> Before:
    """Return what there is of the cluster. Changes nothing."""
    nodes = context.provider.nodes(context.name)
    refuse_unproven(context, nodes)
    if any(node.state in _UP for node in nodes):
        return Before.UP
    return Before.AT_REST if nodes or context.folder.wanted_nodes() else Before.NOTHING


def bring_up(context: RunContext, before: Before, size: int | None) -> Temporary:
    """Start what is not up, and let nodes join up to the size. What is up and whole is left alone.

    Raises:
        ClusterctlError: it does not come up; what was started is ended again.
    """
    try:
        for result in _start_missing(context, before, size):
            if not result.ok:
                missing = [f"{alias} did not join" for alias in result.failed]
                raise StateError(
                    f"{context.name} did not come up: {'; '.join([*result.problems, *missing])}",
                    remedy=f"`clusterctl start {context.name}` shows more, and leaves it up to be looked at",
                )
    except BaseException:
        if context.folder.exists:  # else the start has undone itself
            end_temporary(context, Temporary(before, context.folder.cluster_id))
        raise
    return Temporary(before, context.folder.cluster_id)


def _start_missing(context: RunContext, before: Before, size: int | None) -> Sequence[StartResult]:
    if before == Before.NOTHING:
        return [start_cluster(context)]
    wanted = context.folder.wanted_nodes() or tuple(node.alias for node in context.provider.nodes(context.name))
    if size is not None and len(wanted) < size:
        return [grow_to(context, size, approval=_Unattended())]
    return [] if _is_whole(context, wanted) else [start_cluster(context, approval=_Unattended())]


def _is_whole(context: RunContext, wanted: Sequence[str]) -> bool:
    """Return whether all nodes run and have joined."""
    members = context.folder.joined_members()
    running = {node.alias: node.id for node in context.provider.nodes(context.name) if node.state in _UP}
    return all(alias in running and members.get(alias, ("", ""))[0] == running[alias] for alias in wanted)


def end_temporary(context: RunContext, temporary: Temporary) -> None:
    """Terminate a cluster that was not there, stop one that was at rest, and leave one that was up."""
    name = context.name
    try:
        if temporary.before == Before.UP:
            return
        if context.folder.cluster_id != temporary.id:
            context.report.warn(f"{name} is another cluster by now: it is left as it is")
        elif temporary.before == Before.NOTHING:
            context.report.say(f"Terminating {name}")
            terminate_cluster(context)
        elif isinstance(context.provider, Power):
            context.report.say(f"Stopping {name}")
            stop_cluster(context)
        else:
            context.report.warn(f"{name} stays up: its nodes cannot be stopped")
    except BaseException:
        context.report.warn(f"nodes of {name} may still run: `clusterctl terminate {name}` ends them")
        raise
