"""The status of one cluster in detail, or of all clusters. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, NewerFormatError
from clusterctl.model import MASTER, Node, NodeState, StatusRow
from clusterctl.node import health
from clusterctl.providers.base import Priced
from clusterctl.text import plural
from clusterctl.tunnel import process, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.node.ending import Ending
    from clusterctl.node.health import NodeHealth
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Spending
    from clusterctl.service import ServiceHealth
    from clusterctl.tunnel.publish import LocalEndpoint

ENGINES_ITEM = "engines"
"""The item of a StatusRow that `list` always has a column for."""
_UNKNOWN = "unknown: "
"""The beginning of a row of a plugin that failed."""


@dataclass(frozen=True)
class ClusterStatus:
    """The status of one cluster, from the provider and the plugins."""

    name: str
    provider: str
    nodes: tuple[Node, ...]
    rows: tuple[StatusRow, ...]
    published: tuple[LocalEndpoint, ...]
    spending: Spending | None = None
    """The cost of its nodes; None where they cost nothing."""
    ending: Ending | None = None
    """When it ends by itself, as its master says; None where that is not known, or it does not."""

    @property
    def state(self) -> str:
        """``running``, ``stopped``, or ``partial`` where some nodes run and some do not."""
        states = {node.state for node in self.nodes}
        if states == {NodeState.RUNNING}:
            return "running"
        return "stopped" if NodeState.RUNNING not in states else "partial"

    @property
    def lacks_engines(self) -> bool:
        """Whether the cluster has no plugin that starts engines: all plugins answered, and none spoke of engines."""
        asked = any(node.is_master and node.state == NodeState.RUNNING for node in self.nodes)
        answered = not any(row.value.startswith(_UNKNOWN) for row in self.rows)
        return asked and answered and all(row.item != ENGINES_ITEM for row in self.rows)

    def counted_items(self) -> tuple[str, ...]:
        """Return the items that plugins count, and the engines, which may be unknown."""
        return tuple(dict.fromkeys([ENGINES_ITEM, *(row.item for row in self.rows if row.count is not None)]))

    def count_item(self, alias: str, item: str) -> int | None:
        """Return how many of an item are up on a node; None where it is unknown."""
        return next((row.count for row in self.rows if row.node == alias and row.item == item), None)

    def count_all(self, item: str) -> int:
        """Return how many of an item are up on all nodes together."""
        return sum(self.count_item(node.alias, item) or 0 for node in self.nodes)

    def engine_count(self, alias: str) -> int | None:
        """Return the number of a node's engines that the controller knows; None where it is unknown."""
        return self.count_item(alias, ENGINES_ITEM)

    @property
    def engines(self) -> int | None:
        """The number of engines that the controller knows; 0 where no plugin starts any, None where it is unknown."""
        counts = [self.engine_count(node.alias) for node in self.nodes]
        known = [count for count in counts if count is not None]
        return sum(known) if known or self.lacks_engines else None


@dataclass(frozen=True)
class ClusterHealth:
    """The status of one cluster, and whether all is as it should be."""

    status: ClusterStatus
    tunnel: str
    """``up``, ``down``, or ``not needed``."""

    @property
    def healthy(self) -> bool:
        """Whether all nodes run, every plugin is content, and a tunnel that is needed is up."""
        rows_healthy = all(row.healthy for row in self.status.rows)
        return self.status.state == "running" and rows_healthy and self.tunnel != "down"


def query_health(context: RunContext) -> ClusterHealth:
    """Ask for the status, and look whether the tunnel is up."""
    status = query_status(context)
    # A description that cannot be read is one all the same: nobody knows that none is needed.
    needed = (context.folder.path / process.TUNNEL_FILE).exists()
    up = "up" if process.answers(context.folder.path) else "down"
    return ClusterHealth(status, up if needed else "not needed")


def query_status(context: RunContext) -> ClusterStatus:
    """Ask the provider, and the plugins where the master runs. A plugin that fails appears as unknown."""
    nodes = context.provider.nodes(context.name)
    with ThreadPoolExecutor(1) as pool:
        spent = pool.submit(_ask_spending, context, nodes)
        rows, ends = _all_rows(context, nodes)
        return ClusterStatus(
            context.name,
            context.provider.name,
            tuple(nodes),
            tuple(rows),
            tuple(publish.read_published(context.folder)),
            spent.result(),
            ends,
        )


def _ask_spending(context: RunContext, nodes: Sequence[Node]) -> Spending | None:
    return context.provider.spending(context.name, nodes) if nodes and isinstance(context.provider, Priced) else None


def _all_rows(context: RunContext, nodes: Sequence[Node]) -> tuple[list[StatusRow], Ending | None]:
    if not any(node.alias == MASTER and node.state == NodeState.RUNNING for node in nodes):
        return [], None
    cluster = context.make_cluster(nodes)
    try:
        rows, node_health = probe_services(context, cluster)
        return rows, node_health.ending
    finally:
        cluster.close()


def probe_services(context: RunContext, cluster: Cluster) -> tuple[list[StatusRow], NodeHealth]:
    """Return the rows of a cluster's services, and what the probes on the master found. One remote command for all."""
    try:
        node_health = health.ask(cluster, cluster.master)
        rows = service_rows(node_health)
    except ClusterctlError as exc:
        node_health = health.NodeHealth(())
        rows = [StatusRow(MASTER, "services", f"{_UNKNOWN}{exc.message}", healthy=False)]
    return rows + plugin_rows(context, cluster, node_health), node_health


def plugin_rows(context: RunContext, cluster: Cluster, health: NodeHealth) -> list[StatusRow]:
    """Return what all plugins see of a cluster.

    Args:
        context: the context of the run.
        cluster: the cluster.
        health: what the probes on the master found.
    """
    names = context.plugin_host.plugins_with("clusterctl_status")
    return [row for name in names for row in _rows_of_plugin(context, name, cluster, health)]


def service_rows(node_health: NodeHealth) -> list[StatusRow]:
    """Return what the probes of the master's services found, a row for each."""
    if node_health.manager:
        return [StatusRow(MASTER, "services", f"the service manager {node_health.manager}", healthy=False)]
    rows = [_service_row(instance) for instance in node_health.services]
    if node_health.services and not node_health.watched:
        rows.append(StatusRow(MASTER, "watch", "does not work: what fails is not restarted", healthy=False))
    return rows


def _service_row(instance: ServiceHealth) -> StatusRow:
    value = instance.trouble or "answers"
    if instance.restarts:
        value += f" ({plural(instance.restarts, 'restart')}, the last: {instance.last_restart})"
    return StatusRow(MASTER, instance.service, value, healthy=not instance.trouble)


def _rows_of_plugin(context: RunContext, plugin: str, cluster: Cluster, node_health: NodeHealth) -> Sequence[StatusRow]:
    try:
        rows: Sequence[StatusRow] | None = context.plugin_host.call_hook(
            plugin, "clusterctl_status", cluster=cluster, services=node_health.services
        )
    except ClusterctlError as exc:
        return [StatusRow(MASTER, plugin, f"{_UNKNOWN}{exc.message}", healthy=False)]
    return rows or ()


def list_clusters(contexts: Sequence[RunContext]) -> list[ClusterStatus]:
    """Return the status of many clusters, asked in parallel."""
    if not contexts:
        return []
    with ThreadPoolExecutor(min(8, len(contexts))) as pool:
        return [status for status in pool.map(_query_known, contexts) if status]


def _query_known(context: RunContext) -> ClusterStatus | None:
    """Return the status of a cluster; None, with a warning, where a newer version has made its nodes."""
    try:
        return query_status(context)
    except NewerFormatError as exc:
        context.report.warn(f"{context.name} is left out: {exc.message} (try: {exc.remedy})")
        return None
