"""Where commands go to: a node, as the user that files there belong to, and a path on it as it was typed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.model import Access, Facet, NodeState

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext


def choose_node(context: RunContext, cluster: Cluster, alias: str, *, user: str | None) -> Node:
    """Return a node that runs, as this user will log in to it."""
    node = cluster.node(alias)
    if node.state != NodeState.RUNNING:
        raise UsageError(
            f"{node.alias} of {context.name} is {node.state.value}",
            remedy=f"`clusterctl start {context.name}` brings it up",
        )
    if user and user != node.user:
        # The key or agent that the provider's user accepts may not be accepted by the user that we made.
        access = Access(jump=node.access.jump, through=node.access.through) if user == cluster.user else node.access
        node = replace(node, user=user, access=access)
        cluster.update_node(node)
    return node


def open_node(context: RunContext, alias: str, *, user: str | None = None) -> tuple[Cluster, Node]:
    """Return a cluster and one of its nodes, ready for connections. The caller closes the cluster.

    Args:
        context: the context of the run.
        alias: the alias of the node, or just the number of a worker.
        user: the user to log in as; None for the user that the provider names. The cluster user accepts the cluster's
            own key.
    """
    cluster = context.make_cluster(context.provider.nodes(context.name))
    return cluster, choose_node(context, cluster, alias, user=user)


def file_owner(context: RunContext) -> str | None:
    """Return the user that owns files on a node; None where that is the user who logs in."""
    return context.machines.user if Facet.MACHINE in context.provider.facets else None


def names_a_folder(path: str) -> bool:
    """Return whether what is copied goes into this, and does not become it."""
    return path.endswith(("/", os.sep)) or path.rpartition("/")[2] in ("", ".", "..", "~")


def absolute_path(node: Node, path: str) -> PurePosixPath:
    """Return the absolute path on the node. Relative paths and those with ``~/`` start at the cluster user's home."""
    return node.layout.home / ("." if path == "~" else path.removeprefix("~/"))
