"""`install`: packages for a cluster that runs, on every node. The join is the one of every `start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.model import NodeState
from clusterctl.operations.start import StartResult, bring_up, prepare_tunnel
from clusterctl.operations.start_plan import find_wanted_nodes

if TYPE_CHECKING:
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext


def install_packages(context: RunContext, *, approval: Approval | None) -> StartResult:
    """Give all nodes the packages that the context's options name. No node is made or powered on for that.

    What was asked for is in the journal before a node is touched: the next `start` completes what was cut off. Where
    the packages cannot be resolved, or the user says no, nothing is kept.

    Args:
        context: the context of the run, whose options name the packages.
        approval: who is asked before engines end; None skips the question.

    Raises:
        StateError: a node does not run, or there is no such cluster.
        ClusterctlError: the packages cannot be had, or the master could not take them.
    """
    with context.lock(), prepare_tunnel(context) as waiting:
        wanted, before = find_wanted_nodes(context, None)
        states = {node.alias: node.state for node in before}
        down = [alias for alias in wanted if states.get(alias) != NodeState.RUNNING]
        if not before or down:
            what = (
                f"{', '.join(down)} of {context.name} does not run" if before else f"there is no cluster {context.name}"
            )
            raise StateError(what, remedy=f"`clusterctl start {context.name}` brings it up")
        return bring_up(context, wanted, before, waiting, approval=approval)
