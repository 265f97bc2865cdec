"""The context of a launch: what all its steps need to know, and what does not change meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.providers.ec2.tags import ClusterKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.events import Reporter
    from clusterctl.model import NodeSpec, Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch_journal import LaunchJournal
    from clusterctl.providers.ec2.options import Options

    Discover = Callable[[Sequence[NodeSpec], str], LaunchInputs]
    """Returns what a launch of these nodes needs, in this zone (empty: in any)."""


@dataclass(frozen=True)
class LaunchContext:
    """The context of a launch. Making it makes no call."""

    aws: Aws
    """The account, in the region of the cluster."""
    options: Options
    """Of the template."""
    plan: Plan
    """The cluster, with the nodes to provide."""
    journal: LaunchJournal
    """Of the cluster."""
    owner: Callable[[], str]
    """Returns the user, for the tags of a new cluster."""
    public_key: str
    """The key that each node accepts for login."""
    discover: Discover
    """Asks the account for what a launch needs, once for each set of nodes."""
    on_demand_prices: Callable[[Sequence[str]], Mapping[str, Decimal]]
    """Returns the prices on demand of these types, in USD an hour. Types without a known price are left out."""
    report: Reporter
    """Told what is done, and what fails."""

    @property
    def cluster(self) -> str:
        """The name of the cluster."""
        return self.plan.cluster

    @property
    def key(self) -> ClusterKey:
        """The name and the id of the cluster."""
        return ClusterKey(self.cluster, self.journal.read_identity()[0])
