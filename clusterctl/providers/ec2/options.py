"""What a cluster template says of instances. wiring builds these options from the config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.model import MASTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from pathlib import Path


_MASTER_GB, _WORKER_GB = 50, 20
"""Least sizes of root disks, where no option names one: public images want 8 GB, and homes are on the master."""


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
    private_workers: bool = False
    """Of the nodes only the master has a public address; it is the gateway to the others."""
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
    """Size of the root disks; None: what the image wants, and more of it: see `root_gb`."""
    master_volume_gb: int | None = None
    """Size of the master's root disk; None: as `root_volume_gb`."""
    root_volume_type: str = "gp3"
    kms_key: str = ""
    """Key of KMS that disks are encrypted with: id, arn or alias; empty: the account's key for EBS."""
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

    def has_public_ip(self, role: str) -> bool:
        """Return whether a node gets a public address.

        Args:
            role: ``master``, or anything else for a worker.
        """
        return self.public_ips and (role == MASTER or not self.private_workers)

    def root_gb(self, role: str, image_gb: int) -> int:
        """Return the size of the root disk of a node, in GB.

        Args:
            role: ``master``, or anything else for a worker.
            image_gb: what the image wants at least.
        """
        if role == MASTER:
            return self.master_volume_gb or self.root_volume_gb or max(_MASTER_GB, image_gb)
        return self.root_volume_gb or max(_WORKER_GB, image_gb)
