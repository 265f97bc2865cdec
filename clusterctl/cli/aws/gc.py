"""gc."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import json_option, yes_option
from clusterctl.cli.output import Output, confirm, show_json, show_table
from clusterctl.text import age, plural, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.gc import Findings, Unneeded
    from clusterctl.providers.ec2.account.gc import Left


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
    from clusterctl.operations.gc import Asker, end, find
    from clusterctl.wiring import ec2
    from clusterctl.wiring.local_paths import home

    aws, asker = ec2.aws(ctx.obj.config), Asker(home(), ec2.owner(), images)
    with Output(as_json=as_json) as output:
        found = find(aws, asker, report=output)
    doomed = [each for each in found.unneeded if all_owners or not each.foreign]
    if not as_json:
        _show(found, doomed)
    left: list[Left] = []
    if doomed and not dry_run:
        confirm(f"End {plural(len(doomed), 'thing')}?", yes=yes, err=as_json)
        with Output(as_json=as_json) as output:
            left = end(aws, found, doomed, asker, report=output)
    if as_json:
        _show_as_json(found, doomed=[] if dry_run else doomed, left=left)
    for each in left:
        click.echo(f"*** WARNING - {each.resource.region}: {_name(each.resource)} is left: {each.why}", err=True)
    if left and not as_json:
        click.echo("try: run `clusterctl gc` again in some minutes", err=True)
    return 1 if left or found.failures else 0


def _name(resource: Any) -> str:
    return f"{resource.kind.value} {resource.id}"


def _show(found: Findings, doomed: Sequence[Unneeded]) -> None:
    for text in found.failures:
        click.echo(f"*** WARNING - not looked at: {text}", err=True)
    for text in found.notes:
        click.echo(f"note: {text}", err=True)
    if not found.unneeded:
        click.echo(f">>> nothing that no cluster needs, in {plural(found.regions, 'region')}")
        return
    now, ours = datetime.now(timezone.utc), {each.resource.key for each in doomed}
    rows = []
    for each in found.unneeded:
        it = each.resource
        cost = found.hourly_usd.get(it.id)
        rows.append(
            (
                it.kind.value,
                it.id,
                it.region,
                it.cluster or "-",
                age(now - it.made) if it.made else "-",
                it.owner or "-",
                "-" if cost is None else f"{cost:.4f}",
                it.detail or it.name or "-",
                each.reason if it.key in ours else f"{each.reason}; not ours, --all-owners ends it",
            )
        )
    show_table(("KIND", "ID", "REGION", "CLUSTER", "AGE", "MADE BY", "$/H", "WHAT", "WHY"), rows)
    total = sum(found.hourly_usd.get(each.resource.id, 0) for each in doomed)
    bill = f", {total:.4f} USD an hour as far as prices are known" if total else ""
    click.echo(f">>> {len(doomed)} of {plural(len(rows), 'thing')} to end{bill}")


def _show_as_json(found: Findings, *, doomed: Sequence[Unneeded], left: Sequence[Left]) -> None:
    why = {each.resource.key: each.why for each in left}
    tried = {each.resource.key for each in doomed}
    show_json(
        {
            "found": [
                {
                    "kind": each.resource.kind.value,
                    "id": each.resource.id,
                    "name": each.resource.name,
                    "region": each.resource.region,
                    "cluster": each.resource.cluster,
                    "uuid": each.resource.uuid,
                    "owner": each.resource.owner,
                    "made": utc(each.resource.made),
                    "detail": each.resource.detail,
                    "hourly_usd": _number(found.hourly_usd.get(each.resource.id)),
                    "reason": each.reason,
                    "foreign": each.foreign,
                    "ended": each.resource.key in tried and each.resource.key not in why,
                    "left": why.get(each.resource.key, ""),
                }
                for each in found.unneeded
            ],
            "notes": found.notes,
            "failures": found.failures,
        }
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
