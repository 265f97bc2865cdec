"""Tags of all our resources on EC2, and how to read and write them. They are the only record of what exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "clusterctl:"
"""Every resource with a tag that begins so is ours."""

CLUSTER = "clusterctl:cluster"
"""The cluster's name."""
UUID = "clusterctl:uuid"
"""The cluster's unique id. It tells apart clusters that have the same name."""
ROLE = "clusterctl:role"
"""`MASTER` or `WORKER`; `HOME` of the volume with a cluster's home."""
ALIAS = "clusterctl:alias"
"""The node's alias, on resources that belong to one node."""
OWNER = "clusterctl:owner"
"""Who made the resource, as the account knows them, such as ``user/grace``; ``user@laptop`` where it did not say."""
USER = "clusterctl:user"
"""The cluster user."""
HOST_KEY = "clusterctl:host-key"
"""The public half of the temporary host key that the launch gave to the node."""
ATTEMPT = "clusterctl:attempt"
"""The client token of the launch that made the resource."""
EXPIRES = "clusterctl:expires"
"""When the lifetime of the node ends, in UTC, in ISO 8601."""
WHEN_OFF = "clusterctl:when-off"
"""``stop`` where the instance keeps its disk when it is switched off from inside; none: it ends then."""
HOME_ON = "clusterctl:home-on"
"""`VOLUME` where the cluster's home is on a volume of its own; none: it is on its master's own disk, or elsewhere."""
IMAGE_BASE = "clusterctl:image-base"
"""The base that a baked image was made from."""
IMAGE_CONTENT = "clusterctl:image-content"
"""The hash of the content of a baked image. Its snapshots have it too."""
FORMAT = "clusterctl:format"
"""The format of what clusterctl writes about the resource; none on those of 0.1."""
VERSION = "clusterctl:version"
"""The version of clusterctl that made the resource."""
NAME = "Name"
"""The name that the AWS console shows."""

MASTER = "master"
WORKER = "worker"
HOME = "home"
VOLUME = "volume"


@dataclass(frozen=True)
class ClusterKey:
    """The name and the id of a cluster. Whatever ends or changes resources finds them by both."""

    name: str
    uuid: str

    def __post_init__(self) -> None:
        """Refuse an empty id, which would stand for the clusters of all users."""
        if not self.name or not self.uuid:
            raise UnprovenError(
                f"the id of the cluster {self.name} is not known on this computer",
                remedy=f"`clusterctl terminate {self.name}` shows what there is, with the ids",
            )

    @property
    def filters(self) -> list[dict[str, Any]]:
        """Entries of `Filters` that match the resources of this cluster and of no other."""
        return [filter_by(CLUSTER, self.name), filter_by(UUID, self.uuid)]

    def owns(self, resource_tags: Mapping[str, str]) -> bool:
        """Return whether these are tags of a resource of this cluster."""
        return (resource_tags.get(CLUSTER), resource_tags.get(UUID)) == (self.name, self.uuid)


def tag_list(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in the form that AWS takes."""
    return [{"Key": key, "Value": value} for key, value in mapping.items()]


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a resource that AWS described. Some services call them ``TagSet``, others ``Tags``."""
    entries = resource.get("Tags") or resource.get("TagSet") or ()
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in entries}


def tag_specifications(mapping: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """Return `TagSpecifications`: new resources of these types (``instance``, ``volume``, ...) get these tags."""
    return [{"ResourceType": kind, "Tags": tag_list(mapping)} for kind in kinds]


def filter_by(key: str, *values: str) -> dict[str, Any]:
    """Return an entry of `Filters` that matches this tag with one of these values; without values, with any value."""
    if not values:
        return {"Name": "tag-key", "Values": [key]}
    return {"Name": f"tag:{key}", "Values": list(values)}
