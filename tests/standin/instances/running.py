"""RunInstances: so many instances of one type in one place, at least MinCount or none.

From the API reference: values of the request are taken over those of its launch template; without a subnet a default
one is taken, in the zone that is asked for or any; less than MinCount to be had is an error, with nothing launched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..api import wire
from ..fleets.allotment import Offer
from ..fleets.capacity import ON_DEMAND, SPOT
from ..fleets.offers import room_for, template_of
from ..money.prices import on_demand_usd, price_too_low
from ..network.subnets import check_place, places
from .describe import ACCOUNT, view
from .launch_data import check, merged
from .launching import Order, launch
from .machines import zones_offering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

NOT_DATA = ("MinCount", "MaxCount", "ClientToken", "DryRun", "LaunchTemplate")


def check_launch(cloud: Cloud, request: wire.Request) -> None:
    """Raise what EC2 says to a launch that is not asked for in earnest."""
    data = {key: value for key, value in request.params.items() if key not in NOT_DATA}
    market = (data.get("InstanceMarketOptions") or {}).get("MarketType", ON_DEMAND)
    check(cloud, region=request.region, data=data, market=market)
    for _, subnet in places(cloud, region=request.region, data=data):
        check_place(cloud, region=request.region, data=data, subnet=subnet)


def run_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Launch and answer with the instances, still pending."""
    given = request.params
    template = None
    data = {key: value for key, value in given.items() if key not in NOT_DATA}
    if given.get("LaunchTemplate"):
        identity, version, of_template = template_of(cloud, request.region, given["LaunchTemplate"])
        template, data = (identity, version), merged(of_template, data)
    market = (data.get("InstanceMarketOptions") or {}).get("MarketType", ON_DEMAND)
    check(cloud, region=request.region, data=data, market=market)
    spots = places(cloud, region=request.region, data=data)
    if template and (given.get("SubnetId") and data.get("NetworkInterfaces")):
        raise wire.AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        )
    (zone, subnet), count = _place(cloud, request, data, market=market, spots=spots)
    check_place(cloud, region=request.region, data=data, subnet=subnet)
    order = Order(
        region=request.region,
        zone=zone,
        subnet=subnet,
        name=data["InstanceType"],
        market=market,
        count=count,
        data=data,
        template=template,
        token=given.get("ClientToken", ""),
    )
    lives = launch(cloud, order, effects=request.effects)
    said = []
    for life in lives:
        slow, life.slow = life.slow, max(1, life.slow)
        said.append(view(life))
        life.slow = slow
    cloud.doom(lives, request.effects)
    return {"ReservationId": lives[0].reservation, "OwnerId": ACCOUNT, "Groups": [], "Instances": said}


def _place(
    cloud: Cloud, request: wire.Request, data: Mapping[str, Any], *, market: str, spots: list[tuple[str, str]]
) -> tuple[tuple[str, str], int]:
    """The place that gives most, and how many; or why none gives enough."""
    name = data["InstanceType"]
    least, most = int(request.params.get("MinCount", 1)), int(request.params.get("MaxCount", 1))
    sold = [(zone, subnet) for zone, subnet in spots if zone in zones_offering(name, request.region)]
    if not sold:
        raise wire.AwsError(
            "Unsupported",
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone"
            f" ({spots[0][0]}). Please retry your request by not specifying an Availability Zone or choosing"
            f" {', '.join(zones_offering(name, request.region))}.",
        )
    room = room_for(cloud, request, market)
    best: tuple[tuple[str, str], int] | None = None
    trouble: tuple[str, str] | None = None
    for zone, subnet in sold:
        usd = cloud.prices.spot_usd(name, zone) if market == SPOT else on_demand_usd(name, request.region)
        bid = ((data.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}).get("MaxPrice")
        if market == SPOT and bid and float(bid) < usd:
            trouble = trouble or price_too_low(float(bid), usd)
            continue
        count, why = room(Offer(override=0, name=name, zone=zone, subnet=subnet, usd=usd), most, {})
        trouble = trouble or why
        if count >= least and (best is None or count > best[1]):
            best = ((zone, subnet), count)
    if best is None:
        code, message = trouble or ("InsufficientInstanceCapacity", "There is no capacity.")
        raise wire.AwsError(code, message, status=500 if code == "InsufficientInstanceCapacity" else 400)
    return best


HANDLERS = {("ec2", "RunInstances"): run_instances}
