"""The plan of an operation, and the checks and hooks that run before a node is requested."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ProviderError
from clusterctl.model import Facet, Plan, Request
from clusterctl.node import services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import NodeOverrides
    from clusterctl.operations.context import RunContext


def make_plan(
    context: RunContext, wanted: Sequence[str], node_overrides: Mapping[str, NodeOverrides] | None = None
) -> Plan:
    """Return the plan for these nodes: the settings and all plugins' requests, merged. It asks no provider and no node.

    Args:
        context: the context of the run.
        wanted: aliases of the nodes.
        node_overrides: what is requested for single nodes now, by alias; the journal has the earlier requests.
    """
    requests = [*context.plugin_host.collect_requests()]
    if Facet.INIT not in context.provider.facets:
        requests.append(("services", Request(pip=(services.REQUIREMENT,))))
    # Plugins that act without being named count too, once they have a section.
    sections = context.settings.all_plugins
    choices = [
        (name, sections[name].options.model_dump_json())
        for name in context.plugin_host.plugin_names
        if name in sections
    ]
    plan = planning.build_plan(
        context.name,
        context.settings.cluster,
        provider=context.provider_name,
        plugins=choices,
        request=planning.merge_requests(requests),
        nodes=wanted,
        machines=context.machines,
        node_overrides={**context.folder.node_overrides(), **(node_overrides or {})},
    )
    return replace(plan, plugins=context.plugin_host.plugin_names)


def refuse_problems(context: RunContext, plan: Plan) -> None:
    """Raise all problems that the provider reports for this plan, in one error."""
    problems = context.provider.check(plan, context.report)
    if problems:
        raise ProviderError("\n".join(p.message for p in problems), remedy="; ".join(p.remedy for p in problems))


def run_prepare(context: RunContext, cluster: Cluster, plan: Plan) -> None:
    """Call every plugin's `clusterctl_prepare`, in order: the work that needs no node."""
    for name in context.plugin_host.plugins_with("clusterctl_prepare"):
        context.plugin_host.call_hook(name, "clusterctl_prepare", cluster=cluster, plan=plan)
