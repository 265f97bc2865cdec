"""The plan of an operation, and all that is done with it before a node is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.config.provider_options import provider_name
from clusterctl.errors import ProviderError
from clusterctl.model import Facet, Plan, Request
from clusterctl.node import services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster import Cluster
    from clusterctl.operations.context import Parts

Special = dict[str, dict[str, object]]
"""By alias, fields of its `NodeSpec` that differ from the template's."""


def make_plan(parts: Parts, wanted: Sequence[str], special: Special | None = None) -> Plan:
    """The plan for these nodes: settings and all plugins' requests, merged. Asks nobody.

    Args:
        parts: of the run.
        wanted: aliases.
        special: of nodes that are asked for now; what others were asked for with, the journal has.
    """
    requests = [*parts.host.requests()]
    if Facet.INIT not in parts.provider.facets:
        requests.append(("services", Request(pip=(services.REQUIREMENT,))))
    # Those that act without being named count too, once they have a section.
    said = parts.settings.all_plugins
    choices = [(name, said[name].options.model_dump_json()) for name in parts.host.names if name in said]
    plan = planning.make_plan(
        parts.name,
        parts.settings.cluster,
        provider=provider_name(parts.settings.cluster),
        plugins=choices,
        request=planning.merge(requests),
        nodes=wanted,
        machines=parts.machines,
        special={**parts.folder.special(), **(special or {})},
    )
    return replace(plan, plugins=parts.host.names)


def refuse_problems(parts: Parts, plan: Plan) -> None:
    """Raise what the provider says would stop this plan, all of it at once."""
    problems = parts.provider.check(plan)
    if problems:
        raise ProviderError("\n".join(p.message for p in problems), remedy="; ".join(p.remedy for p in problems))


def prepare(parts: Parts, cluster: Cluster, plan: Plan) -> None:
    """Let every plugin do what needs no node, in order."""
    for name in parts.host.having("clusterctl_prepare"):
        parts.host.call(name, "clusterctl_prepare", cluster=cluster, plan=plan)
