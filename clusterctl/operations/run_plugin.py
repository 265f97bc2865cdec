"""`runplugin`: run one plugin, by name, on a running cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.model import NodeState
from clusterctl.operations.approval import asking_before_end, tell_end
from clusterctl.operations.joining.join import join_nodes, run_connect
from clusterctl.operations.plan import make_plan
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from clusterctl.model import Node
    from clusterctl.operations.approval import Approval
    from clusterctl.operations.context import RunContext


def run_plugin(context: RunContext, plugin: str, *, approval: Approval | None = None) -> list[str]:
    """Call the plugin's `clusterctl_run`, or its join on every node if it has none. Return the reported problems.

    Args:
        context: the context of the run; its plugins contain `plugin`.
        plugin: the INI name of the plugin.
        approval: who is asked before what engines hold ends; None skips the question.
    """
    with context.lock():
        nodes = require_running(context)
        plan = make_plan(context, [node.alias for node in nodes])
        cluster = context.make_cluster(nodes, plan.request)
        try:
            if plugin in context.plugin_host.plugins_with("clusterctl_run"):
                context.plugin_host.call_hook(plugin, "clusterctl_run", cluster=cluster)
                return cluster.problems
            with asking_before_end(context, cluster, nodes, approval):
                context.plugin_host.call_hook(plugin, "clusterctl_prepare", cluster=cluster, plan=plan)
            tell_end(context, cluster, nodes)
            alone = context.plugin_host.restrict_to(plugin)
            outcome = join_nodes(
                context.with_plugins(alone), cluster, plan, [n.alias for n in nodes], left_s=plan.deadline_s
            )
            if not outcome.failed:
                connections = run_connect(context, cluster)
                publish.publish_connections(
                    context.folder, cluster.master, connections, mode=context.settings.cluster.tunnel
                )
            return cluster.problems
        finally:
            cluster.close()


def require_running(context: RunContext) -> list[Node]:
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
