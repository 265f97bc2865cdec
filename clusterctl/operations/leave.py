"""Leaving mirrors joining: the plugins undo in reverse order, then the machine ends. No failure stops it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

from clusterctl import hub
from clusterctl.errors import ClusterctlError, StateError, UsageError
from clusterctl.model import MASTER, Facet, Node, NodeState
from clusterctl.operations.jobs.leaving import LeavingJobs, name_jobs
from clusterctl.operations.jobs.seeing_off import see_off_jobs
from clusterctl.operations.joining.join import run_members
from clusterctl.operations.joining.losing import find_kept_home
from clusterctl.operations.owning.proof import refuse_lost_hosts, refuse_unproven, take_proof
from clusterctl.providers.base import Power
from clusterctl.providers.outliving import Lingering
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.operations.context import RunContext


def run_leave(context: RunContext, cluster: Cluster, alias: str, *, reachable: bool) -> None:
    """Call every plugin's `clusterctl_leave` for a node, in reverse order. Failures are reported as warnings.

    A machine that stays and can be reached is given back as it was: after its leave each plugin is asked to undo.
    """
    node = replace(cluster.node(alias), reachable=reachable)
    stays = reachable and Facet.LASTING in node.facets
    hooks = ("clusterctl_leave", "clusterctl_undo") if stays else ("clusterctl_leave",)
    for name, hook in product(reversed(context.plugin_host.plugin_names), hooks):
        try:
            context.plugin_host.call_hook(name, hook, cluster=cluster, node=node)
        except ClusterctlError as exc:
            context.report.warn(f"{alias}: {exc.message}")
    try:
        context.folder.record("left", node=alias, id=node.id)
    except StateError as exc:
        context.report.warn(f"{alias}: {exc.message}")


def _run_leave_if_up(context: RunContext, cluster: Cluster, node: Node) -> None:
    """Run the leave hooks for a node whose machine may be off.

    A machine that outlives the cluster and is off keeps what was set up on it.
    """
    up = node.state == NodeState.RUNNING
    if not up and Facet.LASTING in node.facets:
        context.report.warn(f"{node.alias}: {node.address} does not answer: what was set up there stays")
    run_leave(context, cluster, node.alias, reachable=up)


class _LeaveProgress:
    """Shows how many nodes have left. Many threads may advance it."""

    def __init__(self, context: RunContext, total: int) -> None:
        self._context = context
        self._total = total
        self._left = 0
        self._lock = threading.Lock()
        self._show("")

    def advance(self, node: Node) -> None:
        with self._lock:
            self._left += 1
            self._show(node.alias)

    def _show(self, alias: str) -> None:
        text = f"Nodes of {self._context.name} leave"
        self._context.report.progress(text, node=alias, done=self._left, total=self._total)


def _let_all_leave(context: RunContext, nodes: Sequence[Node]) -> None:
    """Run the leave hooks for every node, the workers first: over SSH where the node runs, without SSH where not."""
    if Facet.LASTING in context.provider.facets:  # they must be reached, whatever this computer has lost of the cluster
        context.folder.pin_host_keys(nodes)
    cluster = context.make_cluster(nodes)
    cluster.ending = Facet.LASTING not in context.provider.facets
    cluster.all_leave = True

    shown = _LeaveProgress(context, len(cluster.nodes))

    def leave_if_up(node: Node) -> None:
        _run_leave_if_up(context, cluster, node)
        shown.advance(node)

    try:
        cluster.each(leave_if_up, cluster.workers)
        cluster.each(leave_if_up, [node for node in cluster.nodes if node.is_master])
    finally:
        cluster.close()


@dataclass(frozen=True)
class Losses:
    """What goes when nodes leave, for the question before it."""

    cluster: str
    nodes: tuple[str, ...]
    """Aliases of the nodes that leave."""
    engines: int
    """The number of engines on them; what they hold in memory goes with them."""
    lasting: bool
    """The machines and their files stay: they were there before the cluster."""
    volumes: tuple[str, ...]
    """Names of volumes with data, which stay in any case."""
    home: str = ""
    """What is kept of the home apart from the machines, such as ``the volume vol-0123 of 50 GB with its home``."""
    jobs: LeavingJobs = field(default_factory=LeavingJobs)
    """The jobs on them that are not over, and files of jobs. See `with_jobs`."""


def count_losses(
    context: RunContext, aliases: Sequence[str] | None = None, *, count: int = 0, chosen_id: str = ""
) -> Losses:
    """Return what goes when these nodes leave. Asks the provider, and no node.

    Args:
        context: the context of the run.
        aliases: nodes that leave; empty for the last `count` workers, None for all nodes.
        count: how many workers, where `aliases` is empty.
        chosen_id: the id that the user named, where this computer does not know the cluster's.

    Raises:
        UsageError: there are no such nodes.
    """
    nodes = [node for node in context.provider.nodes(context.name) if chosen_id in {"", node.cluster_id}]
    existing = [node.alias for node in nodes]
    leaving = existing if aliases is None else _choose_leaving(context, existing, aliases, count)
    engine_ids = hub.engine_ids(context.make_cluster(nodes))
    return Losses(
        cluster=context.name,
        nodes=tuple(leaving),
        engines=sum(len(engine_ids.get(alias, ())) for alias in leaving),
        lasting=Facet.LASTING in context.provider.facets,
        volumes=tuple(volume.name for volume in context.machines.volumes),
        home=find_kept_home(context) if aliases is None else "",
    )


def with_jobs(context: RunContext, losses: Losses) -> Losses:
    """Return the losses with the jobs on the nodes that leave, and their files. Asks a node, and not for long."""
    return replace(losses, jobs=name_jobs(context, losses.nodes))


def terminate_cluster(context: RunContext, *, force: bool = False, chosen_id: str = "") -> list[Node]:
    """End the cluster and forget it. Return the nodes that were ended. A cluster that does not exist is success.

    Args:
        context: the context of the run.
        force: do not call the plugins, and wait for no job.
        chosen_id: the id that the user named, where this computer does not know the cluster's.

    Raises:
        UnprovenError: nothing proves which cluster of the name is meant.
        ProviderError: names what may be left. The laptop's files then stay, so that the user can try again.
    """
    existed = context.folder.exists
    with context.lock():
        take_proof(context, "terminate", chosen_id)
        nodes = context.provider.nodes(context.name)
        if not force:
            refuse_lost_hosts(context, nodes, "terminate")
        if nodes and not force:
            see_off_jobs(context, nodes, for_good=True)
            _let_all_leave(context, nodes)
        provider = context.provider
        lingered = not nodes and isinstance(provider, Lingering) and provider.lingers(context.name)
        publish.withdraw_connections(context.folder)
        with _showing_end(context, len(nodes)):
            provider.destroy(context.name)
        if nodes or existed or lingered:
            _remember_end(context)
        context.folder.delete_folder()
    return nodes


@contextmanager
def _showing_end(context: RunContext, count: int, verb: str = "Ending") -> Iterator[None]:
    """Show a bar with a clock while machines end, if there are any."""
    text = f"{verb} nodes of {context.name}"
    if count:
        context.report.progress(text, done=0, total=count)
    yield
    if count:
        context.report.progress(text, done=count, total=count)


def _remember_end(context: RunContext) -> None:
    try:
        context.folder.remember_end()
    except StateError as exc:  # it has ended all the same
        context.report.warn(exc.message)


def stop_cluster(context: RunContext) -> list[Node]:
    """Power the nodes off and keep their disks. `start` brings everything back."""
    if not isinstance(context.provider, Power):
        raise UsageError(
            f"nodes of the provider {context.provider.name} cannot be stopped",
            remedy=f"`clusterctl terminate {context.name}` ends them",
        )
    with context.lock():
        take_proof(context, "stop")
        nodes = context.provider.nodes(context.name)
        running = [node for node in nodes if node.state == NodeState.RUNNING]
        if running:
            see_off_jobs(context, running, for_good=False)
            _let_all_leave(context, running)
        publish.withdraw_connections(context.folder)
        with _showing_end(context, len(running), "Stopping"):
            context.provider.stop(context.name)
    return running


def remove_nodes(context: RunContext, aliases: Sequence[str], count: int) -> list[str]:
    """Let workers leave, and end them. Return their aliases.

    Whoever repeats a call that was killed has the same workers leave, and no others.

    Args:
        context: the context of the run.
        aliases: the workers; empty for the last `count` by number.
        count: how many workers, where no aliases are given.
    """
    with context.lock():
        take_proof(context, "removenode")
        nodes = {node.alias: node for node in context.provider.nodes(context.name)}
        leaving = _choose_leaving(context, list(nodes), aliases, count)
        end_some(context, nodes, leaving, counted=not aliases)
    return leaving


def end_replaced(context: RunContext) -> list[str]:
    """Let nodes leave whose machines have ended and that others are in the place of. Return their aliases.

    The caller holds the cluster's lock.
    """
    replaced, wanted = context.folder.replaced_nodes(), context.folder.wanted_nodes()
    if not replaced:
        return []
    nodes = {node.alias: node for node in context.provider.nodes(context.name)}
    refuse_unproven(context, [*nodes.values()])
    gone = []
    for alias, (machine, other) in replaced.items():
        node = nodes.get(alias)
        has_ended = node is None or (node.machine_id == machine and node.state in {NodeState.GONE, NodeState.STOPPED})
        if alias in wanted and other in wanted and has_ended:
            gone.append(alias)
    if gone:
        context.report.say(f"{', '.join(gone)} of {context.name} has ended, and another node is in its place")
        end_some(context, nodes, gone, counted=False)
    return gone


def end_some(context: RunContext, nodes: Mapping[str, Node], leaving: Sequence[str], *, counted: bool) -> None:
    """Let these nodes leave, and end those of them that there are. The caller holds the cluster's lock.

    Args:
        context: the context of the run.
        nodes: all nodes that exist, by alias.
        leaving: the aliases.
        counted: whether the user gave a number, and no names.
    """
    ending = [alias for alias in leaving if alias in nodes]
    cluster = context.make_cluster(nodes.values())
    # Written before the machines go: a command that is cut off here must not bring them back later.
    context.folder.record("remove", nodes=list(leaving), counted=counted)
    try:
        cluster.each(
            lambda node: _run_leave_if_up(context, cluster, node),
            [nodes[alias] for alias in ending],
        )
        if ending:
            with _showing_end(context, len(ending)):
                context.provider.destroy(context.name, ending)
        cluster.set_nodes(node for node in nodes.values() if node.alias not in leaving)
        run_members(context, cluster)
        context.folder.record("completed")
    finally:
        cluster.close()


def _choose_leaving(context: RunContext, existing: Sequence[str], aliases: Sequence[str], count: int) -> list[str]:
    """Return the workers that leave. One that is wanted and was lost, or that left before, can be named, too."""
    name = context.name
    known = {*existing, *context.folder.wanted_nodes(), *context.folder.removed_nodes()}
    unknown = [alias for alias in aliases if alias not in known]
    if unknown:
        raise UsageError(
            f"{name} has no node {', '.join(unknown)}", remedy=f"its nodes: {', '.join(existing) or 'none'}"
        )
    if MASTER in aliases:
        raise UsageError("the master cannot be removed", remedy=f"`clusterctl terminate {name}` ends the whole cluster")
    if aliases:
        return list(aliases)
    begun = context.folder.unfinished_removals()
    workers = [alias for alias in existing if alias != MASTER and alias not in begun]
    more = max(0, count - len(begun))
    if more > len(workers):
        raise UsageError(
            f"{name} has only {len(workers)} workers", remedy=f"`clusterctl terminate {name}` ends it whole"
        )
    return [*begun, *workers[len(workers) - more :]]
