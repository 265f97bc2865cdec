"""CreateFleet of type instant, and what may be asked about a fleet afterwards.

From the API reference of CreateFleet and "Configure an EC2 Fleet of type instant": one synchronous attempt; what could
not be had is in Errors, which says nothing of whether the target was met; tags of the request go on the fleet and, for
this type, on instances, volumes and interfaces, no other kind; a fleet of this type is described only by its id and
deleted only with its instances. The other types of fleet are not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ec2.utils import random_fleet_id

from ..api import wire
from ..instances.describe import tag_list
from ..instances.launch_data import check, merged, tags_by_kind
from ..instances.launching import Order, launch
from ..instances.lives import Life, utcnow
from ..instances.states import BY_USER, end
from ..network.subnets import check_place
from .allotment import Allotment, Offer, Refusal, Wish, allot
from .capacity import ON_DEMAND, SPOT
from .offers import Variant, offers_of, room_for, variants_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ..cloud import Cloud


@dataclass
class Fleet:
    """One instant fleet and what came of it."""

    id: str
    region: str
    params: Mapping[str, Any]
    made: datetime
    answer: dict[str, Any]
    lives: list[Life] = field(default_factory=list)
    state: str = "active"


def create_fleet(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Launch once, say what came and what did not."""
    given = request.params
    _check(given)
    tags = tags_by_kind(given.get("TagSpecifications", ()))
    fleet = Fleet(random_fleet_id(), request.region, given, utcnow(), {})
    variants = variants_of(cloud, request.region, given["LaunchTemplateConfigs"])
    instances: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for wish in _wishes(given):
        got = _allot(cloud, request, wish, variants=variants)
        for offer, count in got.given:
            variant = variants[offer.override]
            order = Order(
                region=request.region,
                zone=offer.zone,
                subnet=offer.subnet,
                name=offer.name,
                market=wish.market,
                count=count,
                data=_data(variant, offer, tags=given.get("TagSpecifications", ())),
                template=(variant.template, variant.version),
                fleet=fleet.id,
            )
            lives = launch(cloud, order, effects=request.effects)
            fleet.lives += lives
            instances.append(_launched(variant, offer, wish.market, lives))
        errors += [_refused(variants[each.offer.override], each, wish.market) for each in got.refused]
    cloud.doom(fleet.lives, request.effects)
    cloud.moto.backend("ec2", request.region).tags[fleet.id].update(tags.get("fleet", {}))
    cloud.fleets[fleet.id] = fleet
    fleet.answer = {"FleetId": fleet.id, "Errors": errors, "Instances": instances}
    return fleet.answer


def _check(given: Mapping[str, Any]) -> None:
    if given.get("Type", "maintain") != "instant":
        raise wire.AwsError("UnsupportedOperation", "The stand-in has fleets of type instant only.")
    for key in ("SpotOptions", "OnDemandOptions"):
        options = given.get(key) or {}
        if options.get("MinTargetCapacity") and not (
            options.get("SingleInstanceType") or options.get("SingleAvailabilityZone")
        ):
            raise wire.AwsError(
                "InvalidParameterCombination",
                "MinTargetCapacity requires SingleInstanceType or SingleAvailabilityZone.",
            )
    overrides = [each for config in given["LaunchTemplateConfigs"] for each in config.get("Overrides", ())]
    if len(overrides) > 300:
        raise wire.AwsError("InvalidParameterValue", "Your request contains more than 300 launch template overrides")
    if sum(1 for each in overrides if each.get("InstanceRequirements")) > 4:
        raise wire.AwsError(
            "InvalidParameterValue",
            "Your request contains more than the maximum allowed number of InstanceRequirements (4)",
        )


def _wishes(given: Mapping[str, Any]) -> Iterator[Wish]:
    target = given["TargetCapacitySpecification"]
    wanted = {ON_DEMAND: target.get("OnDemandTargetCapacity", 0), SPOT: target.get("SpotTargetCapacity", 0)}
    rest = target["TotalTargetCapacity"] - sum(wanted.values())
    if rest < 0:
        raise wire.AwsError("InvalidTargetCapacitySpecification", "The parts are more than TotalTargetCapacity.")
    wanted[target.get("DefaultTargetCapacityType", ON_DEMAND)] += rest
    for market, key in ((ON_DEMAND, "OnDemandOptions"), (SPOT, "SpotOptions")):
        options = given.get(key) or {}
        most = options.get("MaxTotalPrice")
        yield Wish(
            market=market,
            target=wanted[market],
            strategy=options.get("AllocationStrategy", "lowest-price"),
            single_zone=bool(options.get("SingleAvailabilityZone")),
            single_type=bool(options.get("SingleInstanceType")),
            least=options.get("MinTargetCapacity") or 0,
            most_usd=float(most) if most else None,
        )


def _allot(cloud: Cloud, request: wire.Request, wish: Wish, *, variants: list[Variant]) -> Allotment:
    if wish.target <= 0:
        return Allotment()
    offers: list[Offer] = []
    refused: list[Refusal] = []
    for index, variant in enumerate(variants):
        found, wrong = offers_of(cloud, request.region, variant, index=index, market=wish.market)
        refused += wrong
        good: dict[tuple[str, str], bool] = {}
        for offer in found:
            key = (offer.name, offer.subnet)
            if key not in good:
                data = _data(variant, offer, tags=request.params.get("TagSpecifications", ()))
                try:
                    check(cloud, region=request.region, data=data, market=wish.market)
                    check_place(cloud, region=request.region, data=data, subnet=offer.subnet)
                except wire.AwsError as error:
                    refused.append(Refusal(offer, error.code, error.message))
                good[key] = not refused or refused[-1].offer is not offer
            if good[key]:
                offers.append(offer)
    room = room_for(cloud, request, wish.market)
    got = allot(wish, offers, room)
    return Allotment(got.given, (*refused, *got.refused))


def _data(variant: Variant, offer: Offer, *, tags: Any) -> dict[str, Any]:
    """The launch data of one offer: the template's, the override's over it, the tags of the request."""
    ours = [each for each in tags if each["ResourceType"] != "fleet"]
    over = {
        key: value
        for key, value in variant.override.items()
        if key in ("ImageId", "KeyName", "BlockDeviceMappings", "Placement", "IamInstanceProfile", "MetadataOptions")
    }
    data = merged(variant.data, {**over, "TagSpecifications": ours})
    return {**data, "InstanceType": offer.name}


def _together(variant: Variant, offer: Offer) -> dict[str, Any]:
    specification = {"LaunchTemplateId": variant.template, "Version": variant.version}
    # As users of EC2 report, it repeats what the override said, and the zone only where the override named it.
    override = {key: value for key, value in variant.override.items() if key != "InstanceRequirements"}
    return {"LaunchTemplateSpecification": specification, "Overrides": {**override, "InstanceType": offer.name}}


def _launched(variant: Variant, offer: Offer, market: str, lives: list[Life]) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": _together(variant, offer),
        "Lifecycle": market,
        "InstanceIds": [life.id for life in lives],
        "InstanceType": offer.name,
        "AvailabilityZone": offer.zone,
        "SubnetId": offer.subnet,
    }


def _refused(variant: Variant, refusal: Refusal, market: str) -> dict[str, Any]:
    return {
        "LaunchTemplateAndOverrides": _together(variant, refusal.offer),
        "Lifecycle": market,
        "ErrorCode": refusal.code,
        "ErrorMessage": refusal.message,
    }


def _named(cloud: Cloud, request: wire.Request) -> list[Fleet]:
    found = []
    for identity in request.params.get("FleetIds") or ():
        fleet = cloud.fleets.get(identity)
        if fleet is None or fleet.region != request.region:
            raise wire.AwsError("InvalidFleetId.NotFound", f"The fleet ID '{identity}' does not exist")
        found.append(fleet)
    return found


def describe_fleets(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The fleets of these ids: without ids there is none, since all are instant."""
    return {"Fleets": [_view(cloud, fleet) for fleet in _named(cloud, request)]}


def _view(cloud: Cloud, fleet: Fleet) -> dict[str, Any]:
    target = fleet.params["TargetCapacitySpecification"]
    return {
        "FleetId": fleet.id,
        "FleetState": fleet.state,
        "Type": "instant",
        "CreateTime": fleet.made,
        "ActivityStatus": "fulfilled",
        "TargetCapacitySpecification": target,
        "FulfilledCapacity": float(len(fleet.lives)),
        "Errors": fleet.answer["Errors"],
        "Instances": fleet.answer["Instances"],
        "ClientToken": fleet.params.get("ClientToken", ""),
        "Tags": tag_list(cloud.moto.backend("ec2", fleet.region).tags.get(fleet.id, {})),
    }


def describe_fleet_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Not for instant fleets, says EC2."""
    _named(cloud, wire.Request("ec2", "", request.region, {"FleetIds": [request.params["FleetId"]]}))
    raise wire.AwsError("Unsupported", "DescribeFleetInstances does not support fleets of type instant.")


def delete_fleets(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Delete fleets and end their instances; at most 25 at once, and never without the instances."""
    if len(request.params.get("FleetIds") or ()) > 25:
        raise wire.AwsError("InvalidParameterValue", "At most 25 fleets of type instant can be deleted at once.")
    done, failed = [], []
    for identity in request.params.get("FleetIds") or ():
        fleet = cloud.fleets.get(identity)
        if fleet is None or fleet.region != request.region:
            failed.append((identity, "fleetIdDoesNotExist", "The fleet does not exist."))
        elif not request.params.get("TerminateInstances", True) and any(
            life.settled != "terminated" for life in fleet.lives
        ):
            failed.append((identity, "unexpectedError", "NoTerminateInstances is not supported for instant fleets."))
        else:
            before, fleet.state = fleet.state, "deleted_terminating"
            for life in fleet.lives:
                end(cloud, life, reason=BY_USER, status="instance-terminated-by-user", slow=request.effects.slow)
            done.append({"FleetId": identity, "CurrentFleetState": fleet.state, "PreviousFleetState": before})
    return {
        "SuccessfulFleetDeletions": done,
        "UnsuccessfulFleetDeletions": [
            {"FleetId": identity, "Error": {"Code": code, "Message": message}} for identity, code, message in failed
        ],
    }


HANDLERS = {
    ("ec2", "CreateFleet"): create_fleet,
    ("ec2", "DescribeFleets"): describe_fleets,
    ("ec2", "DescribeFleetInstances"): describe_fleet_instances,
    ("ec2", "DeleteFleets"): delete_fleets,
}
