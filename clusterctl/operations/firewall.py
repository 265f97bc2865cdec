"""The firewall of a cluster: the networks that may log in to its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.base import Doors

if TYPE_CHECKING:
    from clusterctl.operations.context import Parts


@dataclass(frozen=True)
class Allowed:
    """The networks, as CIDR, that reach the nodes' SSH servers."""

    now: tuple[str, ...]
    before: tuple[str, ...]


def allow_me(context: Parts) -> Allowed:
    """Allow SSH from this computer's present address, and no longer from those that it had before.

    Raises:
        UsageError: the provider has no firewall of its own.
    """
    if not isinstance(context.provider, Doors):
        raise UsageError(
            f"nodes of the provider {context.provider.name} have no firewall of ours",
            remedy=f"see how {context.name} is reached with `clusterctl status {context.name}`",
        )
    now, before = context.provider.allow(context.name)
    return Allowed(tuple(now), tuple(before))
