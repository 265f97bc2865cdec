"""`restart`: reboot every node, then let all of them join again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError, DeadlineError
from clusterctl.model import NodeState
from clusterctl.operations.jobs.seeing_off import see_off_jobs
from clusterctl.operations.leave import stop_cluster
from clusterctl.operations.owning.proof import take_proof
from clusterctl.operations.start import start_cluster
from clusterctl.providers.base import Rebooting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.start import StartResult

_BOOT = "cat /proc/sys/kernel/random/boot_id"
"""Prints an id that changes with each boot."""
_EVERY_S = 1.0


def restart_cluster(context: RunContext) -> StartResult:
    """Reboot the nodes where their provider can, else power them off and on.

    A reboot keeps machines that end when they are powered off, such as spot instances.

    Raises:
        ClusterctlError: a node did not come back, or the master did not join.
    """
    if not isinstance(context.provider, Rebooting):
        stop_cluster(context)
        return start_cluster(context)
    with context.lock():
        take_proof(context, "restart")
        running = [node for node in context.provider.nodes(context.name) if node.state == NodeState.RUNNING]
        see_off_jobs(context, running, for_good=False)
        before = _read_boot_ids(context, running)
        context.provider.reboot(context.name)
        _await_reboots(context, running, before)
    return start_cluster(context)


def _read_boot_ids(context: RunContext, nodes: Sequence[Node]) -> dict[str, str]:
    """Return the boot id of each node that answers, by alias."""
    boot_ids: dict[str, str] = {}
    cluster = context.make_cluster(nodes)

    def read_boot_id(node: Node) -> None:
        try:
            boot_ids[node.alias] = cluster.on(node).run(_BOOT).stdout.strip()
        except ClusterctlError:
            return

    try:
        cluster.each(read_boot_id)
    finally:
        cluster.close()
    return boot_ids


def _await_reboots(context: RunContext, nodes: Sequence[Node], before: dict[str, str]) -> None:
    waiting = {node.alias: node for node in nodes}
    for _ in Deadline.after(context.settings.cluster.start_timeout).polls(_EVERY_S):
        now = _read_boot_ids(context, list(waiting.values()))
        waiting = {alias: node for alias, node in waiting.items() if now.get(alias) in {None, before.get(alias)}}
        if not waiting:
            return
    raise DeadlineError(
        f"{', '.join(waiting)} of {context.name} did not come back after the reboot",
        remedy=f"see `clusterctl status {context.name}`; `clusterctl start {context.name}` completes it",
    )
