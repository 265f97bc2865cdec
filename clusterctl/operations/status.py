"""What is there: of one cluster in detail, of all at a glance. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.model import MASTER, Node, NodeState, StatusRow
from clusterctl.providers.base import Priced
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.context import Parts
    from clusterctl.providers.money import Spending
    from clusterctl.tunnel.publish import Published

ENGINES = "engines"
"""The item of a StatusRow that `list` shows."""


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster, as the provider and the plugins see it."""

    name: str
    provider: str
    nodes: tuple[Node, ...]
    rows: tuple[StatusRow, ...]
    published: tuple[Published, ...]
    spending: Spending | None = None
    """What its nodes cost; None where they cost nothing."""

    @property
    def state(self) -> str:
        """``running``, ``stopped``, or ``partial`` where some nodes run and some do not."""
        states = {node.state for node in self.nodes}
        if states == {NodeState.RUNNING}:
            return "running"
        return "stopped" if NodeState.RUNNING not in states else "partial"

    def engines(self, alias: str) -> int | None:
        """Engines of a node that the controller has; None where nobody could say."""
        return next((row.count for row in self.rows if row.node == alias and row.item == ENGINES), None)


def status(parts: Parts) -> ClusterStatus:
    """Ask the provider, and the plugins where the master runs. A plugin that fails is shown as unknown."""
    nodes = parts.provider.nodes(parts.name)
    with ThreadPoolExecutor(1) as pool:
        spent = pool.submit(_spending, parts, nodes)
        rows = _all_rows(parts, nodes)
        return ClusterStatus(
            parts.name,
            parts.provider.name,
            tuple(nodes),
            tuple(rows),
            tuple(publish.published(parts.folder)),
            spent.result(),
        )


def _spending(parts: Parts, nodes: Sequence[Node]) -> Spending | None:
    return parts.provider.spending(parts.name, nodes) if nodes and isinstance(parts.provider, Priced) else None


def _all_rows(parts: Parts, nodes: Sequence[Node]) -> list[StatusRow]:
    rows: list[StatusRow] = []
    if any(node.alias == MASTER and node.state == NodeState.RUNNING for node in nodes):
        cluster = parts.cluster(nodes)
        try:
            for name in parts.host.having("clusterctl_status"):
                rows += _rows(parts, name, cluster)
        finally:
            cluster.close()
    return rows


def _rows(parts: Parts, plugin: str, cluster: object) -> Sequence[StatusRow]:
    try:
        found: Sequence[StatusRow] = parts.host.call(plugin, "clusterctl_status", cluster=cluster) or ()
    except ClusterctlError as exc:
        return [StatusRow(MASTER, plugin, f"unknown: {exc.message}", healthy=False)]
    return found


def list_clusters(all_parts: Sequence[Parts]) -> list[ClusterStatus]:
    """The status of many clusters, side by side."""
    if not all_parts:
        return []
    with ThreadPoolExecutor(min(8, len(all_parts))) as pool:
        return list(pool.map(status, all_parts))
