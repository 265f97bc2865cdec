"""Folders that nodes have as this computer has them: those of FILES at each start, and those that `sync` is given."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.model import MASTER, NodeState
from clusterctl.node.copying import Target
from clusterctl.node.syncing import LocalTree, sync_to_node
from clusterctl.operations.sending.listing import leave_ignored_out, list_files
from clusterctl.operations.sending.places import absolute_path, choose_node, file_owner, names_a_folder
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.files import FileToSend
    from clusterctl.model import Node
    from clusterctl.node.copying import Totals
    from clusterctl.node.syncing import Synced
    from clusterctl.operations.context import RunContext

_MAX_THREADS = 32


def sync_folder(
    context: RunContext,
    aliases: Sequence[str],
    folder: Path,
    target: str,
    *,
    user: str | None = None,
    deletes: bool = False,
    dry_run: bool = False,
) -> dict[str, Synced]:
    """Have a folder on nodes become as it is here, without what git or the ignore file leaves out.

    Args:
        context: the context of the run.
        aliases: the nodes.
        folder: on this computer.
        target: path on the nodes; a relative path starts at the cluster user's home.
        user: the owner of the files; default: the cluster user, where nodes are machines.
        deletes: delete what is not here, unless it is ignored.
        dry_run: only find out.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="name a folder; `clusterctl put` copies files")
    tree = LocalTree(folder, list_files(folder)[0])
    cluster = context.make_cluster(context.provider.nodes(context.name))
    try:
        wanted = dict.fromkeys(cluster.node(alias).alias for alias in aliases)
        nodes = [choose_node(context, cluster, alias, user=user or file_owner(context)) for alias in wanted]

        def sync(node: Node) -> Synced:
            return sync_to_node(
                cluster.on(node),
                tree,
                Target(absolute_path(node, target), names_a_folder(target)),
                _pass_over,
                choose_deleted=(lambda paths: leave_ignored_out(folder, paths)) if deletes else None,
                dry_run=dry_run,
            )

        return cluster.each(sync, nodes)
    finally:
        cluster.close()


def _pass_over(_size: int, _totals: Totals) -> None:
    """Show nothing."""


def bring_files(context: RunContext, cluster: Cluster, *, but_not: Collection[str] = ()) -> None:
    """Bring the files of FILES to nodes that lack them or have others. What fails is a problem of the cluster.

    What is below the home, which all nodes share, goes to the master; anything else to every node.

    Args:
        context: the context of the run.
        cluster: the cluster.
        but_not: aliases of nodes that did not join, and may not answer.
    """
    files = context.settings.cluster.files
    if not files:
        return
    up = [node for node in cluster.nodes if node.state == NodeState.RUNNING and node.reachable]
    running = [node for node in up if node.alias not in but_not]
    own = context.make_cluster(running)
    try:
        nodes = [choose_node(context, own, node.alias, user=file_owner(context)) for node in running]
        for file in files:
            _bring(own, file, nodes, cluster)
    finally:
        own.close()


def _bring(own: Cluster, file: FileToSend, nodes: Sequence[Node], cluster: Cluster) -> None:
    if not os.path.lexists(file.local):
        cluster.problem(f"FILES: there is no {file.local} on this computer any more")
        return
    tree = LocalTree(file.local)
    into = names_a_folder(file.remote)
    chosen = [node for node in nodes if node.alias == MASTER or not _is_shared(node, file.remote)]

    def bring(node: Node) -> int:
        target = Target(absolute_path(node, file.remote), into)
        try:
            synced = sync_to_node(own.on(node), tree, target, _pass_over)
        except ClusterctlError as exc:
            cluster.problem(f"FILES: {file.remote}: {exc.message}")
            return 0
        for path, why in synced.omitted:
            cluster.problem(f"FILES: {node.alias}: left out: {path}: {why}")
        return len(synced.sent)

    with ThreadPoolExecutor(min(len(chosen), _MAX_THREADS) or 1) as pool:
        count = max(pool.map(bring, chosen), default=0)
    if count:
        where = MASTER if len(chosen) == 1 else plural(len(chosen), "node")
        cluster.say(f"Brought {plural(count, 'file')} of {file.local} to {where}: {file.remote}")


def _is_shared(node: Node, remote: str) -> bool:
    """Return whether a path is below the home, which all nodes have in common."""
    path = os.path.normpath(absolute_path(node, remote))
    return path == str(node.layout.home) or path.startswith(f"{node.layout.home}/")
