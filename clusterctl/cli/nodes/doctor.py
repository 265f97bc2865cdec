"""The command `doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import json_option, optional_cluster
from clusterctl.cli.output import Output, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.operations.doctor.checks import Outcome
from clusterctl.operations.doctor.examine import examine
from clusterctl.wiring.checkup import make_patient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.doctor.checks import Finding


@click.command()
@optional_cluster
@json_option
@click.pass_context
def doctor(ctx: click.Context, name: str | None, *, as_json: bool) -> int:
    """Check laptop, config, credentials, network, nodes and services, and say what to type. Changes nothing."""
    with Output(as_json=as_json) as output:
        findings = examine(make_patient(name, config_file=ctx.obj.config, report=output), output)
    failed = any(finding.outcome == Outcome.FAILED for finding in findings)
    if as_json:
        show_json({"healthy": not failed, "checks": [asdict(finding) for finding in findings]})
    else:
        _show_findings(findings)
    return 1 if failed else 0


def _show_findings(findings: Sequence[Finding]) -> None:
    show_table(
        ("WHERE", "WHAT", "RESULT", ""),
        [(one.place, one.item, one.outcome.value, _one_line(one.detail)) for one in findings],
    )
    counts = Counter(finding.outcome for finding in findings)
    echo(", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]))
    for finding in findings:
        if finding.remedy and finding.outcome in {Outcome.FAILED, Outcome.WARNING}:
            echo(f"try, for {finding.place}, {finding.item}: {_one_line(finding.remedy)}")


def _one_line(text: str) -> str:
    return "; ".join(text.splitlines())
