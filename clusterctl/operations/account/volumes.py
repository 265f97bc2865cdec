"""EBS volumes of an account: listed by what they are like, made, and those that may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import volumes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.providers.ec2.account.volumes import ListedVolume, VolumeRequest
    from clusterctl.providers.ec2.aws import Aws

_FILTERS = {
    "name": "tag:Name",
    "volume_id": "volume-id",
    "size": "size",
    "status": "status",
    "attach_status": "attachment.status",
    "zone": "availability-zone",
    "snapshot_id": "snapshot-id",
}
"""The name of EC2's filter for each of our criteria."""
_GOING = frozenset({"deleting", "deleted"})


def list_matching(
    aws: Aws, criteria: Mapping[str, object], own_tags: Mapping[str, str], *, show_deleted: bool
) -> list[ListedVolume]:
    """Return the volumes of the region that are like this.

    Args:
        aws: the account.
        criteria: by name, such as ``size``; those without a value do not count.
        own_tags: tags that they have; an empty value stands for any.
        show_deleted: those that are being deleted too, even where no ``status`` is asked for.
    """
    filters = {_FILTERS[name]: (str(value),) for name, value in criteria.items() if value}
    for key, value in own_tags.items():
        filters |= {f"tag:{key}": (value,)} if value else {"tag-key": (*filters.get("tag-key", ()), key)}
    hidden = frozenset() if show_deleted or criteria.get("status") else _GOING
    return [volume for volume in volumes.list_volumes(aws, filters) if volume.state not in hidden]


def refuse_reserved_tags(own_tags: Mapping[str, str]) -> None:
    """Raise an error for a tag that AWS or clusterctl sets."""
    reserved = [key for key in own_tags if key.startswith(("aws:", tags.PREFIX))]
    if reserved:
        raise UsageError(f"the tag {reserved[0]} is not yours to set", remedy="give keys of your own")


def add_volume(aws: Aws, request: VolumeRequest, *, name: str, own_tags: Mapping[str, str], owner: str) -> ListedVolume:
    """Make a blank volume with these tags, a name if it is given, and its owner."""
    marks = {**own_tags, tags.OWNER: owner} | ({tags.NAME: name} if name else {})
    return volumes.create_volume(aws, request, resource_tags=marks)


def select_deletable(aws: Aws, ids: Sequence[str]) -> dict[str, ListedVolume]:
    """Return those of the volumes that exist, by id. Raise an error if one of them is attached: then none may go."""
    existing = {volume.id: volume for volume in volumes.list_volumes(aws, {"volume-id": tuple(ids)})}
    for volume in existing.values():
        if volume.attachments:
            holders = ", ".join(held.instance for held in volume.attachments)
            raise UsageError(
                f"{volume.id} is attached to {holders}",
                remedy="stop or terminate the cluster that uses it, or detach it; then run the same command",
            )
    return existing
