"""`selftest`: the smallest cluster is started, every promise is checked on it, and it is ended, whatever happens."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ClusterctlError
from clusterctl.operations.leave import terminate
from clusterctl.operations.plan import make_plan
from clusterctl.operations.selftest.checks import CHECKS, BrokenError, Check, require
from clusterctl.providers.base import Audited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Plan
    from clusterctl.operations.context import Parts
    from clusterctl.operations.selftest.checks import Bench

NAME = "selftest-"
"""What the name of its cluster begins with."""
SMALL = {"x86_64": "c7i.large, c7a.large, m7i.large, m7a.large", "arm64": "c7g.large, m7g.large"}
"""The types of its nodes where none are named, by architecture."""
_GONE_S, _LOOK_S = 300.0, 5.0


@dataclass(frozen=True)
class Verdict:
    """How a check went."""

    promise: str
    ok: bool
    why: str
    """What is wrong; empty where nothing is."""
    seconds: float


def options(types: str = "", *, arch: str = "x86_64") -> dict[str, str]:
    """What a template is given to be the smallest cluster, as the command line would say it.

    Args:
        types: of the nodes; empty for small ones.
        arch: which of them.
    """
    kinds = types or SMALL[arch]
    return {
        "provider": "ec2",
        "cluster_size": "2",
        "min_size": "2",
        "node_instance_type": kinds,
        "master_instance_type": kinds,
        "market": "spot-with-fallback",
        "force_spot_master": "no",
        "lifetime": "2",
        "plugins": "ipcluster",
        "volumes": "",
        "permissions": "",
    }


def plan_of(parts: Parts) -> Plan:
    """What it begins with, to be told what that costs."""
    return make_plan(parts, planning.aliases(parts.settings.cluster.cluster_size))


def selftest(bench: Bench, on_verdict: Callable[[Verdict], None], checks: Sequence[Check] = CHECKS) -> list[Verdict]:
    """Check one by one, then end the cluster and see that nothing is left.

    Args:
        bench: what the checks work with; its cluster must not exist.
        on_verdict: told of each as it comes.
        checks: what is to hold.

    Raises:
        BaseException: whoever interrupts is let go once the cluster is ended; a note says where it could not be.
    """
    verdicts: list[Verdict] = []

    def judge(check: Check) -> bool:
        verdicts.append(_judged(check, bench))
        on_verdict(verdicts[-1])
        return verdicts[-1].ok

    try:
        for check in checks:
            if not judge(check) and check.needed:
                break
    except BaseException as cause:
        _end_after(bench, cause)
        raise
    if judge(Check("the cluster ends", _it_ends)):
        judge(Check("nothing of it is left in the account", _nothing_is_left))
    return verdicts


def _judged(check: Check, bench: Bench) -> Verdict:
    began = time.monotonic()
    why = ""
    try:
        check.act(bench)
    except ClusterctlError as exc:
        why = f"{exc.message} (try: {exc.remedy})"
    except BrokenError as exc:
        why = str(exc)
    except Exception as exc:  # noqa: BLE001  whatever it is: it does not hold, and the others are checked all the same
        why = f"{type(exc).__name__}: {exc}"
    return Verdict(check.promise, not why, " ".join(why.split()), time.monotonic() - began)


def _it_ends(bench: Bench) -> None:
    terminate(bench.parts(None))


def _nothing_is_left(bench: Bench) -> None:
    """EC2 lets go of disks and network cards some time after their instances."""
    parts = bench.parts(None)
    if not isinstance(parts.provider, Audited):
        return
    deadline = time.monotonic() + _GONE_S
    while (left := parts.provider.left(parts.name)) and time.monotonic() < deadline:
        threading.Event().wait(_LOOK_S)
    require(not left, f"still there: {', '.join(left)}")


def _end_after(bench: Bench, cause: BaseException) -> None:
    """End it because of this; the first cause is the one to tell."""
    parts = bench.parts(None)
    parts.say(f"Ending {parts.name}")
    try:
        terminate(parts)
    except BaseException as exc:  # noqa: BLE001  a second Ctrl-C included
        text = f"{parts.name} may still be running: `clusterctl terminate {parts.name}` ends it ({exc})"
        parts.warn(text)
        if hasattr(cause, "add_note"):  # Python 3.11
            cause.add_note(text)
