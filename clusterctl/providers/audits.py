"""The protection of what a provider made, as the cloud reports it. The self-test checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class AuditedMachine:
    """The audit of a machine."""

    id: str
    tagged: bool
    """True if its tags name the cluster, the id of the cluster, and the owner."""
    requires_token: bool
    """True if its metadata service answers only requests with a token."""


@dataclass(frozen=True)
class AuditedDisk:
    """The audit of a disk of a machine."""

    id: str
    tagged: bool
    encrypted: bool


@dataclass(frozen=True)
class AuditedIngressRule:
    """An ingress rule of the firewall: allowed sources and ports."""

    ports: str
    """``tcp 22``, ``udp 4000-4010``, or ``all``."""
    sources: str
    """The allowed addresses as CIDR, or ``members`` for the nodes of the cluster."""


@dataclass(frozen=True)
class Audit:
    """The audit of a whole cluster."""

    machines: tuple[AuditedMachine, ...]
    disks: tuple[AuditedDisk, ...]
    ingress_rules: tuple[AuditedIngressRule, ...]


@runtime_checkable
class Guarded(Protocol):
    """A provider that can say from where its nodes let SSH in."""

    def list_admitted(self, cluster: str) -> list[str]:
        """Return the networks (CIDR) that may reach the nodes of a cluster by SSH."""
        ...
