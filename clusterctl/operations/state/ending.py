"""When the machines of a cluster end by themselves, as their provider knows. What a master says counts more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.model import Node


def find_machine_end(nodes: Sequence[Node]) -> datetime | None:
    """Return when the first of these nodes ends by its own timer, in UTC; None where none does."""
    moments = [node.ends_at for node in nodes if node.ends_at and node.state != NodeState.GONE]
    return min(moments, default=None)
