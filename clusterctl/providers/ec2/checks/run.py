"""The checks of a launch, and how they run: side by side, and beside the look at what there is to launch with.

`start` and `start --dry-run` run the same ones. One that the account does not allow, or that takes too long, is told
and stops nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import ClusterctlError
from clusterctl.model import Problem
from clusterctl.providers.ec2.checks import disk_keys, named, pools, quota_checks, rights, routes
from clusterctl.providers.ec2.checks.context import Check
from clusterctl.providers.ec2.pricing.background import DeadlineCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from clusterctl.events import Reporter
    from clusterctl.providers.ec2.account.caller import Caller
    from clusterctl.providers.ec2.checks.context import CheckContext, Finding, Ground

CHECKS: tuple[Check, ...] = (
    Check("the key pair", named.find_missing_key_pair, lambda context: bool(context.options.key_name)),
    Check("the data volumes", named.find_wrong_volumes, lambda context: bool(context.plan.volumes)),
    Check("whether the image has an agent for SSM", named.find_images_without_agent, lambda c: c.options.ssm),
    Check("which zones offer the types", pools.find_types_not_offered),
    Check("free addresses", pools.find_full_subnets),
    Check("the routes of the subnets", routes.find_wrong_routes),
    Check("the quotas", quota_checks.find_short_quotas),
    Check("the key of the disks", disk_keys.find_unusable_keys),
    Check("the right to make a security group", rights.try_security_group, lambda context: context.new),
    Check("the right to make a placement group", rights.try_placement_group, rights.makes_placement_group),
    Check("the right to make the volume for the home", rights.try_home_volume, rights.makes_home),
    Check("the right to attach volumes", rights.try_attaching, rights.attaches_volumes),
    Check("the right to make a launch template", rights.try_launch_template),
    Check("the right to ask for a fleet", rights.try_fleet),
    Check("the right to launch instances", rights.try_instances),
)
_PATIENCE_S = 20.0


def check_launch(
    context: CheckContext, look: Callable[[], Ground], caller: Caller | None, report: Reporter
) -> list[Problem]:
    """Return what would stop a launch. `report` is told of the rest.

    Args:
        context: what is known of the launch.
        look: looks at what there is to launch with, while the checks run that need not know that.
        caller: tells who the account takes us for; None where that is not to be said.
        report: told who that is, what may be wrong, and what the account does not let us look at.
    """
    deadline = Deadline.after(_PATIENCE_S)
    calls = [
        (check, DeadlineCall(check.subject, partial(_find, check, context), deadline=deadline))
        for check in CHECKS
        if check.wanted(context)
    ]
    problems = []
    refusal = context.ground.settle(look)
    if caller is not None:
        report.note(f"In {context.aws.region}, as {caller.describe()}")
    if refusal is not None:
        problems.append(Problem(refusal.message, refusal.remedy))
    for check, call in calls:
        try:
            findings = call.result()
        except ClusterctlError as exc:
            if exc is not refusal:
                report.note(f"not checked: {check.subject} ({exc.message})")
            continue
        for finding in findings:
            if not finding.remedy:
                report.note(finding.text)
            elif finding.stops:
                problems.append(Problem(finding.text, finding.remedy))
            else:
                report.warn(f"{finding.text} (try: {finding.remedy})")
    return problems


def _find(check: Check, context: CheckContext) -> list[Finding]:
    return [*check.find(context)]
