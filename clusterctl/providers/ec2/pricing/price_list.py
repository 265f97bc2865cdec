"""Prices from AWS's list where it answers in time, else from the table that is shipped; and which of both they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.providers.ec2.pricing import price_table, prices
from clusterctl.providers.ec2.pricing.background import Errand

if TYPE_CHECKING:
    from collections.abc import Collection
    from decimal import Decimal

    from clusterctl.providers.ec2.aws import Aws


class Tariff:
    """What instances and disks cost in a region, but for spot instances. Asks side by side as soon as it is made."""

    def __init__(self, aws: Aws, *, kinds: Collection[str], volume_types: Collection[str], until: float) -> None:
        """Begin to ask.

        Args:
            aws: the account and region.
            kinds: instance types.
            volume_types: kinds of disks, such as ``gp3``.
            until: by `time.monotonic`, when to give up.
        """
        self.notes: list[str] = []
        """What is to be known of the prices that were looked up."""
        self._aws = aws
        self._until = until
        self._kinds = sorted(kinds)
        self._usual = Errand("prices on demand", partial(prices.on_demand, aws, self._kinds), until=until)
        self._disks = {kind: self._ask(kind) for kind in volume_types}

    def _ask(self, volume_type: str) -> Errand[Decimal | None]:
        return Errand("prices of disks", partial(prices.disk, self._aws, volume_type), until=self._until)

    def usual(self) -> dict[str, Decimal]:
        """An hour of each type on demand, in USD; of which nobody knows the price is left out."""
        try:
            found = self._usual.result()
        except ClusterctlError as exc:
            self._note(f"{price_table.dated(self._aws.region)} and were shipped with clusterctl: {exc.message}")
            known = {kind: price_table.on_demand(kind, self._aws.region) for kind in self._kinds}
            found = {kind: price for kind, price in known.items() if price is not None}
        missing = [kind for kind in self._kinds if kind not in found]
        if missing:
            self._tell(f"the price on demand is not known: {', '.join(missing)}")
        return found

    def disk(self, volume_type: str) -> Decimal | None:
        """A GB of this kind for an hour, in USD; None where nobody knows."""
        if volume_type not in self._disks:
            self._disks[volume_type] = self._ask(volume_type)
        try:
            month = self._disks[volume_type].result()
        except ClusterctlError as exc:
            month = price_table.disk(volume_type, self._aws.region)
            if month is not None:
                self._note(f"2026 and were shipped with clusterctl: {exc.message}")
        if month is None:
            self._tell(f"the price of {volume_type} disks in {self._aws.region} is not known")
            return None
        return month / prices.HOURS_A_MONTH

    def _note(self, rest: str) -> None:
        """Once for all prices that come from the table for the same reason."""
        if not any(rest.partition(": ")[2] in note for note in self.notes):
            self._tell(f"prices are of {rest}")

    def _tell(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
