"""When a cluster ends by itself. Whatever ends clusters without being told to has its line here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.model import NodeState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clusterctl.model import Node


@dataclass(frozen=True)
class Ending:
    """The moment at which a cluster ends by itself."""

    at: datetime
    reason: str
    """Such as ``LIFETIME``."""


def find_ending(nodes: Sequence[Node]) -> Ending | None:
    """Return when the first of these nodes ends by itself; None where none does."""
    moments = [node.ends_at for node in nodes if node.ends_at and node.state != NodeState.GONE]
    return Ending(min(moments), "LIFETIME") if moments else None
