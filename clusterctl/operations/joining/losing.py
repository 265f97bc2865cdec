"""What is lost with a master: said before it is launched, and once it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.model import MASTER, Facet, Market
from clusterctl.providers.outliving import HomeKeeping

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from clusterctl.model import Node, Plan
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.base import Provider

_KEPT = "HOME_VOLUME = yes keeps that"


def find_loss(plan: Plan, facets: Collection[Facet]) -> str:
    """Return which files go when the master is lost; empty where the home outlives it.

    Args:
        plan: the cluster.
        facets: of the provider's nodes.
    """
    if plan.home_volume or plan.request.homes_elsewhere or Facet.SHARED_HOME in facets:
        return ""
    return f"the home of {plan.user}, and what else only its disk has"


def refuse_homeless(plan: Plan, provider: Provider) -> None:
    """Refuse a home that shall outlive the master where the provider can keep none.

    Raises:
        ProviderError: it is so.
    """
    if plan.home_volume and Facet.SHARED_HOME not in provider.facets and not isinstance(provider, HomeKeeping):
        raise ProviderError(
            f"the provider {provider.name} has no place for a home that outlives the master",
            remedy="leave HOME_VOLUME out, or keep the homes on a file system from elsewhere",
        )


def tell_loss(context: RunContext, plan: Plan, before: Sequence[Node]) -> None:
    """Say, before a master is launched, what is lost with it; or what was, where it is one in the place of another.

    Args:
        context: the context of the run.
        plan: the cluster.
        before: the nodes that exist.
    """
    if any(node.is_master for node in before) or MASTER not in {spec.alias for spec in plan.nodes}:
        return
    loss = find_loss(plan, context.provider.facets)
    if MASTER in context.folder.joined_members():
        if loss:
            context.report.warn(
                f"The master of {context.name} is gone, and with it {loss}: the new one has an empty home"
            )
        else:
            keys = ", its ports and its keys" if context.machines.home_volume else ", and other ports and keys"
            context.report.say(f"The master of {context.name} is gone: another one gets its home{keys}")
    elif loss and Facet.LASTING not in context.provider.facets and Facet.MACHINE in context.provider.facets:
        market = next(spec.market for spec in plan.nodes if spec.alias == MASTER)
        if market in {Market.SPOT, Market.SPOT_WITH_FALLBACK}:
            context.report.warn(f"The master is a spot instance: when it is taken, {loss} are gone. {_KEPT}")
        else:
            context.report.say(f"If the master is ever lost, {loss} are gone. {_KEPT}")


def find_kept_home(context: RunContext) -> str:
    """Return what the provider keeps of the home now, in words; empty where nothing is to outlive the master."""
    if not context.machines.home_volume or not isinstance(context.provider, HomeKeeping):
        return ""
    home = context.provider.find_home(context.name)
    return home.text if home else ""
