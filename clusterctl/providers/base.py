"""What a provider promises. Four verbs; every other ability is a small protocol of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Facet, Node, Plan, Problem


class Provider(Protocol):
    """Owns machines. Never logs in to one, never prints, never prompts."""

    name: str
    facets: frozenset[Facet]
    """What every node of this provider is."""

    def check(self, plan: Plan) -> list[Problem]:
        """What would stop this plan. Changes nothing."""
        ...

    def create(self, plan: Plan, *, public_key: str) -> list[Node]:
        """Make the nodes of `plan` that do not exist, in one bulk request, tagged at birth.

        Safe to repeat: nodes that run are left alone, those that are stopped or gone are brought back under
        their alias. Returns all nodes of the plan without waiting for them to answer. What it made is undone
        if it fails half-way.

        Args:
            plan: the cluster, and the aliases to have.
            public_key: OpenSSH public key that each node must let in.

        Raises:
            ProviderError: refused, with the reason; nothing new is left behind.
        """
        ...

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """The nodes that exist, asked of the owner every time, the master first; of all clusters without a name."""
        ...

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these nodes, or the whole cluster and all that belonged to it. Finding nothing is success.

        Raises:
            ProviderError: naming what may be left.
        """
        ...


@runtime_checkable
class Power(Protocol):
    """A provider whose nodes can be off and come back with their disks."""

    def stop(self, cluster: str) -> None:
        """Power the nodes off, keep their disks."""
        ...
