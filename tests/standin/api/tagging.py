"""Tags on things that moto does not know, and on instances that are not visible yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

OURS = ("sir-", "pg-", "fleet-")


def change_tags(cloud: Cloud, request: wire.Request) -> Mapping[str, Any] | wire.Answer:
    """CreateTags and DeleteTags: ours here, the others by moto."""
    named = request.params.get("Resources") or []
    cloud.lives.named([each for each in named if each.startswith("i-")], request.region)
    if not any(each.startswith(OURS) for each in named):
        return cloud.moto.forward(request)
    for each in named:
        if each.startswith("sir-") and cloud.spot.get(each) is None:
            raise wire.AwsError("InvalidSpotInstanceRequestID.NotFound", f"The ID '{each}' does not exist")
    backend = cloud.moto.backend("ec2", request.region)
    pairs = {tag["Key"]: tag.get("Value", "") for tag in request.params.get("Tags") or []}
    for each in named:
        if request.action == "CreateTags":
            backend.tags[each].update(pairs)
        else:
            for key in pairs:
                backend.tags[each].pop(key, None)
    return {}


HANDLERS = {("ec2", "CreateTags"): change_tags, ("ec2", "DeleteTags"): change_tags}
