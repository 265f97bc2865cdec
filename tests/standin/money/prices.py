"""What things cost here: made up, but of the right size, the same each time, and different in each zone.

The on-demand price follows CPUs, memory and region. A spot price is a quarter to six tenths of it, changes every six
hours, and stays below it; `set_spot` fixes the present one. DescribeSpotPriceHistory answers as the API reference says:
with a start and an end, the prices of that time and the last change before it; without a start, those of 90 days; an
end alone in the past is heeded too.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import time
from ..api import wire
from ..api.filters import matches
from ..instances.machines import machine_type, types_in, zones_offering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..cloud import Cloud

STEP = timedelta(hours=6)
_EPOCH = datetime(2025, 1, 1, tzinfo=timezone.utc)


def _share(*words: object) -> float:
    """A number from 0 to 1 that is always the same for these words."""
    return int(hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def on_demand_usd(name: str, region: str) -> float:
    """Dollars an hour for one Linux instance."""
    kind = machine_type(name)
    assert kind is not None
    base = 0.0388 * kind.vcpus + 0.0029 * kind.memory_mib / 1024
    small = 0.45 if name.startswith("t") else 1.0
    arm = 0.8 if kind.architectures == ("arm64",) else 1.0
    place = 1.0 if region in ("us-east-1", "us-east-2", "us-west-2") else 1.05 + 0.25 * _share(region)
    return round(base * small * arm * place, 4)


def price_too_low(bid: float, usd: float) -> tuple[str, str]:
    """Code and message for a bid below the spot price."""
    return (
        "SpotMaxPriceTooLow",
        (
            f"Your Spot request price of {bid:g} is lower than the minimum required Spot request fulfillment price of"
            f" {usd:g}."
        ),
    )


class Prices:
    """The spot prices: made up by rule, with those that a test has set."""

    def __init__(self) -> None:
        self._set: dict[tuple[str, str], tuple[datetime, float]] = {}

    def set_spot(self, name: str, zone: str, usd: float) -> None:
        """From now on a spot instance of this type costs this much in this zone."""
        self._set[name, zone] = (time.now(), usd)

    def spot_usd(self, name: str, zone: str, *, at: datetime | None = None) -> float:
        """Dollars an hour for one spot instance, now or at another time."""
        now = at or time.now()
        fixed = self._set.get((name, zone))
        if fixed and now >= fixed[0]:
            return fixed[1]
        period = (now - _EPOCH) // STEP
        share = 0.28 + 0.25 * _share(name, zone) + 0.07 * _share(name, zone, period)
        return round(on_demand_usd(name, zone[:-1]) * share, 4)

    def changes(self, name: str, zone: str, *, start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
        """The changes from start to end, newest first, and the one before the start."""
        fixed = self._set.get((name, zone))
        if fixed and fixed[0] <= end:
            yield fixed[0], fixed[1]
            if fixed[0] <= start:
                return
        when = _EPOCH + STEP * ((end - _EPOCH) // STEP)
        while True:
            if not fixed or when < fixed[0]:
                yield when, self.spot_usd(name, zone, at=when)
                if when <= start:
                    return
            when -= STEP


def describe_spot_price_history(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The history of pools, newest first in each, in pages of at most 1000."""
    size = int(request.params.get("MaxResults") or 1000)
    start = int(request.params.get("NextToken") or 0)
    rows = list(islice(_rows(cloud, request), start, start + size + 1))
    token = str(start + size) if len(rows) > size else ""
    return {"SpotPriceHistory": rows[:size], "NextToken": token}


def _rows(cloud: Cloud, request: wire.Request) -> Iterator[dict[str, Any]]:
    given = request.params
    filters = {each["Name"]: each["Values"] for each in given.get("Filters", [])}
    now = time.now()
    end = min(now, wire.read_time(given["EndTime"])) if given.get("EndTime") else now
    start = max(wire.read_time(given["StartTime"]), now - timedelta(days=90)) if given.get("StartTime") else None
    names = given.get("InstanceTypes") or filters.get("instance-type") or types_in(request.region)
    said = given.get("ProductDescriptions") or filters.get("product-description") or ["Linux/UNIX"]
    if not {"Linux/UNIX", "Linux/UNIX (Amazon VPC)"} & set(said):
        return
    for name in names:
        kind = machine_type(name)
        if kind is None:
            raise wire.AwsError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
        for zone in zones_offering(name, request.region) if kind.spot else ():
            asked = given.get("AvailabilityZone")
            if (asked and zone != asked) or not matches(zone, filters.get("availability-zone", ["*"])):
                continue
            for when, usd in cloud.prices.changes(name, zone, start=start or now - timedelta(days=90), end=end):
                yield {
                    "AvailabilityZone": zone,
                    "InstanceType": name,
                    "ProductDescription": "Linux/UNIX",
                    "SpotPrice": f"{usd:.6f}",
                    "Timestamp": when,
                }


HANDLERS = {("ec2", "DescribeSpotPriceHistory"): describe_spot_price_history}
