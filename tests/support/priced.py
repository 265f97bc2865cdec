"""A provider whose nodes cost money."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from clusterctl.providers.money import Estimate, PriceRange, QuotedGroup, QuotedLimit, QuotedPart, Spending
from clusterctl.testing import FakeImageProvider, FakeProvider


def span(low, high=None):
    return PriceRange(Decimal(str(low)), Decimal(str(high or low)))


@dataclass
class PricedProvider(FakeProvider):
    """New nodes are spot instances of 3 to 4 cents; what there is costs ten cents each."""

    estimated: list[list[str]] = field(default_factory=list)
    """The new nodes of each estimate."""

    def estimate_nodes(self, plan, existing):
        known = {node.alias for node in existing}
        new = [spec.alias for spec in plan.nodes if spec.alias not in known]
        self.estimated.append(new)
        group = QuotedGroup(
            role="worker",
            count=len(new),
            types=("c7i.large", "c7a.large"),
            market="spot",
            zone="here-1a",
            node_price=span("0.03", "0.04"),
            on_demand=span("0.09", "0.10"),
            bid=Decimal("0.10"),
        )
        disks = QuotedPart("root disks", f"{len(new)} x 8 GB gp3", Decimal("0.0009"))
        limit = QuotedLimit("spot, standard types", 2 * len(new), None)
        return Estimate("here-1", (group,), (disks,), (limit,), ("prices are of 2026-07-20",))

    def spending(self, cluster, nodes):
        return Spending(Decimal("0.1") * len(nodes), Decimal("0.43"), ("disks are not known: refused",))


@dataclass
class PricedImageProvider(FakeImageProvider, PricedProvider):
    """The same, with images."""
