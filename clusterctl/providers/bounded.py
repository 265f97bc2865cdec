"""Providers that have only so many nodes to give."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Bounded(Protocol):
    """A provider whose machines are counted, such as hosts of a list."""

    def most_nodes(self, cluster: str) -> int:
        """Return how many nodes a cluster can have now, those that it has included. No machine is asked."""
        ...
