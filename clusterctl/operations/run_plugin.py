"""`runplugin`: run one plugin, by name, on a running cluster."""

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


def run_plugin(context: Parts, plugin: str) -> list[str]:
    """Call the plugin's `clusterctl_run`, or its join on every node if it has none. Return the reported problems.

    Args:
        context: the context of the run; its plugins contain `plugin`.
        plugin: the INI name of the plugin.
    """
    with context.folder.locked():
        nodes = running(context)
        plan = make_plan(context, [node.alias for node in nodes])
        cluster = context.cluster(nodes, plan.request)
        try:
            if plugin in context.host.having("clusterctl_run"):
                context.host.call(plugin, "clusterctl_run", cluster=cluster)
                return cluster.problems
            context.host.call(plugin, "clusterctl_prepare", cluster=cluster, plan=plan)
            alone = context.host.only(plugin)
            outcome = join(context.with_host(alone), cluster, plan, [n.alias for n in nodes], left_s=plan.deadline_s)
            if not outcome.failed:
                connections = connect(context, cluster)
                publish.publish(context.folder, cluster.master, connections, mode=context.settings.cluster.tunnel)
            return cluster.problems
        finally:
            cluster.close()


def running(context: Parts) -> list[Node]:
    """Return all nodes of the cluster, if all of them run.

    Raises:
        StateError: some do not run, or there is no such cluster.
    """
    nodes = context.provider.nodes(context.name)
    down = [node.alias for node in nodes if node.state != NodeState.RUNNING]
    if not nodes or down:
        what = f"{', '.join(down)} of {context.name} does not run" if nodes else f"there is no cluster {context.name}"
        raise StateError(what, remedy=f"`clusterctl start {context.name}` brings it up")
    return nodes
