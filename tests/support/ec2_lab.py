"""A laptop with the ec2 provider on the stand-in: what the tests of it share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.retries.standard import ExponentialBackoff

from clusterctl import clock
from clusterctl.events import Reporter
from clusterctl.identity.keys import new_key_pair
from clusterctl.journal import ClusterFolder
from clusterctl.model import MASTER, Market, Node, NodeSpec, Plan, Request
from clusterctl.providers.ec2 import Ec2Options, Ec2Provider
from clusterctl.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from clusterctl_standin.cloud import Cloud

    from clusterctl.events import Event
    from clusterctl.providers.ec2.aws import Aws

HERE = "192.0.2.7/32"
OPTIONS = Ec2Options(address="private", allow_from=(HERE,))
WORKER = NodeSpec("node001", types=("c7i.large", "c7a.large"), market=Market.ON_DEMAND, image="debian-12")
SPOT = replace(WORKER, market=Market.SPOT, bid=Decimal("0.10"))
BOTH = replace(WORKER, market=Market.SPOT_WITH_FALLBACK, bid=Decimal("0.10"))


def plan_of(size: int, worker: NodeSpec = WORKER, *, cluster: str = "lab", **changes: object) -> Plan:
    """A master on demand, and workers like this one."""
    aliases = [MASTER, *(f"node{number:03d}" for number in range(1, size))]
    master = replace(worker, alias=MASTER, market=Market.ON_DEMAND, bid=None)
    nodes = (master, *(replace(worker, alias=alias) for alias in aliases[1:]))
    plan = Plan(
        cluster=cluster,
        provider="ec2",
        user="me",
        nodes=nodes,
        plugins=(),
        request=Request(),
        min_size=size,
        deadline_s=60,
        digest="",
    )
    return replace(plan, **changes)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass only where the program pauses: nothing is waited for, and no deadline passes on a slow computer."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)
    monkeypatch.setattr(clock, "time", FakeClock(datetime.now(timezone.utc)))


@dataclass
class Ec2Lab:
    """A folder of somebody's, an account, and a provider made anew for each command."""

    home: Path
    aws: Aws
    cloud: Cloud
    options: Ec2Options = OPTIONS
    owner: str = "me@here"
    events: list[Event] = field(default_factory=list)
    public_key: str = field(default_factory=lambda: new_key_pair("lab")[1])

    def journal(self, cluster: str) -> ClusterFolder:
        """That of a cluster."""
        folder = ClusterFolder(self.home, cluster)
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    def provider(self, aws: Aws | None = None) -> Ec2Provider:
        """As a command makes it."""
        return Ec2Provider(aws or self.aws, options=self.options, journal=self.journal, owner=self.owner)

    def create(self, plan: Plan, aws: Aws | None = None) -> list[Node]:
        """What `start` asks of the provider."""
        return self.provider(aws).create(plan, public_key=self.public_key, report=Reporter(self.events.append))

    def instances(self, *states: str) -> list[dict]:
        """What the cloud has, past everything of ours; those that live if no state is named."""
        wanted = states or ("pending", "running", "stopping", "stopped")
        filters = [{"Name": "instance-state-name", "Values": list(wanted)}]
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        return [each for reservation in found for each in reservation["Instances"]]

    @cached_property
    def ec2(self) -> Any:
        """EC2 past everything of ours."""
        return self.cloud.client("ec2")

    @property
    def said(self) -> list[str]:
        """What the user was told."""
        return [event.text for event in self.events]
