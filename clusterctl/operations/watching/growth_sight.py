"""Asks what decides about the size of a cluster, where it may grow."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.errors import ClusterctlError
from clusterctl.operations.watching.growth import Growth
from clusterctl.providers.base import Priced
from clusterctl.providers.bounded import Bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_AFTER_S = 300.0
_COME_S, _SOON_S = {"ec2": 90.0}, 10.0
"""Until a node works, before any has come."""
_AHEAD_HOURS = Decimal(1)
"""What is left of MAX_COST must pay the larger cluster for so long: who is ended at once was bought for nothing."""


def look_at_growth(context: RunContext, cluster: Cluster) -> Growth | None:
    """Return what decides about the size; None where it may not change. One remote command."""
    template = context.settings.cluster
    if template.scale_max is None:
        return None
    try:
        load = hub.ask_load(cluster)
    except ClusterctlError:
        load = hub.Load()
    return Growth(
        least=min(template.cluster_size, template.scale_max) if template.scale_min is None else template.scale_min,
        most=template.scale_max,
        after_s=_AFTER_S if template.scale_down_after is None else template.scale_down_after,
        load=load,
        engine_ids=hub.engine_ids(cluster),
        come_s=_COME_S.get(context.provider.name, _SOON_S),
        room=context.provider.most_nodes(context.name) if isinstance(context.provider, Bounded) else None,
        affordable=_count_affordable(context, list(cluster.nodes)) if load.demands or load.unassigned else None,
    )


def _count_affordable(context: RunContext, nodes: Sequence[Node]) -> int | None:
    """Return for how many nodes like these MAX_COST has room; None where it limits nothing."""
    most = context.settings.cluster.max_cost
    if most is None or not nodes or not isinstance(context.provider, Priced):
        return None
    spending = context.provider.spending(context.name, nodes)
    if not spending.hourly:
        return None
    hourly_each = spending.hourly / len(nodes)
    return int((most - spending.so_far) / (hourly_each * _AHEAD_HOURS))
