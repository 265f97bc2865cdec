"""Which nodes are not as they should be, since when and why; and the state of the whole. Pure: it asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from clusterctl.model import Node, StatusRow
    from clusterctl.providers.losses import Loss


class ClusterState(str, Enum):
    """The state of a cluster, in one word."""

    STARTING = "starting"
    """A command brings it up at this moment."""
    RUNNING = "running"
    """Every node that is wanted runs, answers and has joined."""
    PARTIAL = "partial"
    """It runs, and some of its nodes are not as they should be."""
    STOPPED = "stopped"
    """None of its nodes runs, and some have kept their disks."""
    ENDED = "ended"
    """None of its nodes exists any more."""


class Fault(str, Enum):
    """What is the matter with a node that is wanted."""

    GONE = "gone"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    STARTING = "starting"
    SILENT = "silent"
    DOOMED = "doomed"
    HALF_JOINED = "half joined"


@dataclass(frozen=True)
class Condition:
    """A wanted node that is not as it should be."""

    alias: str
    fault: Fault
    since: datetime | None
    """Since when, in UTC; None if nobody knows."""
    why: str
    """The reason in a few words; empty if nobody knows."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a cluster's nodes."""

    wanted: Sequence[str]
    """Aliases of the nodes that there should be; empty if this computer does not know."""
    nodes: Sequence[Node]
    """The nodes that exist."""
    unjoined: frozenset[str] = frozenset()
    """Aliases of nodes whose present machine has not joined."""
    losses: Mapping[str, Loss] | None = None
    """When and why nodes ended or stopped, by alias, as far as the provider knows."""
    silent: Mapping[str, str] | None = None
    """Nodes that run and do not answer: alias to what went wrong."""
    rows: Sequence[StatusRow] = ()
    """What the plugins see."""


def find_conditions(evidence: Evidence) -> tuple[Condition, ...]:
    """Return the wanted nodes that are not as they should be, the master first."""
    nodes = {node.alias: node for node in evidence.nodes if node.state != NodeState.GONE}
    endings = {row.node: row.value for row in evidence.rows if row.ends}
    conditions = []
    for alias in evidence.wanted or tuple(nodes):
        node = nodes.get(alias)
        condition = _judge_node(node, evidence, endings) if node else _judge_missing(alias, evidence)
        conditions += [condition] if condition else []
    return tuple(conditions)


def _judge_missing(alias: str, evidence: Evidence) -> Condition:
    loss = (evidence.losses or {}).get(alias)
    if loss is None:
        return Condition(alias, Fault.GONE, None, "")
    return Condition(alias, Fault.INTERRUPTED if loss.interrupted else Fault.GONE, loss.since, loss.reason)


def _judge_node(node: Node, evidence: Evidence, endings: Mapping[str, str]) -> Condition | None:
    loss = (evidence.losses or {}).get(node.alias)
    silent = evidence.silent or {}
    if node.state == NodeState.STOPPED:
        return Condition(node.alias, Fault.STOPPED, loss.since if loss else None, loss.reason if loss else "")
    if node.state == NodeState.PENDING:
        return Condition(node.alias, Fault.STARTING, node.launched_at, "")
    if node.alias in silent:
        return Condition(node.alias, Fault.SILENT, None, silent[node.alias])
    if node.alias in endings:
        return Condition(node.alias, Fault.DOOMED, None, endings[node.alias])
    if node.alias in evidence.unjoined:
        return Condition(node.alias, Fault.HALF_JOINED, node.launched_at, "no start has completed it")
    return None


def judge_cluster(nodes: Iterable[Node], conditions: Sequence[Condition], *, at_work: bool) -> ClusterState:
    """Return the state of a cluster.

    Args:
        nodes: the nodes that exist.
        conditions: those of its nodes that are not as they should be.
        at_work: whether a command brings it up at this moment.
    """
    states = {node.state for node in nodes} - {NodeState.GONE}
    if at_work:
        return ClusterState.STARTING
    if not states:
        return ClusterState.ENDED
    if states <= {NodeState.STOPPED}:
        return ClusterState.STOPPED
    return ClusterState.PARTIAL if conditions else ClusterState.RUNNING
