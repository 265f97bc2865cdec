"""Prices from AWS's price list, or from the table in this package if AWS does not answer in time. Notes say which."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError
from clusterctl.providers.ec2.pricing import price_table, prices
from clusterctl.providers.ec2.pricing.background import DeadlineCall

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.aws import Aws

_PATIENCE_S = 10.0


class PriceList:
    """Prices of on-demand instances and disks in a region. All calls start at once, side by side."""

    def __init__(
        self, aws: Aws, *, instance_types: Collection[str], volume_types: Collection[str], deadline: Deadline
    ) -> None:
        """Start the calls.

        Args:
            aws: the account and region.
            instance_types: instance types.
            volume_types: such as ``gp3``.
            deadline: when prices that did not come are taken from the table.
        """
        self.notes: list[str] = []
        """Remarks for the user on the prices that were looked up."""
        self._aws = aws
        self._deadline = deadline
        self._instance_types = sorted(instance_types)
        self._usual = DeadlineCall(
            "prices on demand", partial(prices.fetch_on_demand_prices, aws, self._instance_types), deadline=deadline
        )
        self._disks = {kind: self._fetch_disk_price(kind) for kind in volume_types}

    def _fetch_disk_price(self, volume_type: str) -> DeadlineCall[Decimal | None]:
        return DeadlineCall(
            "prices of disks", partial(prices.fetch_disk_price, self._aws, volume_type), deadline=self._deadline
        )

    def on_demand_prices(self) -> dict[str, Decimal]:
        """Return the on-demand price of each type, in USD an hour. Types without a known price are left out."""
        try:
            prices_by_type = self._usual.result()
        except ClusterctlError as exc:
            self._note_shipped(
                f"{price_table.price_date(self._aws.region)} and were shipped with clusterctl: {exc.message}"
            )
            table_prices = {
                instance_type: price_table.on_demand_price(instance_type, self._aws.region)
                for instance_type in self._instance_types
            }
            prices_by_type = {
                instance_type: price for instance_type, price in table_prices.items() if price is not None
            }
        missing = [instance_type for instance_type in self._instance_types if instance_type not in prices_by_type]
        if missing:
            self._add_note(f"the price on demand is not known: {', '.join(missing)}")
        return prices_by_type

    def disk_price(self, volume_type: str) -> Decimal | None:
        """Return the price of a GB of this volume type, in USD an hour; None if it is not known."""
        if volume_type not in self._disks:
            self._disks[volume_type] = self._fetch_disk_price(volume_type)
        try:
            monthly = self._disks[volume_type].result()
        except ClusterctlError as exc:
            monthly = price_table.disk_price(volume_type, self._aws.region)
            if monthly is not None:
                self._note_shipped(f"2026 and were shipped with clusterctl: {exc.message}")
        if monthly is None:
            self._add_note(f"the price of {volume_type} disks in {self._aws.region} is not known")
            return None
        return monthly / prices.HOURS_A_MONTH

    def _note_shipped(self, rest: str) -> None:
        """Add a note once for all prices that come from the table for the same reason."""
        if not any(rest.partition(": ")[2] in note for note in self.notes):
            self._add_note(f"prices are of {rest}")

    def _add_note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def look_up_prices(aws: Aws, instance_types: Sequence[str]) -> dict[str, Decimal]:
    """Return the on-demand price of each type, in USD an hour, after some seconds at most."""
    return PriceList(
        aws, instance_types=instance_types, volume_types=(), deadline=Deadline.after(_PATIENCE_S)
    ).on_demand_prices()
