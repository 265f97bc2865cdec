"""The status of one cluster in detail, or of all clusters. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.clock import utc_now
from clusterctl.errors import ClusterctlError, NewerFormatError
from clusterctl.model import MASTER, Node, NodeState, StatusRow
from clusterctl.node import health
from clusterctl.operations.joining.losing import find_kept_home
from clusterctl.operations.state.conditions import Evidence, find_conditions, judge_cluster
from clusterctl.operations.state.ending import find_machine_end
from clusterctl.operations.state.silence import find_silent, find_unreachable
from clusterctl.providers.base import Priced
from clusterctl.providers.losses import Explaining, Loss
from clusterctl.text import plural
from clusterctl.tunnel import process, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.hub import Waiting
    from clusterctl.node.ending import Ending
    from clusterctl.node.health import NodeHealth
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.state.conditions import Condition
    from clusterctl.providers.money import Spending
    from clusterctl.service import ServiceHealth
    from clusterctl.tunnel.publish import LocalEndpoint

ENGINES_ITEM = "engines"
"""The item of a StatusRow that `list` always has a column for."""
_SERVICES = "services"
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
    conditions: tuple[Condition, ...] = ()
    """The nodes that are wanted and not as they should be, the master first."""
    at_work: bool = False
    """Whether a command brings it up at this moment."""
    created: datetime | None = None
    """When it was first asked for, in UTC; None if nobody knows."""
    ending: Ending | None = None
    """When it ends by itself, as its master says; None where that is not known, or it does not."""
    waiting: Waiting | None = None
    """What waits with clients that map; None where the controller does not say it."""
    kept: str = ""
    """What is kept of a cluster without machines, such as ``the volume vol-0123 of 50 GB with its home``."""

    @property
    def state(self) -> str:
        """The state in one word; see `ClusterState`."""
        return judge_cluster(self.nodes, self.conditions, at_work=self.at_work).value

    @property
    def ends_at(self) -> datetime | None:
        """When it ends by itself, in UTC: as its master says, else as its machines were launched; None if unknown."""
        if self.ending is None:
            return find_machine_end(self.nodes)
        return None if self.ending.ends_in_s is None else utc_now() + timedelta(seconds=self.ending.ends_in_s)

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
    with ThreadPoolExecutor(3) as pool:
        spent = pool.submit(_ask_spending, context, nodes)
        lost = pool.submit(_ask_losses, context, nodes)
        late = pool.submit(_ask_silent, context, [node for node in nodes if not node.is_master])
        rows, node_health = _all_rows(context, nodes)
        silent = late.result()
        if any(row.item == _SERVICES and row.value.startswith(_UNKNOWN) for row in rows):
            silent |= _ask_silent(context, [node for node in nodes if node.is_master], ask=find_unreachable)
        evidence = Evidence(_wanted(context, nodes), nodes, _find_unjoined(context, nodes), lost.result(), silent, rows)
        return ClusterStatus(
            context.name,
            context.provider.name,
            tuple(nodes),
            tuple(rows),
            tuple(publish.read_published(context.folder)),
            spent.result(),
            find_conditions(evidence),
            context.folder.is_at_work,
            context.folder.created_at() or min((n.launched_at for n in nodes if n.launched_at), default=None),
            node_health.ending,
            hub.find_waiting(node_health.services),
            "" if nodes else find_kept_home(context),
        )


def _wanted(context: RunContext, nodes: Sequence[Node]) -> list[str]:
    """Return the aliases of the nodes that there should be, the master first, and of those that are there besides."""
    wanted = dict.fromkeys(context.folder.wanted_nodes())
    return [*wanted, *(node.alias for node in nodes if node.alias not in wanted)]


def _find_unjoined(context: RunContext, nodes: Sequence[Node]) -> frozenset[str]:
    """Return the nodes whose present machine has not joined. One that was booted anew is a member all the same."""
    members, started = context.folder.joined_members(), context.folder.started_nodes()
    return frozenset(
        node.alias
        for node in nodes
        if node.alias in started and not _is_machine(node, members.get(node.alias, ("", ""))[0])
    )


def _is_machine(node: Node, member: str) -> bool:
    """Return whether a member is this machine, in this boot or another one."""
    return member == node.id or (bool(node.boot_id) and member.partition("@")[0] == node.id.partition("@")[0])


def _ask_losses(context: RunContext, nodes: Sequence[Node]) -> Mapping[str, Loss]:
    """Return why nodes do not run: that they were told to leave, or what else the provider knows."""
    running = {node.alias for node in nodes if node.state == NodeState.RUNNING}
    if running.issuperset(_wanted(context, nodes)):
        return {}
    told = {alias: Loss(moment, "clusterctl was told so") for alias, moment in context.folder.left_at().items()}
    losses: Mapping[str, Loss] = {}
    with suppress(ClusterctlError):
        if isinstance(context.provider, Explaining):
            losses = context.provider.find_losses(context.name)
    return {**losses, **told}


def _ask_silent(
    context: RunContext,
    nodes: Sequence[Node],
    *,
    ask: Callable[[Cluster, Sequence[Node]], dict[str, str]] = find_silent,
) -> dict[str, str]:
    """Return the nodes that do not answer; none where this computer has lost the key to ask them with."""
    if not context.folder.private_key_file.is_file():
        return {}
    cluster = context.make_cluster(nodes)
    try:
        return ask(cluster, nodes)
    finally:
        cluster.close()


def _ask_spending(context: RunContext, nodes: Sequence[Node]) -> Spending | None:
    if not (nodes or context.machines.home_volume) or not isinstance(context.provider, Priced):
        return None
    return context.provider.spending(context.name, nodes)


def _all_rows(context: RunContext, nodes: Sequence[Node]) -> tuple[list[StatusRow], NodeHealth]:
    if not any(node.alias == MASTER and node.state == NodeState.RUNNING for node in nodes):
        return [], health.NodeHealth(())
    cluster = context.make_cluster(nodes)
    try:
        return probe_services(context, cluster)
    finally:
        cluster.close()


def probe_services(context: RunContext, cluster: Cluster) -> tuple[list[StatusRow], NodeHealth]:
    """Return the rows of a cluster's services, and what the probes on the master found. One remote command for all."""
    try:
        node_health = health.ask(cluster, cluster.master)
        rows = service_rows(node_health)
    except ClusterctlError as exc:
        node_health = health.NodeHealth(())
        rows = [StatusRow(MASTER, _SERVICES, f"{_UNKNOWN}{exc.message}", healthy=False)]
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
        return [StatusRow(MASTER, _SERVICES, f"the service manager {node_health.manager}", healthy=False)]
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
