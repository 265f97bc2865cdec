"""Free capacity of an account: its quotas, in processors, minus the processors that run.

EC2 has quotas for groups of instance families, and separate ones for spot instances
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html).
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clusterctl.model import Market
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.instance_reader import read_instances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.providers.ec2.aws import Aws


@dataclass(frozen=True)
class QuotaGroup:
    """Instance families that share a quota."""

    name: str
    on_demand: str
    """The quota code in the service ``ec2``; empty if it is not known."""
    spot: str


_STANDARD = QuotaGroup("standard", "L-1216C47A", "L-34B43A08")
_GROUPS: Mapping[str, QuotaGroup] = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "m", "r", "t", "z"), _STANDARD),
    "dl": QuotaGroup("DL", "L-6E869C2A", "L-85EED4F7"),
    "f": QuotaGroup("F", "L-74FC7D96", "L-88CF9481"),
    **dict.fromkeys(("g", "gr", "vt"), QuotaGroup("G and VT", "L-DB2E81BA", "L-3819A6DF")),
    "hpc": QuotaGroup("HPC", "L-F7808C92", ""),
    "inf": QuotaGroup("Inf", "L-1945791B", "L-B5D1601B"),
    "p": QuotaGroup("P", "L-417A185B", ""),  # spot instances of P have several quotas
    "trn": QuotaGroup("Trn", "L-2C3B7624", "L-6B0D517C"),
    "x": QuotaGroup("X", "L-7295265B", "L-E3A00192"),
}
"""By the first letters of a type. The codes are those of `aws service-quotas list-service-quotas`."""


@dataclass(frozen=True)
class Quota:
    """A quota, for one market."""

    code: str
    name: str
    """Such as ``spot standard``."""


def find_quota(instance_type: str, market: Market) -> Quota:
    """Return the quota that instances of this type count against; its code is empty if it is not known.

    Args:
        instance_type: such as ``c7i.large``.
        market: `ON_DEMAND`; any other is spot.
    """
    letters = re.match(r"[a-z]*", instance_type)
    group = _GROUPS.get(letters[0] if letters else "")
    spot = market != Market.ON_DEMAND
    if group is None:
        return Quota("", f"{'spot' if spot else 'on demand'}, {instance_type.partition('.')[0]}")
    return Quota(group.spot if spot else group.on_demand, f"{'spot' if spot else 'on demand'}, {group.name} types")


def fetch_limit(aws: Aws, code: str) -> int | None:
    """Return the most processors of this quota; None if the account does not have it. One call, or two."""
    query = {"ServiceCode": "ec2", "QuotaCode": code}
    try:
        return _quota_value(aws.call("service-quotas", "get_service_quota", **query))
    except AwsError as exc:
        if exc.kind != Kind.ABSENT:
            raise
    try:  # a quota that was never changed may have only a default value
        return _quota_value(aws.call("service-quotas", "get_aws_default_service_quota", **query))
    except AwsError as exc:
        if exc.kind != Kind.ABSENT:
            raise
    return None


def _quota_value(answer: Mapping[str, Any]) -> int:
    return int(answer["Quota"]["Value"])


def count_running_vcpus(aws: Aws) -> dict[str, int]:
    """Return the processors of all running instances in this region, by the code of their quota.

    Instances of all users of the account count.
    """
    vcpus: dict[str, int] = {}
    for instance in read_instances(aws, states=("pending", "running")):
        code = find_quota(instance.type, instance.market).code
        vcpus[code] = vcpus.get(code, 0) + instance.vcpus
    return vcpus


class QuotaReader:
    """What quotas leave, asked once for all who want to know it. Safe to share between threads."""

    def __init__(self, aws: Aws) -> None:
        """Ask nothing yet.

        Args:
            aws: the account, in the region of the launch.
        """
        self._aws = aws
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Any]] = {}

    def running_vcpus(self) -> dict[str, int]:
        """Return the processors of all that runs in the region, by the code of their quota. One call."""
        used: dict[str, int] = self._once("", partial(count_running_vcpus, self._aws))
        return used

    def free_vcpus(self, quota: Quota) -> int | None:
        """Return the processors that a quota leaves; None if it is not known which it is, or the account has none.

        Raises:
            AwsError: the account does not let us look.
        """
        if not quota.code:
            return None
        used = self.running_vcpus().get(quota.code, 0)
        limit: int | None = self._once(quota.code, partial(fetch_limit, self._aws, quota.code))
        return None if limit is None else max(0, limit - used)

    def _once(self, key: str, ask: Callable[[], Any]) -> Any:
        with self._lock:
            known = self._answers.get(key)
            mine = known or self._answers.setdefault(key, Future())
        if known is None:
            try:
                mine.set_result(ask())
            except BaseException as exc:  # noqa: BLE001  told to all who wait
                mine.set_exception(exc)
        return mine.result()
