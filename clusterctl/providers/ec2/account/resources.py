"""One of our resources in an account. `gc` compares such resources with what is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.model import Market
from clusterctl.providers.ec2 import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime


class ResourceKind(str, Enum):
    """Kinds of resources, in the order of deletion: a resource comes before those that it uses."""

    SPOT_REQUEST = "spot request"
    INSTANCE = "instance"
    VOLUME = "volume"
    PLACEMENT_GROUP = "placement group"
    LAUNCH_TEMPLATE = "launch template"
    KEY_PAIR = "key pair"
    NETWORK_INTERFACE = "network interface"
    SECURITY_GROUP = "security group"
    IMAGE = "image"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Resource:
    """One of our resources that exist."""

    kind: ResourceKind
    id: str
    """EC2's id. Placement groups and key pairs have their name, which is unique only in its region."""
    region: str
    name: str = ""
    """EC2's name for it, if it has one beside the id."""
    made: datetime | None = None
    """Time of creation; None if AWS does not say."""
    detail: str = ""
    """Such as ``c7i.large, spot, running`` or ``8 GB gp3``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    type: str = ""
    """Type of an instance or a volume, as the price list names it."""
    market: Market = Market.NONE
    """Of an instance: `SPOT` or `ON_DEMAND`."""
    zone: str = ""
    size_gb: int = 0
    stopped: bool = False
    """A stopped instance costs only its disks."""
    with_instance: bool = False
    """The resource belongs to an instance and is deleted with it."""
    parts: tuple[str, ...] = ()
    """Ids of the resources that are deleted with it: an instance's disks, an image's snapshots."""

    @property
    def key(self) -> tuple[str, ResourceKind, str]:
        """A key that is unique among all resources."""
        return self.region, self.kind, self.id

    @property
    def cluster(self) -> str:
        """The name of its cluster; empty if it belongs to none."""
        return self.tags.get(tags.CLUSTER, "")

    @property
    def uuid(self) -> str:
        """The cluster's uuid."""
        return self.tags.get(tags.UUID, "")

    @property
    def is_master(self) -> bool:
        """Whether it was launched as the master."""
        return self.tags.get(tags.ROLE) == tags.MASTER

    @property
    def owner(self) -> str:
        """The user who made it, as ``user@laptop``."""
        return self.tags.get(tags.OWNER, "")


def sort_for_deletion(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources in the order of deletion, region by region."""
    order = list(ResourceKind)
    return sorted(resources, key=lambda resource: (resource.region, order.index(resource.kind), resource.id))


def select_kind(resources: Iterable[Resource], kind: ResourceKind) -> Sequence[Resource]:
    """Return the resources of one kind."""
    return [resource for resource in resources if resource.kind == kind]
