"""The command `gc`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import json_option, yes_option
from clusterctl.cli.output import Output, confirm_or_decline, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.clock import utc_now
from clusterctl.operations.account.gc import GcScope, end_resources, find_unneeded
from clusterctl.text import format_age, format_utc, plural
from clusterctl.wiring import ec2
from clusterctl.wiring.local_paths import home_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.account.gc import GcFindings, UnneededResource
    from clusterctl.providers.ec2.account.gc import Leftover


@click.command()
@click.option("-n", "--dry-run", is_flag=True, help="Only tell.")
@click.option("--images", is_flag=True, help="Baked images and their snapshots, too.")
@click.option(
    "--all-owners",
    is_flag=True,
    help="End what others made, too: whether they need it is not known on this computer.",
)
@yes_option
@json_option
@click.pass_context
def gc(ctx: click.Context, *, dry_run: bool, images: bool, all_owners: bool, yes: bool, as_json: bool) -> int:
    """Find what clusterctl made in any region of the AWS account and no cluster needs, and end it after a yes.

    What is needed is what the journals of this computer say. Exits with 1 if something is left, or was not looked at.
    """
    aws = ec2.open_account(ctx.obj.config)
    caller = ec2.open_caller(aws)
    scope = GcScope(home_folder(), caller.name(), images, ec2.owner_tag(), caller.trouble)
    with Output(as_json=as_json) as output:
        findings = find_unneeded(aws, scope, report=output)
    doomed = findings.select_doomed(all_owners=all_owners)
    if not as_json:
        _show_findings(findings, doomed)
    left: list[Leftover] = []
    if doomed and not dry_run:
        confirm_or_decline(_ask_end(doomed), yes=yes, err=as_json)
        with Output(as_json=as_json) as output:
            left = end_resources(aws, findings, doomed, scope, report=output)
    if as_json:
        _show_as_json(findings, doomed=[] if dry_run else doomed, left=left)
    for leftover in left:
        resource = leftover.resource
        echo(f"*** WARNING - {resource.region}: {_resource_label(resource)} is left: {leftover.reason}", err=True)
    if left and not as_json:
        echo("try: run `clusterctl gc` again in some minutes", err=True)
    return 1 if left or findings.failures else 0


def _ask_end(doomed: Sequence[UnneededResource]) -> str:
    kinds = Counter(item.resource.kind.value for item in doomed)
    what = ", ".join(plural(count, kind) for kind, count in kinds.items())
    return f"End {plural(len(doomed), 'thing')}? {what} go for good, with all that is on them. Go on?"


def _resource_label(resource: Any) -> str:
    return f"{resource.kind.value} {resource.id}"


def _show_findings(findings: GcFindings, doomed: Sequence[UnneededResource]) -> None:
    for text in findings.failures:
        echo(f"*** WARNING - not looked at: {text}", err=True)
    for text in findings.notes:
        echo(f"note: {text}", err=True)
    if not findings.unneeded:
        echo(f">>> nothing that no cluster needs, in {plural(findings.regions, 'region')}")
        return
    now, doomed_keys = utc_now(), {item.resource.key for item in doomed}
    rows = []
    for item in findings.unneeded:
        resource = item.resource
        cost = findings.hourly_usd.get(resource.id)
        rows.append(
            (
                resource.kind.value,
                resource.id,
                resource.region,
                resource.cluster or "-",
                format_age(now - resource.made) if resource.made else "-",
                resource.owner or "-",
                "-" if cost is None else f"{cost:.4f}",
                resource.detail or resource.name or "-",
                item.reason if resource.key in doomed_keys else f"{item.reason}; not ours, --all-owners ends it",
            )
        )
    show_table(("KIND", "ID", "REGION", "CLUSTER", "AGE", "MADE BY", "$/H", "WHAT", "WHY"), rows)
    total = sum(findings.hourly_usd.get(item.resource.id, 0) for item in doomed)
    bill = f", {total:.4f} USD an hour as far as prices are known" if total else ""
    echo(f">>> {len(doomed)} of {plural(len(rows), 'thing')} to end{bill}")


def _show_as_json(findings: GcFindings, *, doomed: Sequence[UnneededResource], left: Sequence[Leftover]) -> None:
    reasons = {leftover.resource.key: leftover.reason for leftover in left}
    tried = {item.resource.key for item in doomed}
    show_json(
        {
            "found": [
                {
                    "kind": item.resource.kind.value,
                    "id": item.resource.id,
                    "name": item.resource.name,
                    "region": item.resource.region,
                    "cluster": item.resource.cluster,
                    "uuid": item.resource.uuid,
                    "owner": item.resource.owner,
                    "made": format_utc(item.resource.made),
                    "detail": item.resource.detail,
                    "hourly_usd": _to_float(findings.hourly_usd.get(item.resource.id)),
                    "reason": item.reason,
                    "foreign": item.foreign,
                    "ended": item.resource.key in tried and item.resource.key not in reasons,
                    "left": reasons.get(item.resource.key, ""),
                }
                for item in findings.unneeded
            ],
            "notes": findings.notes,
            "failures": findings.failures,
        }
    )


def _to_float(value: object) -> float | None:
    return None if value is None else float(str(value))
