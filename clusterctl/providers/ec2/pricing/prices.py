"""What AWS asks for instances and disks: spot prices from EC2, all others from its price list.

Spot prices of a time come with the last change before it
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html): the prices of now are those
since now. The price list answers for several types at once, in a comma list of at most 1024 characters
(https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_Filter.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws

HOURS_A_MONTH = 730
"""Of a disk's price, which is said by the month: a twelfth of a year, as in AWS's calculator."""
_HOME = "us-east-1"
"""Where the price list of all regions is."""
_LIST_LENGTH = 1024
_SYSTEM = ["Linux/UNIX"]


@dataclass(frozen=True)
class SpotPrice:
    """What an hour of a type costs in a zone, since when."""

    kind: str
    zone: str
    usd: Decimal
    since: datetime


History = dict[tuple[str, str], list[SpotPrice]]
"""Changes by type and zone, the oldest first."""


def spot_now(aws: Aws, kinds: Iterable[str], *, zone: str = "") -> list[SpotPrice]:
    """The spot prices of these types at this moment, in each zone or only the given one. One call."""
    newest: dict[tuple[str, str], SpotPrice] = {}
    for price in _history(aws, kinds, zone=zone, StartTime=datetime.now(timezone.utc)):
        before = newest.get((price.kind, price.zone))
        if before is None or before.since < price.since:
            newest[price.kind, price.zone] = price
    return [newest[key] for key in sorted(newest)]


def spot_history(aws: Aws, kinds: Iterable[str], *, start: datetime, end: datetime, zone: str = "") -> History:
    """How spot prices went; the first change of each is in force at `start`, where EC2 remembers that."""
    found: History = {}
    for price in _history(aws, kinds, zone=zone, StartTime=start, EndTime=end):
        found.setdefault((price.kind, price.zone), []).append(price)
    return {key: _between(sorted(found[key], key=lambda price: price.since), start) for key in sorted(found)}


def _between(changes: list[SpotPrice], start: datetime) -> list[SpotPrice]:
    """Without what was over before the start; the change before it counts from the start on."""
    before = [price for price in changes if price.since <= start]
    after = [price for price in changes if price.since > start]
    return [SpotPrice(before[-1].kind, before[-1].zone, before[-1].usd, start), *after] if before else after


def _history(aws: Aws, kinds: Iterable[str], *, zone: str, **times: datetime) -> Iterator[SpotPrice]:
    where = {"AvailabilityZone": zone} if zone else {}
    wanted = sorted(set(kinds))
    if not wanted:
        return
    for said in aws.pages(
        "ec2",
        "describe_spot_price_history",
        "SpotPriceHistory",
        InstanceTypes=wanted,
        ProductDescriptions=_SYSTEM,
        **times,
        **where,
    ):
        yield SpotPrice(said["InstanceType"], said["AvailabilityZone"], Decimal(said["SpotPrice"]), said["Timestamp"])


def mean(changes: Sequence[SpotPrice], start: datetime, end: datetime) -> Decimal:
    """The price of an hour on average over this time.

    Args:
        changes: of one type and zone, the oldest first; the first one counts for what is before it, too.
        start: of the time.
        end: of the time; at the start, the price of that moment is meant.
    """
    total, began, price = Decimal(0), start, changes[0].usd
    for change in changes:
        if change.since >= end:
            break
        if change.since > began:
            total += price * _seconds(began, change.since)
            began = change.since
        price = change.usd
    total += price * _seconds(began, end)
    length = _seconds(start, end)
    return total / length if length > 0 else price


def _seconds(start: datetime, end: datetime) -> Decimal:
    return Decimal(str((end - start).total_seconds()))


def on_demand(aws: Aws, kinds: Iterable[str]) -> dict[str, Decimal]:
    """An hour of each of these types on demand, in USD; what the list does not have is left out.

    One call, a second one past some eighty types.
    """
    same = {
        "regionCode": aws.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    found: dict[str, Decimal] = {}
    for names in _lists(sorted(set(kinds))):
        for product in _products(aws, {**same, "instanceType": names}):
            facts = product["product"]["attributes"]
            if facts.get("marketoption", "OnDemand") == "OnDemand":
                for price in _prices(product, "Hrs"):
                    found[facts["instanceType"]] = price
    return found


def disk(aws: Aws, volume_type: str) -> Decimal | None:
    """A GB of this kind of disk for a month, in USD; None where the list does not have it. One call."""
    filters = {"regionCode": aws.region, "productFamily": "Storage", "volumeApiName": volume_type}
    return next((price for product in _products(aws, filters) for price in _prices(product, "GB-Mo")), None)


def _lists(names: Iterable[str]) -> Iterator[str]:
    """Comma lists that are not too long."""
    line = ""
    for name in names:
        if line and len(line) + 1 + len(name) > _LIST_LENGTH:
            yield line
            line = ""
        line = f"{line},{name}" if line else name
    if line:
        yield line


def _products(aws: Aws, attributes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    filters = [
        {"Field": field, "Type": "ANY_OF" if "," in value else "TERM_MATCH", "Value": value}
        for field, value in attributes.items()
    ]
    home = aws.elsewhere(_HOME)
    for text in home.pages("pricing", "get_products", "PriceList", ServiceCode="AmazonEC2", Filters=filters):
        yield json.loads(text)


def _prices(product: Mapping[str, Any], unit: str) -> Iterator[Decimal]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = Decimal(dimension["pricePerUnit"].get("USD", "0"))
            if dimension["unit"] == unit and price > 0:
                yield price
