"""Current prices of instances and disks: spot prices from EC2, all others from the price list of AWS.

EC2 answers a time range with the changes in it and the last one before it
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html): a range that
begins now gives the present prices. The price list takes several types at once, as a comma list of at most 1024
characters
(https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_Filter.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from clusterctl.providers.ec2.aws import Aws

HOURS_A_MONTH = 730
"""Divides a disk's monthly price: a twelfth of a year, as in AWS's calculator."""
_HOME = "us-east-1"
"""The region that serves the price list of all regions."""
_LIST_LENGTH = 1024
_SYSTEM = ["Linux/UNIX"]


@dataclass(frozen=True)
class SpotPrice:
    """The price of an instance type in a zone, in USD an hour, from a time on."""

    instance_type: str
    zone: str
    usd: Decimal
    since: datetime


SpotHistory = dict[tuple[str, str], list[SpotPrice]]
"""Price changes by type and zone, the oldest first."""


def fetch_spot_prices(aws: Aws, instance_types: Iterable[str], *, zone: str = "") -> list[SpotPrice]:
    """Return the present spot prices of these types, in each zone or only the given one. One call."""
    newest: dict[tuple[str, str], SpotPrice] = {}
    for price in _fetch_changes(aws, instance_types, zone=zone, StartTime=utc_now()):
        before = newest.get((price.instance_type, price.zone))
        if before is None or before.since < price.since:
            newest[price.instance_type, price.zone] = price
    return [newest[key] for key in sorted(newest)]


def fetch_spot_history(
    aws: Aws, instance_types: Iterable[str], *, start: datetime, end: datetime, zone: str = ""
) -> SpotHistory:
    """Return the spot price changes; the first of each pool is valid at `start`, if EC2 still knows it."""
    changes: SpotHistory = {}
    for price in _fetch_changes(aws, instance_types, zone=zone, StartTime=start, EndTime=end):
        changes.setdefault((price.instance_type, price.zone), []).append(price)
    return {key: _changes_from(sorted(changes[key], key=lambda price: price.since), start) for key in sorted(changes)}


def _changes_from(changes: list[SpotPrice], start: datetime) -> list[SpotPrice]:
    """Return the changes without those that ended before the start. The last change before it counts from the start."""
    before = [price for price in changes if price.since <= start]
    after = [price for price in changes if price.since > start]
    return [SpotPrice(before[-1].instance_type, before[-1].zone, before[-1].usd, start), *after] if before else after


def _fetch_changes(aws: Aws, instance_types: Iterable[str], *, zone: str, **times: datetime) -> Iterator[SpotPrice]:
    zone_filter = {"AvailabilityZone": zone} if zone else {}
    sorted_types = sorted(set(instance_types))
    if not sorted_types:
        return
    for raw in aws.pages(
        "ec2",
        "describe_spot_price_history",
        "SpotPriceHistory",
        InstanceTypes=sorted_types,
        ProductDescriptions=_SYSTEM,
        **times,
        **zone_filter,
    ):
        yield SpotPrice(raw["InstanceType"], raw["AvailabilityZone"], Decimal(raw["SpotPrice"]), raw["Timestamp"])


def mean_price(changes: Sequence[SpotPrice], start: datetime, end: datetime) -> Decimal:
    """Return the mean price of an hour over this time.

    Args:
        changes: of one type and zone, the oldest first. The first price counts for the time before it, too.
        start: of the time.
        end: of the time. If it equals the start, the result is the price of that moment.
    """
    total, began, price = Decimal(0), start, changes[0].usd
    for change in changes:
        if change.since >= end:
            break
        if change.since > began:
            total += price * _seconds_between(began, change.since)
            began = change.since
        price = change.usd
    total += price * _seconds_between(began, end)
    length = _seconds_between(start, end)
    return total / length if length > 0 else price


def _seconds_between(start: datetime, end: datetime) -> Decimal:
    return Decimal(str((end - start).total_seconds()))


def fetch_on_demand_prices(aws: Aws, instance_types: Iterable[str]) -> dict[str, Decimal]:
    """Return the on-demand price of each type, in USD an hour; types that the price list lacks are left out.

    One call, a second one past some eighty types.
    """
    filters = {
        "regionCode": aws.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    prices: dict[str, Decimal] = {}
    for names in _comma_lists(sorted(set(instance_types))):
        for product in _fetch_products(aws, {**filters, "instanceType": names}):
            attributes = product["product"]["attributes"]
            if attributes.get("marketoption", "OnDemand") == "OnDemand":
                for price in _unit_prices(product, "Hrs"):
                    prices[attributes["instanceType"]] = price
    return prices


def fetch_disk_price(aws: Aws, volume_type: str) -> Decimal | None:
    """Return the price of a GB of this volume type for a month, in USD; None if the list lacks it. One call."""
    filters = {"regionCode": aws.region, "productFamily": "Storage", "volumeApiName": volume_type}
    return next((price for product in _fetch_products(aws, filters) for price in _unit_prices(product, "GB-Mo")), None)


def _comma_lists(names: Iterable[str]) -> Iterator[str]:
    """Yield comma lists of limited length."""
    line = ""
    for name in names:
        if line and len(line) + 1 + len(name) > _LIST_LENGTH:
            yield line
            line = ""
        line = f"{line},{name}" if line else name
    if line:
        yield line


def _fetch_products(aws: Aws, attributes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    filters = [
        {"Field": field, "Type": "ANY_OF" if "," in value else "TERM_MATCH", "Value": value}
        for field, value in attributes.items()
    ]
    home = aws.in_region(_HOME)
    for text in home.pages("pricing", "get_products", "PriceList", ServiceCode="AmazonEC2", Filters=filters):
        yield json.loads(text)


def _unit_prices(product: Mapping[str, Any], unit: str) -> Iterator[Decimal]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = Decimal(dimension["pricePerUnit"].get("USD", "0"))
            if dimension["unit"] == unit and price > 0:
                yield price
