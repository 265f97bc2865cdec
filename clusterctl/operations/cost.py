"""The cost of a plan, estimated before the plan is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.base import Priced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node, Plan
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Estimate


def estimate_cost(context: RunContext, plan: Plan, existing: Sequence[Node] | None = None) -> Estimate | None:
    """Return the cost of the nodes of this plan that do not exist yet.

    None where no new node is made, or nothing costs money.

    Args:
        context: the context of the run.
        plan: the plan of the cluster.
        existing: the nodes that exist; None to ask the provider for them.

    Raises:
        ProviderError: the source of the prices does not answer at all.
    """
    if not isinstance(context.provider, Priced):
        return None
    nodes = context.provider.nodes(context.name) if existing is None else existing
    known = {node.alias for node in nodes}
    return None if known.issuperset(spec.alias for spec in plan.nodes) else context.provider.estimate_nodes(plan, nodes)
