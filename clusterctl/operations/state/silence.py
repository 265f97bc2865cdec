"""Which nodes run and do not answer. All are asked side by side, and who is late is asked once more, by a login."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError
from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node

_PATIENCE_S = 2.0
"""Shorter than the wait for a port (remote/gateways.py), which calls back as well when its time is over."""


def find_silent(cluster: Cluster, nodes: Sequence[Node]) -> dict[str, str]:
    """Return the running nodes that do not answer: alias to what went wrong.

    A node behind a program is not asked: a program that connects takes seconds for each.
    """
    running = [node for node in nodes if node.state == NodeState.RUNNING and not node.access.command]
    behind = [node for node in running if node.access.gateway]
    late = _find_late(cluster, [node for node in running if not node.access.gateway])
    return find_unreachable(cluster, [*behind, *late])


def find_unreachable(cluster: Cluster, nodes: Sequence[Node]) -> dict[str, str]:
    """Return the nodes that let nobody log in: alias to what went wrong."""
    errors: dict[str, str] = {}

    def log_in(node: Node) -> None:
        try:
            cluster.on(node).connect()
        except ClusterctlError as exc:
            errors[node.alias] = exc.message.removeprefix(node.alias).lstrip(": ")

    if nodes:
        cluster.each(log_in, nodes)
    return errors


def _find_late(cluster: Cluster, nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes whose SSH server has not sent its greeting within some seconds."""
    answered: dict[str, threading.Event] = {node.alias: threading.Event() for node in nodes}
    for node in nodes:
        cluster.on(node).when_reachable(partial(threading.Event.set, answered[node.alias]))
    deadline = Deadline.after(_PATIENCE_S)
    return [node for node in nodes if not answered[node.alias].wait(deadline.left_s)]
