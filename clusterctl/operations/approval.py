"""The user's answer before a command buys something, or ends what engines hold."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from clusterctl.model import Node, NodeState
from clusterctl.operations.cost import estimate_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Plan
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Estimate


class Approval(Protocol):
    """Who is asked. Each method raises `DeclinedError` or `UsageError` to refuse."""

    def allow_cost(self, estimate: Estimate) -> None:
        """Allow new nodes at this cost."""

    def allow_end(self, cluster: str, endings: Sequence[str]) -> None:
        """Allow that this ends on a cluster that runs, such as ``6 engines with what is in memory``."""


def request_cost(context: RunContext, plan: Plan, existing: Sequence[Node], approval: Approval | None) -> None:
    """Ask for the cost of the nodes of this plan that do not exist yet.

    Args:
        context: the context of the run.
        plan: the plan of the cluster.
        existing: the nodes that exist.
        approval: who is asked; None skips the question and the prices.
    """
    if approval and (estimate := estimate_cost(context, plan, existing)):
        approval.allow_cost(estimate)


def find_endings(cluster: Cluster, existing: Sequence[Node]) -> list[str]:
    """Return what the plugins said in their preparation that ends. On nodes that do not run nothing can end."""
    return cluster.endings if any(node.state == NodeState.RUNNING for node in existing) else []


@contextmanager
def asking_before_end(
    context: RunContext, cluster: Cluster, existing: Sequence[Node], approval: Approval | None
) -> Iterator[None]:
    """Let plugins prepare in the body, then ask whether what they say that ends may end. A no leaves no note of theirs.

    Args:
        context: the context of the run.
        cluster: the cluster with which the plugins prepare.
        existing: the nodes that exist.
        approval: who is asked; None skips the question.
    """
    with cluster.holding_notes():
        yield
        endings = find_endings(cluster, existing)
        if endings and approval:
            approval.allow_end(context.name, endings)


def tell_end(context: RunContext, cluster: Cluster, existing: Sequence[Node]) -> None:
    """Say what starts anew on nodes that run."""
    if endings := find_endings(cluster, existing):
        context.report.say(f"Starting anew on {context.name}: {', '.join(endings)}")
