"""Placement groups, which moto lacks: made, described, and deleted once no instance is in them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..api import wire
from ..api.filters import holds
from ..instances.describe import tag_list
from ..instances.launch_data import tags_by_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud


@dataclass(frozen=True)
class PlacementGroup:
    """One group; its tags are kept with all tags in moto."""

    id: str
    name: str
    region: str
    strategy: str


def _tags(cloud: Cloud, group: PlacementGroup) -> dict[str, str]:
    found: dict[str, str] = cloud.moto.backend("ec2", group.region).tags.get(group.id, {})
    return found


def _view(cloud: Cloud, group: PlacementGroup) -> dict[str, Any]:
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "State": "available",
        "Strategy": group.strategy,
        "GroupArn": f"arn:aws:ec2:{group.region}:123456789012:placement-group/{group.name}",
        "Tags": tag_list(_tags(cloud, group)),
    }


def create_placement_group(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Make one; names are unique in a region."""
    given = request.params
    key = (request.region, given.get("GroupName", ""))
    if key in cloud.placement_groups:
        raise wire.AwsError("InvalidPlacementGroup.Duplicate", f"The Placement Group '{key[1]}' already exists.")
    group = PlacementGroup(f"pg-{secrets.token_hex(8)}a", key[1], request.region, given.get("Strategy", "cluster"))
    cloud.placement_groups[key] = group
    tags = tags_by_kind(given.get("TagSpecifications", ())).get("placement-group", {})
    cloud.moto.backend("ec2", request.region).tags[group.id].update(tags)
    return {"PlacementGroup": _view(cloud, group)}


def describe_placement_groups(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Those of the region that were asked for."""
    given = request.params
    found = [group for (region, _), group in cloud.placement_groups.items() if region == request.region]
    for name in given.get("GroupNames") or ():
        if name not in [group.name for group in found]:
            raise wire.AwsError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    return {
        "PlacementGroups": [
            _view(cloud, group)
            for group in found
            if (not given.get("GroupNames") or group.name in given["GroupNames"])
            and (not given.get("GroupIds") or group.id in given["GroupIds"])
            and holds(
                given.get("Filters", ()),
                tags=_tags(cloud, group),
                attribute=lambda name, one=group: [
                    {"group-name": one.name, "strategy": one.strategy, "state": "available"}.get(name, "")
                ],
            )
        ]
    }


def delete_placement_group(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Delete one that is empty."""
    name = request.params["GroupName"]
    if (request.region, name) not in cloud.placement_groups:
        raise wire.AwsError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    inside = [
        life
        for life in cloud.lives.of(request.region)
        if life.state != "terminated" and life.instance.placement.group_name == name
    ]
    for life in inside:
        life.look()
    if inside:
        message = f"The placement group '{name}' is in use and may not be deleted."
        raise wire.AwsError("InvalidPlacementGroup.InUse", message)
    del cloud.placement_groups[request.region, name]
    return {}


HANDLERS = {
    ("ec2", "CreatePlacementGroup"): create_placement_group,
    ("ec2", "DescribePlacementGroups"): describe_placement_groups,
    ("ec2", "DeletePlacementGroup"): delete_placement_group,
}
