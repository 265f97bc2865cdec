"""What a template says of instances, as wiring takes it from the config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Permission:
    """Ports of all nodes that are open to somebody."""

    name: str
    protocol: str
    first: int
    last: int
    cidr: str


@dataclass(frozen=True)
class Options:
    """What a template says of instances, beside what a plan says of each node."""

    arch: str = "x86_64"
    """Where no type says so."""
    zone: str = ""
    """Empty: wherever there is room."""
    any_zone: bool = False
    """Nodes may be in several zones."""
    subnets: tuple[str, ...] = ()
    """To choose from; empty: those of the default VPC."""
    public_ips: bool = True
    address: str = "auto"
    """Where the laptop reaches a node: auto, public, private or ipv6."""
    allow_from: tuple[str, ...] = ("auto",)
    """Networks that may reach SSH; ``auto`` is where the laptop is."""
    jump: str = ""
    """The way to the nodes, as ``[user@]host[:port]``."""
    ssm: bool = False
    """The way to the nodes is AWS Systems Manager."""
    permissions: tuple[Permission, ...] = ()
    security_groups: tuple[str, ...] = ()
    """Of the user's own, that nodes are in too."""
    placement_group: bool = False
    instance_profile: str = ""
    metadata_for_user: bool = False
    root_volume_gb: int | None = None
    root_volume_type: str = "gp3"
    lifetime_h: float | None = None
    """Hours after which a node ends itself."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the user's own, on everything that is made."""
    key_name: str = ""
    """A key pair of EC2's that the image's own user lets in."""
    scripts: tuple[Path, ...] = ()
    """What each node runs at its first boot."""
    shared_home: bool = False
    dns_prefix: bool = False
