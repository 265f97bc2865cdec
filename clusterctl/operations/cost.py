"""What a plan would cost, before it is carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clusterctl.providers.base import Priced
from clusterctl.providers.money import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node, Plan
    from clusterctl.operations.context import Parts

Approve = Callable[[Estimate], None]
"""Is told what is about to be bought, and raises if it shall not be."""


def quote(parts: Parts, plan: Plan, there: Sequence[Node] | None = None) -> Estimate | None:
    """What the nodes of this plan that are not there would cost; None where nothing new is made, or nothing costs.

    Args:
        parts: of the run.
        plan: what is to be.
        there: the nodes that exist; None to ask for them.

    Raises:
        ProviderError: whoever has the prices cannot be asked at all.
    """
    if not isinstance(parts.provider, Priced):
        return None
    nodes = parts.provider.nodes(parts.name) if there is None else there
    known = {node.alias for node in nodes}
    return None if known.issuperset(spec.alias for spec in plan.nodes) else parts.provider.estimate(plan, nodes)


def agree(parts: Parts, plan: Plan, there: Sequence[Node], approve: Approve | None) -> None:
    """Tell what the nodes of this plan that are not there would cost; whoever is told raises if it shall not be.

    Args:
        parts: of the run.
        plan: what is to be.
        there: the nodes that exist.
        approve: who is told; None: nobody asks for prices.
    """
    estimate = quote(parts, plan, there) if approve else None
    if approve and estimate:
        approve(estimate)
