"""The firewall of a cluster: the networks that may log in to its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.base import Firewall

if TYPE_CHECKING:
    from clusterctl.operations.context import RunContext


@dataclass(frozen=True)
class AllowedNetworks:
    """The networks, as CIDR, that reach the nodes' SSH servers."""

    current: tuple[str, ...]
    previous: tuple[str, ...]


def allow_this_computer(context: RunContext) -> AllowedNetworks:
    """Allow SSH from this computer's present address, and no longer from those that it had before.

    Raises:
        UsageError: the provider has no firewall of its own.
    """
    if not isinstance(context.provider, Firewall):
        raise UsageError(
            f"nodes of the provider {context.provider.name} have no firewall of ours",
            remedy=f"see how {context.name} is reached with `clusterctl status {context.name}`",
        )
    now, before = context.provider.allow_ssh(context.name)
    return AllowedNetworks(tuple(now), tuple(before))
