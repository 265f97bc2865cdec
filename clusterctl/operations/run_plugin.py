"""`runplugin`: one plugin, by name, on a cluster that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.model import NodeState
from clusterctl.operations.joining.join import connect, join
from clusterctl.operations.plan import make_plan
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from clusterctl.model import Node
    from clusterctl.operations.context import Parts


def run_plugin(parts: Parts, plugin: str) -> list[str]:
    """Call the plugin's `clusterctl_run`, or its join on every node if it has none. Returns reported problems.

    Args:
        parts: of the run; the host's plugins contain `plugin`.
        plugin: its INI name.
    """
    with parts.folder.locked():
        nodes = running(parts)
        plan = make_plan(parts, [node.alias for node in nodes])
        cluster = parts.cluster(nodes, plan.request)
        try:
            if plugin in parts.host.having("clusterctl_run"):
                parts.host.call(plugin, "clusterctl_run", cluster=cluster)
                return cluster.problems
            parts.host.call(plugin, "clusterctl_prepare", cluster=cluster, plan=plan)
            alone = parts.host.only(plugin)
            outcome = join(parts.with_host(alone), cluster, plan, [n.alias for n in nodes], left_s=plan.deadline_s)
            if not outcome.failed:
                found = connect(parts, cluster)
                publish.publish(parts.folder, cluster.master, found, mode=parts.settings.cluster.tunnel)
            return cluster.problems
        finally:
            cluster.close()


def running(parts: Parts) -> list[Node]:
    """All nodes, if all run.

    Raises:
        StateError: some do not, or there is no such cluster.
    """
    nodes = parts.provider.nodes(parts.name)
    down = [node.alias for node in nodes if node.state != NodeState.RUNNING]
    if not nodes or down:
        what = f"{', '.join(down)} of {parts.name} does not run" if nodes else f"there is no cluster {parts.name}"
        raise StateError(what, remedy=f"`clusterctl start {parts.name}` brings it up")
    return nodes
