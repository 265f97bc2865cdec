"""Spot price histories, zone by zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.pricing import prices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.pricing.prices import SpotPrice


@dataclass(frozen=True)
class PriceHistory:
    """The price history of an instance type in a zone; in USD an hour."""

    instance_type: str
    zone: str
    changes: tuple[SpotPrice, ...]
    """The oldest first. The first price is valid at the start, if EC2 still knows it."""
    mean: Decimal
    """Weighted by the time that each price was valid."""

    @property
    def last(self) -> Decimal:
        """The price at the end of the time."""
        return self.changes[-1].usd

    @property
    def lowest(self) -> Decimal:
        """The lowest price."""
        return min(change.usd for change in self.changes)

    @property
    def highest(self) -> Decimal:
        """The highest price."""
        return max(change.usd for change in self.changes)


def list_price_histories(
    aws: Aws, instance_types: Sequence[str], *, start: datetime, end: datetime, zone: str = ""
) -> list[PriceHistory]:
    """Return the price histories of these types in each zone (or only the given one).

    They are in the order of the types; within a type the zone that is cheapest at the end comes first.

    Raises:
        ProviderError: EC2 has no prices for them.
    """
    remedy = "name a type that this region has, such as c7i.large, and another zone or time: EC2 remembers 90 days"
    try:
        history = prices.fetch_spot_history(aws, instance_types, start=start, end=end, zone=zone)
    except AwsError as exc:
        if exc.kind != Kind.REQUEST:
            raise
        raise ProviderError(exc.message, remedy=remedy) from exc
    histories = [
        PriceHistory(
            instance_type, price_zone, tuple(changes), prices.mean_price(changes, max(start, changes[0].since), end)
        )
        for (instance_type, price_zone), changes in history.items()
    ]
    if not histories:
        raise ProviderError(
            f"there are no spot prices of {', '.join(instance_types)} in {zone or aws.region} for that time",
            remedy=remedy,
        )
    return sorted(histories, key=lambda course: (instance_types.index(course.instance_type), course.last, course.zone))
