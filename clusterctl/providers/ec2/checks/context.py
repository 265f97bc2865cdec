"""What the checks of a launch know, and what they find."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.model import NodeSpec, Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.data_volumes import DataVolume
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.pricing.quotas import QuotaReader


@dataclass(frozen=True)
class Finding:
    """What a check found wrong."""

    text: str
    remedy: str = ""
    """Empty where nothing is wrong: what was found is only said."""
    stops: bool = True
    """False: it may be as the user wants it, so the launch goes on with a warning."""


@dataclass(frozen=True)
class Ground:
    """What there is to launch with, as the account says."""

    inputs: LaunchInputs
    zone: str
    """The only zone for new nodes; empty: any."""
    data_volumes: Sequence[DataVolume]


class GroundLook:
    """The look at what there is to launch with, for which checks wait."""

    def __init__(self) -> None:
        self._ground: Future[Ground] = Future()

    def __call__(self) -> Ground:
        """Wait for it. Raises the error with which it was refused."""
        return self._ground.result()

    def settle(self, look: Callable[[], Ground]) -> ClusterctlError | None:
        """Look, and let the checks go on. Return the error if that is refused."""
        try:
            self._ground.set_result(look())
        except ClusterctlError as exc:
            self._ground.set_exception(exc)
            return exc
        except BaseException:
            self._ground.cancel()
            raise
        return None


@dataclass(frozen=True)
class CheckContext:
    """What the checks know of a launch. Making it makes no call."""

    aws: Aws
    options: Options
    plan: Plan
    missing: Sequence[NodeSpec]
    """The nodes that are to be launched."""
    existing: Mapping[str, Instance]
    """Those that exist, by alias."""
    quotas: QuotaReader
    ground: GroundLook = field(default_factory=GroundLook)

    @property
    def new(self) -> bool:
        """The cluster has no node yet."""
        return not self.existing


@dataclass(frozen=True)
class Check:
    """One check."""

    subject: str
    """What stays unknown if the account does not let us look."""
    find: Callable[[CheckContext], Iterable[Finding]]
    """Returns what is wrong. An `AwsError` means that it could not look."""
    wanted: Callable[[CheckContext], bool] = lambda _: True
    """Returns whether there is anything to look at."""
