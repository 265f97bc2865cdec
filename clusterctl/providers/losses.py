"""What providers know of nodes that ended or stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Loss:
    """When and why a node ended or stopped."""

    since: datetime | None
    """In UTC; None if the provider does not know."""
    reason: str
    """In a few words; empty if the provider does not know."""
    interrupted: bool = False
    """True if whoever owns the machines took it back."""


@runtime_checkable
class Explaining(Protocol):
    """A provider that can say when and why nodes ended or stopped."""

    def find_losses(self, cluster: str) -> Mapping[str, Loss]:
        """Return the last loss of each node that does not run, by alias, as far as it is known."""
        ...
