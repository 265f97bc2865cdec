"""What is seen of a cluster at one look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.model import MASTER, NodeState
from clusterctl.operations.joining.losing import find_loss
from clusterctl.operations.plan import make_plan
from clusterctl.operations.status import probe_services
from clusterctl.operations.watching.growth_sight import look_at_growth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.model import Node, StatusRow
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.watching.growth import Growth


@dataclass(frozen=True)
class Sight:
    """The nodes that a cluster should have, those that there are, and what is said of them."""

    wanted: tuple[str, ...]
    nodes: Mapping[str, Node]
    """The nodes that exist, by alias."""
    rows: tuple[StatusRow, ...] = ()
    """What services and plugins say; empty where the master does not run."""
    replaced: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By the alias of a node that will be taken: its machine, and the alias of the node in its place."""
    own_end: str = ""
    """Why the cluster ends by itself, where it does so now or has done so."""
    lost: str = ""
    """What a new master would not have of the one that is gone; empty where it has all files, or none is gone."""
    growth: Growth | None = None
    """What decides about its size; None where that may not change."""

    def is_running(self, alias: str) -> bool:
        """Return whether a node's machine runs."""
        return alias in self.nodes and self.nodes[alias].state == NodeState.RUNNING

    def is_coming(self, alias: str) -> bool:
        """Return whether a node's machine runs, or will in a moment."""
        return alias in self.nodes and self.nodes[alias].state in {NodeState.RUNNING, NodeState.PENDING}

    @property
    def doomed(self) -> dict[str, str]:
        """What is said of each node that will be taken, by alias."""
        return {row.node: row.value for row in self.rows if row.ends}

    def is_replaced(self, alias: str) -> bool:
        """Return whether the present machine of a node has another node in its place."""
        if alias not in self.replaced or self.replaced[alias][1] not in self.wanted:
            return False
        return alias not in self.nodes or self.nodes[alias].machine_id == self.replaced[alias][0]


def look_at(context: RunContext) -> Sight:
    """Ask the provider, and the master if it runs. Changes nothing; one call and one remote command, or two.

    Raises:
        ClusterctlError: the provider does not answer.
    """
    wanted = context.folder.wanted_nodes()
    nodes = {node.alias: node for node in context.provider.nodes(context.name)} if wanted else {}
    rows: tuple[StatusRow, ...] = ()
    ending = growth = None
    if MASTER in nodes and nodes[MASTER].state == NodeState.RUNNING:
        cluster = context.make_cluster(nodes.values())
        try:
            listed, node_health = probe_services(context, cluster)
            rows, ending = tuple(listed), node_health.ending
            growth = look_at_growth(context, cluster)
        finally:
            cluster.close()
    own_end = ending.why if ending and ending.phase in {"ending", "ended"} else ""
    lost = ""
    if wanted and MASTER not in nodes:
        lost = find_loss(make_plan(context, wanted), context.provider.facets)
    return Sight(wanted, nodes, rows, context.folder.replaced_nodes(), own_end, lost, growth)
