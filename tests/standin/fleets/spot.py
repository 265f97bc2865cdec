"""Spot requests, as CreateFleet and RunInstances make them: one-time, one for each instance, and how they end.

States and status codes are from "Get the status of a Spot Instance request" of the EC2 user guide. Simplified: a
request is made fulfilled; persistent requests exist only in so far as their instances may be stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import random_spot_request_id

from ..api import wire
from ..api.filters import holds
from ..instances.describe import tag_list
from ..instances.lives import Life, utcnow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ..cloud import Cloud


@dataclass
class SpotRequest:
    """One request and the instance that it got."""

    id: str
    life: Life
    made: datetime
    type: str = "one-time"
    state: str = "active"
    status: str = "fulfilled"
    changed: datetime | None = None
    price: str = ""

    def end(self, status: str) -> None:
        """The instance has ended: a one-time request closes with it."""
        self.state, self.status, self.changed = "closed", status, utcnow()


class SpotRequests:
    """All requests by their ids."""

    def __init__(self) -> None:
        self._by_id: dict[str, SpotRequest] = {}

    def __iter__(self) -> Any:
        return iter(list(self._by_id.values()))

    def get(self, identity: str) -> SpotRequest | None:
        return self._by_id.get(identity)

    def fulfil(self, cloud: Cloud, life: Life, *, tags: Mapping[str, str]) -> None:
        """Make the request whose instance this is."""
        options = (life.data.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}
        made = SpotRequest(
            id=random_spot_request_id(),
            life=life,
            made=utcnow(),
            type=options.get("SpotInstanceType", "one-time"),
            price=options.get("MaxPrice", ""),
        )
        life.spot_request = made.id
        self._by_id[made.id] = made
        cloud.moto.backend("ec2", life.region).tags[made.id].update(tags)

    def ended(self, life: Life, status: str) -> None:
        """The instance ended; say so at its request, if it has one."""
        request = self._by_id.get(life.spot_request)
        if request is not None and request.state in ("active", "cancelled"):
            request.end(status)


def _attribute(one: SpotRequest, name: str) -> Iterable[str]:
    values = {
        "spot-instance-request-id": one.id,
        "instance-id": one.life.id,
        "state": one.state,
        "status-code": one.status,
        "type": one.type,
        "launched-availability-zone": one.life.instance.placement.zone,
        "launch.instance-type": one.life.kind.name,
        "launch.image-id": one.life.instance.image_id,
    }
    if name not in values:
        raise wire.AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [values[name]]


def describe_spot_instance_requests(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The requests that were asked for."""
    found: list[SpotRequest] = _named(cloud, request) or [
        one for one in cloud.spot if one.life.region == request.region and one.life.hidden <= 0
    ]
    all_tags = cloud.moto.backend("ec2", request.region).tags
    shown = [
        _view(one, all_tags.get(one.id, {}))
        for one in found
        if holds(
            request.params.get("Filters", ()),
            tags=all_tags.get(one.id, {}),
            attribute=lambda name, one=one: _attribute(one, name),
        )
    ]
    page, token = wire.page(shown, request, most=1000)
    return {"SpotInstanceRequests": page, "NextToken": token}


def _named(cloud: Cloud, request: wire.Request) -> list[SpotRequest]:
    found = []
    for identity in request.params.get("SpotInstanceRequestIds") or ():
        one = cloud.spot.get(identity)
        if one is None or one.life.region != request.region:
            raise wire.AwsError(
                "InvalidSpotInstanceRequestID.NotFound", f"The spot instance request ID '{identity}' does not exist"
            )
        found.append(one)
    return found


def _view(one: SpotRequest, tags: Mapping[str, str]) -> dict[str, Any]:
    life = one.life
    return {
        "SpotInstanceRequestId": one.id,
        "InstanceId": life.id,
        "State": one.state,
        "Status": {"Code": one.status, "Message": one.status, "UpdateTime": one.changed or one.made},
        "Type": one.type,
        "CreateTime": one.made,
        "SpotPrice": one.price or None,
        "InstanceInterruptionBehavior": "terminate",
        "LaunchedAvailabilityZone": life.instance.placement.zone,
        "ProductDescription": "Linux/UNIX",
        "LaunchSpecification": {"ImageId": life.instance.image_id, "InstanceType": life.kind.name},
        "Tags": tag_list(tags),
    }


def cancel_spot_instance_requests(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Cancel requests; their instances go on, as the API reference says."""
    cancelled = []
    for one in _named(cloud, request):
        if one.state == "active":
            one.state, one.status = "cancelled", "request-canceled-and-instance-running"
            one.changed = utcnow()
        cancelled.append({"SpotInstanceRequestId": one.id, "State": one.state})
    return {"CancelledSpotInstanceRequests": cancelled}


def legacy(_cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """RequestSpotInstances and RequestSpotFleet: AWS plans no investment in them, and the stand-in has none."""
    raise wire.AwsError("UnsupportedOperation", f"The stand-in has no {request.action}: use CreateFleet.")


HANDLERS = {
    ("ec2", "DescribeSpotInstanceRequests"): describe_spot_instance_requests,
    ("ec2", "CancelSpotInstanceRequests"): cancel_spot_instance_requests,
    ("ec2", "RequestSpotInstances"): legacy,
    ("ec2", "RequestSpotFleet"): legacy,
}
