"""Protocols of providers of which something outlives something else: machines this computer's notes, homes machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node


@runtime_checkable
class Adopting(Protocol):
    """A provider whose machines were there before, and that alone notes, on this computer, whose they are now."""

    def adopt(self, cluster: str, user: str, nodes: Sequence[Node]) -> None:
        """Note these machines as a cluster's that has them already, for its user."""
        ...


@runtime_checkable
class Lingering(Protocol):
    """A provider whose nodes are processes: they go on when the folders are deleted that told of them."""

    def lingers(self, cluster: str) -> bool:
        """Return whether processes of a cluster of this name still run, which `nodes` may not see."""
        ...


@runtime_checkable
class Inviting(Protocol):
    """A provider that lets a key log in for a moment, on nodes whose own system asks for such keys."""

    def invite(self, cluster: str, aliases: Sequence[str], public_key: str) -> None:
        """Let a key log in to these nodes within a minute from now.

        Raises:
            ProviderError: the account does not allow it, or not on one of these nodes.
        """
        ...


@dataclass(frozen=True)
class KeptHome:
    """The home of a cluster, where it is kept apart from the machines."""

    text: str
    """What it is, such as ``the volume vol-0123 of 50 GB with its home``."""


@runtime_checkable
class HomeKeeping(Protocol):
    """A provider that can keep the home apart from the master: a new master gets it back.

    With `Plan.home_volume` its `create` gives the master a home that outlives it, the same one to each master of the
    cluster. `destroy` of the whole cluster ends it; nothing else does.
    """

    def find_home(self, cluster: str) -> KeptHome | None:
        """Return what there is of the home of a cluster now, apart from its machines; None if there is nothing."""
        ...
