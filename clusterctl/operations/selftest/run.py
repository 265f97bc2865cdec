"""`selftest`: start the smallest cluster, check every promise on it, and end it in any case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.clock import Deadline, Stopwatch
from clusterctl.errors import ClusterctlError
from clusterctl.model import Market
from clusterctl.operations.cost import estimate_cost
from clusterctl.operations.leave import terminate_cluster
from clusterctl.operations.plan import make_plan
from clusterctl.operations.selftest.checks import CHECKS, Check
from clusterctl.operations.selftest.context import CheckFailedError, NotProvenError, require_that
from clusterctl.providers.base import Audited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Plan
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.selftest.context import CheckContext
    from clusterctl.providers.money import Estimate

NAME_PREFIX = "selftest-"
"""The prefix of the name of its cluster."""
SMALL_TYPES = {"x86_64": "c7i-flex.large, m7i-flex.large, t3.small", "arm64": "t4g.small"}
"""The default instance types of its nodes, by architecture: an account of AWS's free plan may launch no others."""
_GONE_S, _LOOK_S = 300.0, 5.0


@dataclass(frozen=True)
class CheckResult:
    """The result of a check."""

    promise: str
    ok: bool
    """False: the promise does not hold."""
    why: str
    """Why it does not hold, or was not proven; empty where it was."""
    seconds: float

    @property
    def proven(self) -> bool:
        """The promise was seen to hold."""
        return self.ok and not self.why


def smallest_cluster_options(types: str = "", *, arch: str = "x86_64") -> dict[str, str]:
    """Return the options that make a template the smallest cluster, as the command line would give them.

    Args:
        types: instance types of the nodes; empty for small ones.
        arch: the architecture of the small types.
    """
    instance_types = types or SMALL_TYPES[arch]
    return {
        "provider": "ec2",
        "cluster_size": "2",
        "min_size": "2",
        "node_instance_type": instance_types,
        "master_instance_type": instance_types,
        "market": Market.SPOT_WITH_FALLBACK.value,
        "force_spot_master": "no",
        "lifetime": "2",
        "plugins": "ipcluster",
        "volumes": "",
        "permissions": "",
    }


def plan_selftest(context: RunContext) -> Plan:
    """Return the plan of the cluster that the self-test starts, to estimate its cost."""
    return make_plan(context, planning.node_aliases(context.settings.cluster.cluster_size))


def estimate_selftest(context: RunContext) -> Estimate | None:
    """Return the cost of the cluster that the self-test starts; None where nothing costs money."""
    return estimate_cost(context, plan_selftest(context))


def run_selftest(
    check_context: CheckContext, on_result: Callable[[CheckResult], None], checks: Sequence[Check] = CHECKS
) -> list[CheckResult]:
    """Run the checks one by one, then end the cluster and check that nothing is left. Return all results.

    Args:
        check_context: the context of the checks; its cluster must not exist.
        on_result: called with each result.
        checks: the checks to run, in order.

    Raises:
        BaseException: an interrupt is raised again once the cluster is ended. A note says where that failed.
    """
    verdicts: list[CheckResult] = []

    def run_and_report(check: Check) -> bool:
        verdicts.append(_run_check(check, check_context))
        on_result(verdicts[-1])
        return verdicts[-1].ok

    try:
        for check in checks:
            if not run_and_report(check) and check.needed:
                break
    except BaseException as cause:
        _end_after_error(check_context, cause)
        raise
    cluster_id = check_context.make_context(None).folder.cluster_id  # gone with the cluster
    if run_and_report(Check("the cluster ends", _end_cluster)):
        look = partial(_require_no_leftovers, cluster_id=cluster_id)
        run_and_report(Check("nothing of it is left in the account", look))
    return verdicts


def _run_check(check: Check, check_context: CheckContext) -> CheckResult:
    watch = Stopwatch()
    ok, why = False, ""
    try:
        check.run_check(check_context)
        ok = True
    except NotProvenError as exc:
        ok, why = True, str(exc)
    except ClusterctlError as exc:
        why = f"{exc.message} (try: {exc.remedy})"
    except CheckFailedError as exc:
        why = str(exc)
    except Exception as exc:  # noqa: BLE001  any error: this check failed, and the others still run
        why = f"{type(exc).__name__}: {exc}"
    return CheckResult(check.promise, ok, " ".join(why.split()), watch.elapsed_s)


def _end_cluster(check_context: CheckContext) -> None:
    terminate_cluster(check_context.make_context(None))


def _require_no_leftovers(check_context: CheckContext, *, cluster_id: str) -> None:
    """Wait until nothing is left: EC2 deletes disks and network cards some time after their instances."""
    context = check_context.make_context(None)
    if not isinstance(context.provider, Audited):
        return
    left: Sequence[str] = ()
    for _ in Deadline.after(_GONE_S).polls(_LOOK_S):
        left = context.provider.leftovers(context.name, cluster_id)
        if not left:
            break
    require_that(not left, f"still there: {', '.join(left)}")


def _end_after_error(check_context: CheckContext, cause: BaseException) -> None:
    """End the cluster after an error. The first cause stays the error that is shown."""
    context = check_context.make_context(None)
    context.report.say(f"Ending {context.name}")
    try:
        terminate_cluster(context)
    except BaseException as exc:  # noqa: BLE001  includes a second Ctrl-C
        text = f"{context.name} may still be running: `clusterctl terminate {context.name}` ends it ({exc})"
        context.report.warn(text)
        if hasattr(cause, "add_note"):  # Python 3.11
            cause.add_note(text)
