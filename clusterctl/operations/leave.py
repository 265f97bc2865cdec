"""Leaving mirrors joining: the plugins undo in reverse, then the machine goes. Nothing here stops it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, StateError, UsageError
from clusterctl.model import MASTER, Facet, Node, NodeState
from clusterctl.operations.joining.join import members_changed
from clusterctl.providers.base import Power
from clusterctl.tunnel import publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster import Cluster
    from clusterctl.operations.context import Parts


def say_goodbye(parts: Parts, cluster: Cluster, alias: str, *, reachable: bool) -> None:
    """Call every plugin's `clusterctl_leave` for a node, in reversed order; failures are logged."""
    node = replace(cluster.node(alias), reachable=reachable)
    for name in reversed(parts.host.having("clusterctl_leave")):
        try:
            parts.host.call(name, "clusterctl_leave", cluster=cluster, node=node)
        except ClusterctlError as exc:
            parts.warn(f"{alias}: {exc.message}")
    try:
        parts.folder.record("left", node=alias, id=node.id)
    except StateError as exc:
        parts.warn(f"{alias}: {exc.message}")


def _say_goodbye_if_up(parts: Parts, cluster: Cluster, node: Node) -> None:
    """Say goodbye for a node whose machine may be off; one that outlives the cluster then keeps what it has."""
    up = node.state == NodeState.RUNNING
    if not up and Facet.LASTING in node.facets:
        parts.warn(f"{node.alias}: {node.address} does not answer: what was set up there stays")
    say_goodbye(parts, cluster, node.alias, reachable=up)


def _all_leave(parts: Parts, nodes: Sequence[Node]) -> None:
    """Every node says goodbye, the workers first, those that run over SSH and those that do not without it."""
    cluster = parts.cluster(nodes)
    cluster.ending = Facet.LASTING not in parts.provider.facets
    cluster.all_leave = True

    def goodbye(node: Node) -> None:
        _say_goodbye_if_up(parts, cluster, node)

    try:
        cluster.each(goodbye, cluster.workers)
        cluster.each(goodbye, [node for node in cluster.nodes if node.is_master])
    finally:
        cluster.close()


def terminate(parts: Parts, *, force: bool = False) -> list[Node]:
    """End the cluster and forget it. Returns the nodes that were ended; a cluster that is not there is success.

    Args:
        parts: of the run.
        force: do not call the plugins.

    Raises:
        ProviderError: naming what may be left; the laptop's files then stay, so that it can be tried again.
    """
    with parts.folder.locked():
        nodes = parts.provider.nodes(parts.name)
        if nodes and not force:
            _all_leave(parts, nodes)
        publish.withdraw(parts.folder)
        parts.provider.destroy(parts.name)
        parts.folder.remove()
    return nodes


def stop(parts: Parts) -> list[Node]:
    """Power the nodes off and keep their disks; `start` brings all of it back."""
    if not isinstance(parts.provider, Power):
        raise UsageError(
            f"nodes of the provider {parts.provider.name} cannot be stopped",
            remedy=f"`clusterctl terminate {parts.name}` ends them",
        )
    with parts.folder.locked():
        nodes = parts.provider.nodes(parts.name)
        running = [node for node in nodes if node.state == NodeState.RUNNING]
        if running:
            _all_leave(parts, running)
        publish.withdraw(parts.folder)
        parts.provider.stop(parts.name)
    return running


def remove_nodes(parts: Parts, aliases: Sequence[str], count: int) -> list[str]:
    """Let workers leave, and end them.

    Args:
        parts: of the run.
        aliases: which; empty for the last `count` by number.
        count: how many, where no aliases are given.
    """
    with parts.folder.locked():
        nodes = {node.alias: node for node in parts.provider.nodes(parts.name)}
        leaving = _choose(parts.name, list(nodes), aliases, count)
        cluster = parts.cluster(nodes.values())
        # Written before the machines go: a command that is cut off here must not bring them back later.
        parts.folder.record("remove", nodes=leaving)
        try:
            cluster.each(
                lambda node: _say_goodbye_if_up(parts, cluster, node),
                [nodes[alias] for alias in leaving],
            )
            parts.provider.destroy(parts.name, leaving)
            cluster.admit(node for node in nodes.values() if node.alias not in leaving)
            members_changed(parts, cluster)
        finally:
            cluster.close()
    return leaving


def _choose(name: str, existing: Sequence[str], aliases: Sequence[str], count: int) -> list[str]:
    unknown = [alias for alias in aliases if alias not in existing]
    if unknown:
        raise UsageError(
            f"{name} has no node {', '.join(unknown)}", remedy=f"its nodes: {', '.join(existing) or 'none'}"
        )
    if MASTER in aliases:
        raise UsageError("the master cannot be removed", remedy=f"`clusterctl terminate {name}` ends the whole cluster")
    workers = [alias for alias in existing if alias != MASTER]
    if not aliases and count > len(workers):
        raise UsageError(
            f"{name} has only {len(workers)} workers", remedy=f"`clusterctl terminate {name}` ends it whole"
        )
    return list(aliases) or workers[len(workers) - count :]
