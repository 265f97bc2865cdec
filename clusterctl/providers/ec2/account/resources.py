"""Something of ours in an account, as `gc` compares it with what is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from clusterctl.providers.ec2 import tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime


class Kind(str, Enum):
    """What a resource is, in the order in which things are ended: what holds on to others goes before them."""

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
    """Something of ours that exists."""

    kind: Kind
    id: str
    """EC2's; of placement groups and key pairs the name, which is an id in its region only."""
    region: str
    name: str = ""
    """EC2's own name for it, where it has one beside the id."""
    made: datetime | None = None
    """When; None where AWS does not say."""
    detail: str = ""
    """Such as ``c7i.large, spot, running`` or ``8 GB gp3``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    type: str = ""
    """Of an instance or a volume, as the price list calls it."""
    market: str = ""
    """Of an instance: ``spot`` or ``on-demand``."""
    zone: str = ""
    size_gb: int = 0
    stopped: bool = False
    """An instance that is off costs no more than its disks."""
    with_instance: bool = False
    """It is part of an instance and ends with it."""
    parts: tuple[str, ...] = ()
    """Ids of what ends with it: an instance's disks, an image's snapshots."""

    @property
    def key(self) -> tuple[str, Kind, str]:
        """What no other resource has."""
        return self.region, self.kind, self.id

    @property
    def cluster(self) -> str:
        """The name of the cluster it was made for; empty for what belongs to none."""
        return self.tags.get(tags.CLUSTER, "")

    @property
    def uuid(self) -> str:
        """The cluster's."""
        return self.tags.get(tags.UUID, "")

    @property
    def is_master(self) -> bool:
        """Whether it was made to be the node that the others join."""
        return self.tags.get(tags.ROLE) == tags.MASTER

    @property
    def owner(self) -> str:
        """Who made it, as ``user@laptop``."""
        return self.tags.get(tags.OWNER, "")


def by_kind(resources: Iterable[Resource]) -> list[Resource]:
    """In the order in which they are ended, region by region."""
    order = list(Kind)
    return sorted(resources, key=lambda each: (each.region, order.index(each.kind), each.id))


def of(resources: Iterable[Resource], kind: Kind) -> Sequence[Resource]:
    """Those of one kind."""
    return [each for each in resources if each.kind == kind]
