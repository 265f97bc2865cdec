"""What the stand-in knows of each instance beyond moto: its market, and what may be seen of it when.

EC2 is eventually consistent ("Eventual consistency in the Amazon EC2 API"): an id may be unknown for seconds, a state
takes its time. Here it takes a number of looks, so that a test needs no clock: a look is one DescribeInstances or
DescribeInstanceStatus of the program under test that would show the instance, or an attempt to delete what it holds.
By default nothing lags; faults make it so. Only a boot that takes its seconds (`Cloud.boot_s`) goes by the clock: of
those that Colin Percival measured from a launch until port 22 answers, a sixth passed before EC2 said `running`
(https://www.daemonology.net/blog/2021-08-12-EC2-boot-time-benchmarking.html).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .. import time
from ..api import wire
from ..money.bill import Account, disks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from .machines import MachineType

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
PASSING = {"running": "pending", "stopped": "stopping", "terminated": "shutting-down"}
"""The state that is seen on the way to another."""
_PENDING_PART = 1 / 6
"""How much of a boot an instance is pending."""


@dataclass
class Life:
    """One instance: moto's object, and what is ours."""

    instance: Any
    region: str
    kind: MachineType
    market: str
    reservation: str
    data: dict[str, Any]
    fleet: str = ""
    spot_request: str = ""
    hidden: int = 0
    slow: int = 0
    notice: datetime | None = None
    token: str = ""
    reason: tuple[str, str] | None = None
    pending_until: datetime | None = None
    answers_at: datetime | None = None
    """When its SSH server lets somebody in at the earliest."""
    account: Account = field(default_factory=Account)

    @property
    def id(self) -> str:
        return str(self.instance.id)

    @property
    def settled(self) -> str:
        """The state it is in, or on its way to."""
        return str(self.instance._state.name)

    @property
    def state(self) -> str:
        """The state that is seen now."""
        boots = self.settled == "running" and self.pending_until is not None and time.now() < self.pending_until
        return PASSING[self.settled] if self.slow > 0 or boots else self.settled

    @property
    def counts(self) -> bool:
        """Whether it takes up capacity and quota."""
        return self.state in ("pending", "running", "stopping", "shutting-down")

    def settle(self, state: str, *, slow: int = 0) -> None:
        """Put it on its way to a state, seen after so many looks."""
        if state == "running":
            self.begin()
        else:
            self.account.ceases(utcnow())
        if state == "terminated":
            self.account.ended = utcnow()
        self.instance._state.name = state
        self.instance._state.code = CODES[state]
        self.slow = slow

    def begin(self) -> None:
        """Put down that it runs from now on, and with what."""
        disks = disks_of(self.instance)
        self.account.runs_from(utcnow(), public=bool(self.instance.public_ip), disks=disks)

    def boot(self, seconds: float) -> None:
        """Let so many seconds pass from now until its SSH server answers; none: it answers when it can."""
        if not seconds:
            self.pending_until = self.answers_at = None
            return
        self.pending_until = time.now() + timedelta(seconds=seconds * _PENDING_PART)
        self.answers_at = time.now() + timedelta(seconds=seconds)

    def look(self) -> None:
        """It was looked at once: time passes."""
        if self.slow > 0:
            self.slow -= 1


@dataclass
class Lives:
    """All instances of all regions, in the order of their launch."""

    _by_id: dict[str, Life] = field(default_factory=dict)

    def add(self, life: Life) -> None:
        self._by_id[life.id] = life

    def forget(self, identity: str) -> None:
        """Show an ended instance no more, as EC2 does about an hour after its end."""
        assert self._by_id.pop(identity).settled == "terminated"

    def __iter__(self) -> Iterator[Life]:
        return iter(list(self._by_id.values()))

    def of(self, region: str) -> list[Life]:
        """Those of a region."""
        return [life for life in self if life.region == region]

    def get(self, identity: str) -> Life | None:
        return self._by_id.get(identity)

    def named(self, ids: Iterable[str], region: str) -> list[Life]:
        """The instances of these ids, or the error of EC2 that names those it does not know, or does not know yet."""
        found: list[Life] = []
        unknown: list[str] = []
        for identity in ids:
            if not identity.startswith("i-"):
                raise wire.AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{identity}"')
            life = self._by_id.get(identity)
            if life is None or life.region != region or life.hidden > 0:
                unknown.append(identity)
                if life is not None and life.hidden > 0:
                    life.hidden -= 1
            else:
                found.append(life)
        if unknown:
            many = f"IDs '{', '.join(unknown)}' do" if len(unknown) > 1 else f"ID '{unknown[0]}' does"
            raise wire.AwsError("InvalidInstanceID.NotFound", f"The instance {many} not exist")
        return found

    def taken(self, name: str, zone: str, market: str) -> int:
        """How many of a pool are in use."""
        return sum(
            1
            for life in self
            if life.counts and (life.kind.name, life.instance.placement.zone, life.market) == (name, zone, market)
        )

    def vcpus(self, region: str, market: str) -> int:
        """The CPUs that count towards a quota of standard instances."""
        return sum(
            life.kind.vcpus for life in self.of(region) if life.counts and life.kind.standard and life.market == market
        )


def utcnow() -> datetime:
    """Now, as EC2 keeps times: whole seconds, UTC."""
    return time.now().replace(microsecond=0)
