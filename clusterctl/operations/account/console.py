"""The instance of a cluster's node, whose console is to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from clusterctl.operations.context import RunContext


@dataclass(frozen=True)
class InstancePlace:
    """An instance, and its region as far as the journal knows it."""

    id: str
    region: str | None


def find_instance(context: RunContext, alias: str) -> InstancePlace:
    """Return the instance of a node. Raise an error if the cluster's nodes are none."""
    if context.provider.name != "ec2":
        raise UsageError(
            f"the nodes of {context.name} are no EC2 instances",
            remedy=f"`clusterctl logs {context.name} {alias}` shows their logs",
        )
    node = context.make_cluster(context.provider.nodes(context.name)).node(alias)
    regions = [str(event["region"]) for event in context.folder.events() if event["event"] == "ec2"]
    return InstancePlace(node.machine_id, regions[-1] if regions else None)
