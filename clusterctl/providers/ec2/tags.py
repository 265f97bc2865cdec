"""The tags of everything of ours on EC2: the only record of what exists, and how they are written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "clusterctl:"
"""Whatever has a tag that begins so is ours."""

CLUSTER = "clusterctl:cluster"
"""The cluster's name."""
UUID = "clusterctl:uuid"
"""The cluster's, new with each cluster: two of one name are told apart by it."""
ROLE = "clusterctl:role"
"""`MASTER` or `WORKER`."""
ALIAS = "clusterctl:alias"
"""The node's, where a resource belongs to a single one."""
OWNER = "clusterctl:owner"
"""Who made it, as ``user@laptop``."""
USER = "clusterctl:user"
"""The cluster user."""
HOST_KEY = "clusterctl:host-key"
"""The public half of the throw-away host key that came with the launch."""
ATTEMPT = "clusterctl:attempt"
"""The client token of the launch that made it."""
EXPIRES = "clusterctl:expires"
"""When its time is over, in UTC, as ISO 8601 writes it."""
IMAGE_BASE = "clusterctl:image-base"
"""What a baked image was made from."""
IMAGE_CONTENT = "clusterctl:image-content"
"""The hash of what is in a baked image; its snapshots have it too."""
NAME = "Name"
"""What the console of AWS shows."""

MASTER = "master"
WORKER = "worker"


def tag_list(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    """As AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in mapping.items()]


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a resource as AWS describes it. Some services say ``TagSet`` where others say ``Tags``."""
    found = resource.get("Tags") or resource.get("TagSet") or ()
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found}


def specifications(mapping: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """`TagSpecifications`: these tags from birth on each of these kinds (``instance``, ``volume``, ...)."""
    return [{"ResourceType": kind, "Tags": tag_list(mapping)} for kind in kinds]


def filter_by(key: str, *values: str) -> dict[str, Any]:
    """An entry of `Filters`: what has this tag with one of these values; without a value, what has it at all."""
    if not values:
        return {"Name": "tag-key", "Values": [key]}
    return {"Name": f"tag:{key}", "Values": list(values)}
