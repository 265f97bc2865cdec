"""The command `selftest`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

import clusterctl
from clusterctl.cli.arguments import TEMPLATE_NAME, buy_option, json_option
from clusterctl.cli.money import Prompt
from clusterctl.cli.output import Output, confirm_or_decline, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.selftest import run as operation
from clusterctl.operations.selftest.context import CheckContext
from clusterctl.operations.selftest.run import estimate_selftest
from clusterctl.text import plural
from clusterctl.wiring.context import selftest_contexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.context import RunContext
    from clusterctl.operations.selftest.run import CheckResult


@click.group()
def selftest() -> None:
    """Check that what is promised holds where your nodes are."""


@selftest.command()
@click.option(
    "-c",
    "--cluster-template",
    "template",
    type=TEMPLATE_NAME,
    help="The [cluster NAME] section whose image, network and access are checked; default: [aws] alone.",
)
@click.option(
    "-i", "--instance-type", "types", default="", help="Types, any of which may be taken; default: small ones."
)
@json_option
@buy_option
@click.pass_context
def ec2(ctx: click.Context, template: str | None, types: str, *, as_json: bool, yes: bool) -> int:
    """Start the smallest cluster on EC2, check it, and end it.

    A master on demand and a spot worker, for a quarter of an hour or two. It says what they cost and asks before. The
    nodes end by themselves after two hours, should this computer not be able to end them.
    """
    name = f"{operation.NAME_PREFIX}{secrets.token_hex(2)}"
    with Output(as_json=as_json) as output:
        make = selftest_contexts(name, config_file=ctx.obj.config, template=template, types=types, report=output)
        if not yes:
            _ask_approval(make(None), as_json=as_json)
        bench = CheckContext(make_context=make, connect_client=lambda: clusterctl.connect(name))
        verdicts = operation.run_selftest(bench, lambda verdict: _show_verdict(verdict, as_json=as_json))
    broken = sum(not verdict.ok for verdict in verdicts)
    if as_json:
        show_json({"name": name, "ok": not broken, "checks": [_verdict_json(verdict) for verdict in verdicts]})
    else:
        echo(f">>> {name}: {_sum_up(verdicts, broken)}")
    return 1 if broken else 0


def _sum_up(verdicts: Sequence[CheckResult], broken: int) -> str:
    unproven = [verdict.promise for verdict in verdicts if verdict.ok and not verdict.proven]
    text = f"{plural(broken, 'check')} failed" if broken else "nothing failed" if unproven else "all is as promised"
    return f"{text}; not proven: {'; '.join(unproven)}" if unproven else text


def _ask_approval(context: RunContext, *, as_json: bool) -> None:
    estimate = estimate_selftest(context)
    if estimate:
        Prompt(as_json=as_json).allow_cost(estimate)
    else:
        confirm_or_decline(f"Start {plural(2, 'node')} for a test?", yes=False, err=as_json)


def _show_verdict(verdict: CheckResult, *, as_json: bool) -> None:
    word = "ok" if verdict.proven else "open" if verdict.ok else "FAILED"
    line = f"{word:6}  {verdict.promise} ({verdict.seconds:.0f} s)"
    echo(f"{line}: {verdict.why}" if verdict.why else line, err=as_json)


def _verdict_json(verdict: CheckResult) -> dict[str, Any]:
    return {
        "check": verdict.promise,
        "ok": verdict.ok,
        "proven": verdict.proven,
        "why": verdict.why,
        "seconds": round(verdict.seconds, 1),
    }
