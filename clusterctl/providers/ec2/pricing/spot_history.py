"""How spot prices went over a time, zone by zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.pricing import prices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.pricing.prices import SpotPrice


@dataclass(frozen=True)
class Course:
    """The price of a type in a zone; in USD an hour."""

    kind: str
    zone: str
    changes: tuple[SpotPrice, ...]
    """The oldest first; the first is in force at the start, where EC2 remembers that."""
    mean: Decimal
    """Each price counts for as long as it was in force."""

    @property
    def last(self) -> Decimal:
        """At the end of the time."""
        return self.changes[-1].usd

    @property
    def least(self) -> Decimal:
        """The lowest there was."""
        return min(change.usd for change in self.changes)

    @property
    def most(self) -> Decimal:
        """The highest there was."""
        return max(change.usd for change in self.changes)


def courses(aws: Aws, kinds: Sequence[str], *, start: datetime, end: datetime, zone: str = "") -> list[Course]:
    """The courses of these types in each zone (or the one), in the order of types, the cheapest zone at the end first.

    Raises:
        ProviderError: there are no prices.
    """
    remedy = "name a type that this region has, such as c7i.large, and another zone or time: EC2 remembers 90 days"
    try:
        history = prices.spot_history(aws, kinds, start=start, end=end, zone=zone)
    except AwsError as exc:
        if exc.code != "InvalidParameterValue":
            raise
        raise ProviderError(exc.message, remedy=remedy) from exc
    found = [
        Course(kind, where, tuple(changes), prices.mean(changes, max(start, changes[0].since), end))
        for (kind, where), changes in history.items()
    ]
    if not found:
        raise ProviderError(
            f"there are no spot prices of {', '.join(kinds)} in {zone or aws.region} for that time",
            remedy=remedy,
        )
    return sorted(found, key=lambda course: (kinds.index(course.kind), course.last, course.zone))
