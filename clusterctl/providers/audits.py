"""How what a provider made is kept, as its owner tells it: for whoever checks that promises hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AuditedMachine:
    """A machine."""

    id: str
    marked: bool
    """It says whose it is: cluster, id of the cluster, and owner."""
    tokens: bool
    """Its metadata service answers those only who have got a token from it."""


@dataclass(frozen=True)
class AuditedDisk:
    """A disk of a machine."""

    id: str
    marked: bool
    encrypted: bool


@dataclass(frozen=True)
class AuditedDoor:
    """Who is let in, and to what."""

    ports: str
    """``tcp 22``, ``udp 4000-4010``, or ``all``."""
    who: str
    """Addresses as CIDR; ``members`` for the nodes of the cluster themselves."""


@dataclass(frozen=True)
class Audit:
    """All of a cluster."""

    machines: tuple[AuditedMachine, ...]
    disks: tuple[AuditedDisk, ...]
    doors: tuple[AuditedDoor, ...]
