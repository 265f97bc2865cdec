"""What clusters cost, those that have ended included, from what the journals of this computer tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.errors import ClusterctlError
from clusterctl.journal.past import Ledger, make_ledger, read_past
from clusterctl.providers.ec2.pricing.bill import compute_bill
from clusterctl.providers.ec2.pricing.lives import read_lives
from clusterctl.providers.ec2.pricing.volume_lives import read_volumes
from clusterctl.providers.money import Noting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from clusterctl.operations.context import RunContext
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.money import Bill


@dataclass(frozen=True)
class ClusterBill:
    """The bill of one cluster."""

    name: str
    id: str
    region: str
    exists: bool
    """Whether the cluster is there; False once it has ended."""
    bill: Bill


def bill_clusters(
    aws: Aws, home: Path, contexts: Sequence[RunContext], *, name: str | None, since: datetime | None
) -> list[ClusterBill]:
    """Return the bills of clusters that cost something, those that have ended first.

    Args:
        aws: the account.
        home: the folder of this computer's files.
        contexts: of clusters that exist.
        name: only clusters of this name, however many there were; None for all.
        since: what was before does not count; None: all counts.
    """
    ledgers = [ledger for ledger in read_past(home) if name in {None, ledger.name}]
    ledgers += [ledger for context in contexts if (ledger := _ledger_of(context))]
    now = utc_now()
    bills = []
    for ledger in ledgers:
        lives = read_lives(ledger.events)
        account = aws.in_region(ledger.region or aws.region)
        volumes = read_volumes(ledger.events)
        bill = compute_bill(account, lives, volumes, since=since, now=now) if lives else None
        if bill and bill.lines:
            bills.append(ClusterBill(ledger.name, ledger.id, account.region, ledger.exists, bill))
    return bills


def _ledger_of(context: RunContext) -> Ledger | None:
    """Return the ledger of a cluster, after its provider has noted what has changed; None if it costs nothing."""
    if not isinstance(context.provider, Noting):
        return None
    try:
        context.provider.note_lives(context.name)
    except ClusterctlError as exc:
        context.report.warn(f"{context.name}: what ended since the last look is not known: {exc.message}")
    return make_ledger(context.name, context.folder.cluster_id, context.folder.events())
