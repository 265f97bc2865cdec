"""What can go wrong between a program and the cloud, and in the cloud. Each fault says what it hits and how often.

Codes, statuses and messages are those of "Error codes for the Amazon EC2 API" or of answers that users have quoted.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .api import wire
from .fleets.capacity import ANY, ON_DEMAND, SPOT

if TYPE_CHECKING:
    from .api.effects import Effects

ALWAYS = 1_000_000
LAUNCHES = ("CreateFleet", "RunInstances")
UNKNOWN = {
    "AuthorizeSecurityGroupIngress": "InvalidGroup.NotFound",
    "CreateFleet": "InvalidLaunchTemplateName.NotFoundException",
    "RunInstances": "InvalidGroup.NotFound",
    "CreateTags": "InvalidInstanceID.NotFound",
}
"""What EC2 says at an action that names something too new for it."""


class LostError(Exception):
    """The connection is closed without an answer."""


@dataclass(frozen=True)
class Fault:
    """Hits the next `times` calls of `action` (`*`: of any action), once `skip` of them have passed."""

    action: str = ANY
    times: int = 1
    skip: int = field(default=0, kw_only=True)

    def concerns(self, request: wire.Request) -> bool:
        """Whether it can hit this call. One that is not asked in earnest (DryRun) is about rights alone."""
        return self.action in (ANY, request.action) and not request.params.get("DryRun")

    def before(self, request: wire.Request) -> None:
        """Raise what happens in place of the call."""

    def shape(self, effects: Effects) -> None:
        """Change how the call is answered."""

    def after(self, request: wire.Request) -> None:
        """Raise what happens in place of the answer; the call has had its effect."""


@dataclass(frozen=True)
class Fails(Fault):
    """The call is refused with this error and has no effect."""

    code: str = "InvalidParameterValue"
    message: str = "The stand-in was told to refuse this."
    status: int = 400

    def before(self, request: wire.Request) -> None:
        raise wire.AwsError(self.code, self.message, status=self.status)


@dataclass(frozen=True)
class Throttled(Fault):
    """Too many requests: EC2 says RequestLimitExceeded with 503, the other services ThrottlingException with 400."""

    def before(self, request: wire.Request) -> None:
        if request.service == "ec2":
            raise wire.AwsError("RequestLimitExceeded", "Request limit exceeded.", status=503)
        raise wire.AwsError("ThrottlingException", "Rate exceeded")


@dataclass(frozen=True)
class Broken(Fault):
    """The service had an error of its own; the call had no effect."""

    def before(self, request: wire.Request) -> None:
        raise wire.AwsError("InternalError", "An internal error has occurred", status=500)


@dataclass(frozen=True)
class LostRequest(Fault):
    """The connection breaks before the call arrives."""

    def before(self, request: wire.Request) -> None:
        raise LostError


@dataclass(frozen=True)
class LostAnswer(Fault):
    """The call has its effect; the connection breaks before the answer comes back."""

    def after(self, request: wire.Request) -> None:
        raise LostError


@dataclass(frozen=True)
class Unauthorized(Fault):
    """The account may not do this, and says so to dry runs too."""

    times: int = ALWAYS

    def concerns(self, request: wire.Request) -> bool:
        return self.action in (ANY, request.action)

    def before(self, request: wire.Request) -> None:
        who = "User: arn:aws:iam::123456789012:user/standin is not authorized to perform"
        if request.service == "ec2":
            said = f"You are not authorized to perform this operation. {who}: ec2:{request.action}"
            raise wire.AwsError("UnauthorizedOperation", said, status=403)
        raise wire.AwsError("AccessDeniedException", f"{who}: {request.service}:{request.action}")


@dataclass(frozen=True)
class InUse(Fault):
    """A security group still has a dependent object, as for some time after its instances have ended."""

    action: str = "DeleteSecurityGroup"
    times: int = 3

    def before(self, request: wire.Request) -> None:
        named = request.params.get("GroupId") or request.params.get("GroupName")
        raise wire.AwsError("DependencyViolation", f"resource {named} has a dependent object")


@dataclass(frozen=True)
class NoCapacity(Fault):
    """A launch finds only `left` machines in each pool that this covers. EC2 also says UnfulfillableCapacity."""

    action: str = "CreateFleet"
    instance_type: str = ANY
    zone: str = ANY
    market: str = ANY
    left: int = 0
    code: str = ""

    def shape(self, effects: Effects) -> None:
        effects.limits[self.instance_type, self.zone, self.market] = self.left
        effects.shortage_code = self.code or effects.shortage_code


@dataclass(frozen=True)
class FleetErrors(Fault):
    """A fleet is answered with this error for every pool, and with `left` instances of each: no refusal of the call.

    EC2 so answers also where something that the launch template names is too new for it, as users have reported.
    """

    action: str = "CreateFleet"
    code: str = "InvalidGroup.NotFound"
    message: str = "The security group does not exist"
    market: str = ANY
    left: int = 0

    def shape(self, effects: Effects) -> None:
        effects.limits[ANY, ANY, self.market] = self.left
        effects.shortage_code, effects.shortage_message = self.code, self.message


@dataclass(frozen=True)
class QuotaReached(Fault):
    """A launch finds the quota of its market to be this low."""

    action: str = "CreateFleet"
    market: str = SPOT
    vcpus: float = 0

    def shape(self, effects: Effects) -> None:
        effects.quotas[self.market] = self.vcpus


@dataclass(frozen=True)
class Hidden(Fault):
    """What is launched is unknown to the first looks: not found by a filter, and no such id."""

    action: str = "CreateFleet"
    looks: int = 2

    def shape(self, effects: Effects) -> None:
        effects.hidden = max(effects.hidden, self.looks)


@dataclass(frozen=True)
class Slow(Fault):
    """A change of state takes some looks: pending, stopping or shutting-down until then."""

    looks: int = 3

    def shape(self, effects: Effects) -> None:
        effects.slow = max(effects.slow, self.looks)


@dataclass(frozen=True)
class Dies(Fault):
    """So many of the instances of a launch have ended right after it, for want of capacity."""

    action: str = "CreateFleet"
    count: int = 1

    def shape(self, effects: Effects) -> None:
        effects.doomed += self.count


@dataclass(frozen=True)
class Interrupts(Fault):
    """Meanwhile so many running spot instances are taken back, after a notice."""

    count: int = 1
    notice_s: float = 0

    def shape(self, effects: Effects) -> None:
        effects.interrupted += self.count
        effects.notice_s = self.notice_s


@dataclass(frozen=True)
class NotYet(Fault):
    """What was made just before is not known yet where this call arrives."""

    times: int = 2

    def before(self, request: wire.Request) -> None:
        code = UNKNOWN[request.action]
        raise wire.AwsError(code, "The resource that was named does not exist (yet)")


@dataclass
class Faults:
    """The faults that are in force, for several threads."""

    _left: dict[Fault, int] = field(default_factory=dict)
    _passed: Counter[Fault] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Put these in force."""
        with self._lock:
            for fault in faults:
                self._left[fault] = self._left.get(fault, 0) + fault.times

    def remove(self, *faults: Fault) -> None:
        """End these; one that is used up or unknown is no error."""
        with self._lock:
            for fault in faults:
                self._left.pop(fault, None)

    def clear(self) -> None:
        """End all."""
        with self._lock:
            self._left.clear()
            self._passed.clear()

    def left(self) -> dict[Fault, int]:
        """What is still in force, and how often it will hit."""
        with self._lock:
            return dict(self._left)

    def hitting(self, request: wire.Request) -> list[Fault]:
        """Those that hit this call; each is counted as used once. One that keeps the call away hits it alone."""
        with self._lock:
            found = [each for each in self._left if each.concerns(request)]
            hits = [each for each in found if self._passed[each] >= each.skip]
            self._passed.update(found)
            alone = [each for each in hits if type(each).before is not Fault.before]
            hits = alone[:1] or hits
            for fault in hits:
                self._left[fault] -= 1
                if not self._left[fault]:
                    del self._left[fault]
            return hits


def faults_at(action: str) -> list[Fault]:
    """Every fault that makes sense at this action: a program should come through each, or say clearly why not."""
    found: list[Fault] = [
        Throttled(action, times=2),
        Broken(action),
        LostRequest(action),
        LostAnswer(action),
        Unauthorized(action),
        Interrupts(action),
    ]
    if action in UNKNOWN:
        found.append(NotYet(action))
    if action in (*LAUNCHES, "StartInstances"):
        found += [NoCapacity(action, market=market) for market in (SPOT, ON_DEMAND)]
        found += [QuotaReached(action, market=market) for market in (SPOT, ON_DEMAND)]
        found.append(Slow(action))
    if action in LAUNCHES:
        found += [NoCapacity(action, left=1), Hidden(action), Dies(action)]
        found.append(NoCapacity(action, market=SPOT, code="UnfulfillableCapacity"))
    if action == "CreateFleet":
        found += [FleetErrors(times=2), FleetErrors(left=1)]
        found.append(FleetErrors(code="UnauthorizedOperation", message="You are not authorized to do this."))
    if action in ("StopInstances", "TerminateInstances", "DeleteFleets", "CreateImage"):
        found.append(Slow(action))
    if action == "DeleteSecurityGroup":
        found.append(InUse())
    return found
