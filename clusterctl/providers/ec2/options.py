"""What a cluster template says of instances. wiring builds these options from the config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path


@dataclass(frozen=True)
class Permission:
    """An ingress rule for all nodes that the user configured."""

    name: str
    protocol: str
    first: int
    last: int
    cidr: str


@dataclass(frozen=True)
class Options:
    """Settings of a template for instances. A plan has the settings of each node."""

    arch: str = "x86_64"
    """Used where no instance type decides the architecture."""
    zone: str = ""
    """Empty: any zone with capacity."""
    any_zone: bool = False
    """Nodes may be in different zones."""
    subnets: tuple[str, ...] = ()
    """Subnets to choose from; empty: those of the default VPC."""
    public_ips: bool = True
    address: str = "auto"
    """Address by which the laptop reaches a node: auto, public, private or ipv6."""
    allow_from: tuple[str, ...] = ("auto",)
    """Networks that may reach SSH; ``auto`` is the address of the laptop."""
    jump: str = ""
    """Gateway to the nodes, as ``[user@]host[:port]``."""
    ssm: bool = False
    """Reach the nodes through AWS Systems Manager."""
    permissions: tuple[Permission, ...] = ()
    security_groups: tuple[str, ...] = ()
    """The user's own security groups, which nodes join too."""
    placement_group: bool = False
    fallback_max: Decimal | None = None
    """Most USD an hour that a node bought on demand in place of a spot instance may cost; None: any price."""
    instance_profile: str = ""
    metadata_for_user: bool = False
    root_volume_gb: int | None = None
    root_volume_type: str = "gp3"
    home_volume_gb: int = 50
    """Size of a new volume for the home, in GB, where a plan wants one."""
    lifetime_h: float | None = None
    """Hours after which a node ends by itself."""
    master_stops: bool = True
    """A master on demand that ends by itself keeps its disk."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The user's own tags, on every resource that is made."""
    key_name: str = ""
    """EC2 key pair that may log in as the image's own user."""
    scripts: tuple[Path, ...] = ()
    """Scripts that each node runs at its first boot."""
    shared_home: bool = False
    dns_prefix: bool = False
