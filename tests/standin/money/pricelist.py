"""The Pricing API: GetProducts for instances, disks and public addresses, as JSON texts like the real ones.

Every instance type is there several times, as on AWS: Linux and Windows, shared and dedicated, used and reserved
capacity. Who leaves a filter out gets the wrong ones as well. Prices are those of `prices`; Windows and dedicated cost
more, reserved capacity that is in use costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.session import Session
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from ..api import wire
from ..instances.machines import machine_type, types_in
from .prices import on_demand_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..cloud import Cloud

VOLUMES = {
    "gp3": ("General Purpose", "VolumeUsage.gp3", 0.08),
    "gp2": ("General Purpose", "VolumeUsage.gp2", 0.10),
    "io1": ("Provisioned IOPS", "VolumeUsage.piops", 0.125),
    "io2": ("Provisioned IOPS", "VolumeUsage.io2", 0.125),
    "st1": ("Throughput Optimized HDD", "VolumeUsage.st1", 0.045),
    "sc1": ("Cold HDD", "VolumeUsage.sc1", 0.015),
    "standard": ("Magnetic", "VolumeUsage", 0.05),
}
ADDRESS_USD = 0.005
_TERM = "JRTCKXETXF"
_RATE = "6YS6EN2CT7"


@cache
def _location(region: str) -> str:
    for partition in Session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"]).replace("Europe", "EU")
    return region


def _text(family: str, attributes: Mapping[str, str], *, usd: float, unit: str, service: str, what: str) -> str:
    sku = hashlib.sha256(json.dumps([family, attributes], sort_keys=True).encode()).hexdigest()[:16].upper()
    dimension = {
        "unit": unit,
        "endRange": "Inf",
        "description": f"${usd} per {what}",
        "appliesTo": [],
        "rateCode": f"{sku}.{_TERM}.{_RATE}",
        "beginRange": "0",
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    term = {
        "priceDimensions": {f"{sku}.{_TERM}.{_RATE}": dimension},
        "sku": sku,
        "effectiveDate": "2025-06-01T00:00:00Z",
        "offerTermCode": _TERM,
        "termAttributes": {},
    }
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": attributes, "sku": sku},
            "serviceCode": service,
            "terms": {"OnDemand": {f"{sku}.{_TERM}": term}},
            "version": "20250601000000",
            "publicationDate": "2025-06-01T00:00:00Z",
        }
    )


def _instances(region: str, name: str) -> Iterator[tuple[dict[str, str], str, float]]:
    kind, said = machine_type(name), INSTANCE_TYPES[name]
    assert kind is not None
    base = on_demand_usd(name, region)
    for system, extra in (("Linux", 1.0), ("Windows", 1.6)):
        for tenancy, more in (("Shared", 1.0), ("Dedicated", 1.1)):
            for status in ("Used", "UnusedCapacityReservation", "AllocatedCapacityReservation"):
                usd = 0.0 if status == "AllocatedCapacityReservation" else round(base * extra * more, 4)
                word = {"Used": "BoxUsage", "UnusedCapacityReservation": "UnusedBox"}.get(status, "Reservation")
                yield (
                    {
                        "servicecode": "AmazonEC2",
                        "servicename": "Amazon Elastic Compute Cloud",
                        "location": _location(region),
                        "locationType": "AWS Region",
                        "regionCode": region,
                        "instanceType": name,
                        "currentGeneration": "Yes" if said["CurrentGeneration"] else "No",
                        "vcpu": str(kind.vcpus),
                        "memory": f"{kind.memory_mib / 1024:g} GiB",
                        "operatingSystem": system,
                        "tenancy": tenancy,
                        "capacitystatus": status,
                        "preInstalledSw": "NA",
                        "licenseModel": "No License required",
                        "marketoption": "OnDemand",
                        "operation": "RunInstances" if system == "Linux" else "RunInstances:0002",
                        "usagetype": f"{word}:{name}",
                    },
                    f"{tenancy} {system} {name} Instance Hour",
                    usd,
                )


@dataclass(frozen=True)
class _Product:
    """One product; its text is only written if it is asked for."""

    family: str
    attributes: Mapping[str, str]
    usd: float
    unit: str
    what: str

    def fits(self, filters: list[Mapping[str, str]]) -> bool:
        return all(_fits({**self.attributes, "productFamily": self.family}, each) for each in filters)

    def text(self) -> str:
        service = self.attributes["servicecode"]
        return _text(self.family, self.attributes, usd=self.usd, unit=self.unit, service=service, what=self.what)


def _products(service: str, regions: list[str], names: list[str] | None) -> Iterator[_Product]:
    for region in regions:
        place = {"servicecode": service, "regionCode": region, "location": _location(region)}
        if service == "AmazonVPC":
            usage = {"group": "VPCPublicIPv4Address", "usagetype": "PublicIPv4:InUseAddress", "operation": ""}
            yield _Product("VpcPublicIPv4Address", {**place, **usage}, ADDRESS_USD, "Hrs", "address")
            continue
        for api, (kind, usage_type, usd) in () if names else VOLUMES.items():
            usage = {"volumeApiName": api, "volumeType": kind, "usagetype": f"EBS:{usage_type}"}
            yield _Product("Storage", {**place, **usage}, usd, "GB-Mo", "GB-month")
        for name in names or types_in(region):
            if name in types_in(region):
                for attributes, what, usd in _instances(region, name):
                    yield _Product("Compute Instance", attributes, usd, "Hrs", what)


def _fits(attributes: Mapping[str, str], each: Mapping[str, str]) -> bool:
    value, wanted = attributes.get(each["Field"]), each["Value"]
    if each["Type"] in ("TERM_MATCH", "EQUALS"):
        return value == wanted
    if each["Type"] == "CONTAINS":
        return value is not None and wanted in value
    among = [word.strip() for word in wanted.split(",")]
    return value in among if each["Type"] == "ANY_OF" else value not in among


def get_products(_cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The products that fit all filters, at most 100 a page."""
    given = request.params
    if given["ServiceCode"] not in ("AmazonEC2", "AmazonVPC"):
        raise wire.AwsError("NotFoundException", f"The service {given['ServiceCode']} is not known here.")
    filters = given.get("Filters") or []
    regions = _named(filters, "regionCode") or sorted(INSTANCE_TYPE_OFFERINGS["availability-zone"])
    names = _named(filters, "instanceType")
    found = [one for one in _products(given["ServiceCode"], regions, names) if one.fits(filters)]
    page, token = wire.page(found, request, most=100)
    answer = {"FormatVersion": "aws_v1", "PriceList": [one.text() for one in page]}
    return {**answer, "NextToken": token} if token else answer


def _named(filters: list[Mapping[str, str]], field: str) -> list[str] | None:
    for each in filters:
        if each["Field"] == field and each["Type"] in ("TERM_MATCH", "EQUALS", "ANY_OF"):
            return [word.strip() for word in each["Value"].split(",")]
    return None


HANDLERS = {("pricing", "GetProducts"): get_products}
