"""The command `cost`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import CLUSTER_NAME, json_option
from clusterctl.cli.money import format_dollars
from clusterctl.cli.output import Output, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.clock import utc_now
from clusterctl.errors import UsageError
from clusterctl.operations.account.bill import bill_clusters
from clusterctl.text import format_utc
from clusterctl.wiring import ec2
from clusterctl.wiring.clusters import known_clusters
from clusterctl.wiring.context import readable_contexts
from clusterctl.wiring.local_paths import home_folder

if TYPE_CHECKING:
    from clusterctl.operations.account.bill import ClusterBill
    from clusterctl.providers.money import BillLine

_AGO = re.compile(r"(\d{1,4})([hd])")


@click.command()
@click.argument("name", metavar="[CLUSTER]", type=CLUSTER_NAME, required=False)
@click.option(
    "-s", "--since", metavar="TIME", help="Only from then on: 12h, 7d, 2026-11-20 or 2026-11-20T08:00 in UTC."
)
@json_option
@click.pass_context
def cost(ctx: click.Context, name: str | None, since: str | None, *, as_json: bool) -> None:
    """Show what clusters on EC2 have cost, run by run, with nodes and clusters that have ended.

    It knows what was started from this computer, and counts machines, root disks, the volumes of HOME_VOLUME and public
    addresses.
    """
    begin = _parse_since(since) if since else None
    with Output(as_json=as_json) as output:
        existing = [one for one in known_clusters(output) if name in {None, one}]
        contexts = readable_contexts(existing, config_file=ctx.obj.config, report=output)
        aws = ec2.open_account(ctx.obj.config)
        bills = bill_clusters(aws, home_folder(), contexts, name=name, since=begin)
    if as_json:
        show_json([_bill_json(bill) for bill in bills])
        return
    if not bills:
        echo(f"Nothing that {name or 'any cluster of this computer'} cost is known here.")
        return
    for bill in bills:
        _show_bill(bill)
    total = sum((bill.bill.usd for bill in bills), Decimal(0))
    echo(f"In all{f' since {format_utc(begin)}' if begin else ''}: {format_dollars(total)}")


def _parse_since(text: str) -> datetime:
    if ago := _AGO.fullmatch(text.strip()):
        return utc_now() - timedelta(**{"hours" if ago[2] == "h" else "days": int(ago[1])})
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"{text}: not a time", remedy="write 12h, 7d, 2026-11-20 or 2026-11-20T08:00") from None
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)


def _show_bill(bill: ClusterBill) -> None:
    ended = "" if bill.exists else ", ended"
    echo(f"{bill.name} ({bill.region}{ended}): {format_dollars(bill.bill.usd)}")
    rows = [_row(line) for line in bill.bill.lines]
    columns = ("  NODE", "TYPE", "MARKET", "ZONE", "FROM", "TO", "HOURS", "MACHINE", "DISKS", "ADDRESS")
    show_table(columns, rows)
    for note in bill.bill.notes:
        echo(f"  note: {note}")


def _row(line: BillLine) -> tuple[str, ...]:
    machine = "unknown" if line.machine is None else f"{line.machine:.4f}"
    times = (format_utc(line.began), format_utc(line.stopped) or "now", f"{line.hours:.2f}")
    costs = (machine, f"{line.disks:.4f}", f"{line.address:.4f}")
    return (f"  {line.alias}", line.type, line.market or "-", line.zone, *times, *costs)


def _bill_json(bill: ClusterBill) -> dict[str, object]:
    return {
        "name": bill.name,
        "id": bill.id,
        "region": bill.region,
        "exists": bill.exists,
        "usd": round(float(bill.bill.usd), 6),
        "notes": list(bill.bill.notes),
        "runs": [
            {
                "node": line.alias,
                "instance": line.id,
                "type": line.type,
                "market": line.market,
                "zone": line.zone,
                "from": format_utc(line.began),
                "to": format_utc(line.stopped) or None,
                "hours": round(float(line.hours), 4),
                "machine_usd": None if line.machine is None else round(float(line.machine), 6),
                "disks_usd": round(float(line.disks), 6),
                "address_usd": round(float(line.address), 6),
            }
            for line in bill.bill.lines
        ],
    }
