"""Who may log in to the nodes of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.base import Doors

if TYPE_CHECKING:
    from clusterctl.operations.context import Parts


@dataclass(frozen=True)
class Allowed:
    """Networks, as CIDR, that reach the nodes' SSH servers."""

    now: tuple[str, ...]
    before: tuple[str, ...]


def allow_me(parts: Parts) -> Allowed:
    """Let this computer in, at the address that it has now, and nobody who was let in so before.

    Raises:
        UsageError: there is no door to open: the provider has no firewall of its own.
    """
    if not isinstance(parts.provider, Doors):
        raise UsageError(
            f"nodes of the provider {parts.provider.name} have no firewall of ours",
            remedy=f"see how {parts.name} is reached with `clusterctl status {parts.name}`",
        )
    now, before = parts.provider.allow(parts.name)
    return Allowed(tuple(now), tuple(before))
