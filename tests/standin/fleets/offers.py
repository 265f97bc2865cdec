"""What a fleet's configuration comes to: variants of a launch template, and the pools that each may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..api import wire
from ..instances.launch_data import image_of, merged
from ..instances.machines import machine_type, matching, zones_offering
from ..money.prices import on_demand_usd
from ..money.quotas import exceeded
from ..network.subnets import free_addresses, places
from .allotment import Offer, Refusal, Room
from .capacity import SPOT, shortage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..cloud import Cloud


@dataclass(frozen=True)
class Variant:
    """One override of one launch template."""

    template: str
    version: str
    data: Mapping[str, Any]
    override: Mapping[str, Any]


def template_of(cloud: Cloud, region: str, specification: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Id, version and data of a launch template; `$Latest` and `$Default` are resolved."""
    backend = cloud.moto.backend("ec2", region)
    identity, name = specification.get("LaunchTemplateId"), specification.get("LaunchTemplateName")
    if name:
        identity = backend.launch_template_name_to_ids.get(name)
        if identity is None:
            raise wire.AwsError(
                "InvalidLaunchTemplateName.NotFoundException",
                f"The specified launch template, with template name {name}, does not exist.",
            )
    if identity not in backend.launch_templates:
        raise wire.AwsError(
            "InvalidLaunchTemplateId.NotFound",
            f"The specified launch template, with template ID {identity}, does not exist.",
        )
    template = backend.launch_templates[identity]
    said = str(specification.get("Version") or "$Default")
    number = {"$Latest": template.latest_version_number, "$Default": template.default_version_number}.get(said, said)
    if not str(number).isdecimal() or not 0 < int(number) <= len(template.versions):
        raise wire.AwsError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {said} for the launch template with ID {identity}.",
        )
    data = plain(template.versions[int(number) - 1].data)
    # moto writes the template's own tags among those of what is launched from it.
    ours = [each for each in data.get("TagSpecifications", ()) if each["ResourceType"] != "launch-template"]
    return str(identity), str(number), {**data, "TagSpecifications": ours}


def plain(value: Any) -> Any:
    """moto's parsed parameters as plain dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def variants_of(cloud: Cloud, region: str, configs: Iterable[Mapping[str, Any]]) -> list[Variant]:
    """Every override of every template; a template without overrides is one variant."""
    found = []
    for config in configs:
        identity, version, data = template_of(cloud, region, config["LaunchTemplateSpecification"])
        found += [Variant(identity, version, data, override) for override in config.get("Overrides") or [{}]]
    return found


def offers_of(
    cloud: Cloud, region: str, variant: Variant, *, index: int, market: str
) -> tuple[list[Offer], list[Refusal]]:
    """The pools of a variant, and those that cannot be: a zone without the type, a subnet that is not there."""
    override = variant.override
    data = merged(variant.data, {key: override.get(key) for key in ("ImageId", "Placement", "AvailabilityZone")})
    if override.get("SubnetId"):
        nics = [{**nic, "SubnetId": override["SubnetId"]} for nic in data.get("NetworkInterfaces", ())]
        data = {**data, "NetworkInterfaces": nics} if nics else {**data, "SubnetId": override["SubnetId"]}
    names = _types(cloud, region, variant, data)
    found: list[Offer] = []
    refused: list[Refusal] = []
    bid = override.get("MaxPrice") or ((data.get("InstanceMarketOptions") or {}).get("SpotOptions") or {}).get(
        "MaxPrice"
    )
    spots = places(cloud, region=region, data=data)
    for name in names:
        kind, zones = machine_type(name), zones_offering(name, region)
        if kind is None or not zones:
            raise wire.AwsError("InvalidFleetConfig", f"Invalid: Parameter: InstanceTypes. Unsupported type {name}")
        for zone, subnet in spots:
            sold = zone in zones and (kind.spot or market != SPOT)
            offer = Offer(
                override=index,
                name=name,
                zone=zone,
                subnet=subnet,
                usd=cloud.prices.spot_usd(name, zone) if market == SPOT else on_demand_usd(name, region),
                most_usd=float(bid) if bid and market == SPOT else None,
                priority=override.get("Priority"),
                weight=override.get("WeightedCapacity") or 1.0,
            )
            if sold:
                found.append(offer)
            elif len(spots) == 1:
                refused.append(
                    Refusal(
                        offer,
                        "InvalidFleetConfiguration",
                        f"Your requested instance type ({name}) is not supported in your requested Availability Zone"
                        f" ({zone}).",
                    )
                )
    return found, refused


def _types(cloud: Cloud, region: str, variant: Variant, data: Mapping[str, Any]) -> list[str]:
    requirements = variant.override.get("InstanceRequirements") or (
        variant.data.get("InstanceRequirements") if not variant.override.get("InstanceType") else None
    )
    if not requirements:
        name = variant.override.get("InstanceType") or variant.data.get("InstanceType")
        if not name:
            raise wire.AwsError("InvalidFleetConfig", "The fleet configuration names no instance type")
        return [name]
    image = image_of(cloud, region=region, identity=data.get("ImageId", ""))
    names = matching(requirements, region=region, architecture=image.architecture)
    if not names:
        raise wire.AwsError("InvalidFleetConfig", "No instance type meets the InstanceRequirements")
    return names


def room_for(cloud: Cloud, request: wire.Request, market: str) -> Room:
    """What limits an offer beside its price: capacity of the pool, quota of the region, addresses of the subnet."""
    effects = request.effects
    used = cloud.lives.vcpus(request.region, market)

    def room(offer: Offer, wanted: int, given: dict[Offer, int]) -> tuple[int, tuple[str, str] | None]:
        pool = (offer.name, offer.zone, market)
        count: int = wanted
        why: tuple[str, str] | None = None
        capacity = effects.room(cloud, pool)
        if capacity is not None:
            taken = sum(number for each, number in given.items() if (each.name, each.zone) == pool[:2])
            if capacity - taken < count:
                count = max(0, capacity - taken)
                others = [zone for zone in zones_offering(offer.name, request.region) if zone != offer.zone]
                code, message = shortage(pool, others=others)
                why = (effects.shortage_code or code, effects.shortage_message or message)
        kind = machine_type(offer.name)
        assert kind is not None
        quota = effects.quota(cloud, market)
        asked = sum(number * _standard_cpus(each.name) for each, number in given.items())
        if kind.standard and used + asked + count * kind.vcpus > quota:
            count = max(0, int((quota - used - asked) // kind.vcpus))
            why = exceeded(market, quota)
        free = free_addresses(cloud, region=request.region, subnet=offer.subnet)
        free -= sum(number for each, number in given.items() if each.subnet == offer.subnet)
        if free < count:
            count = max(0, free)
            why = (
                "InsufficientFreeAddressesInSubnet",
                (
                    f"There are not enough free addresses in subnet '{offer.subnet}' to satisfy the requested number of"
                    " instances."
                ),
            )
        return count, why

    return room


def _standard_cpus(name: str) -> int:
    kind = machine_type(name)
    return kind.vcpus if kind and kind.standard else 0
