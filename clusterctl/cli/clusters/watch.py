"""The command `watch`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import cluster_argument, every_option
from clusterctl.cli.output import Output
from clusterctl.cli.terminal import echo
from clusterctl.clock import log_stamp
from clusterctl.events import EventKind, Reporter
from clusterctl.operations.watching.deciding import Act
from clusterctl.operations.watching.loop import Outcome, Watch
from clusterctl.operations.watching.user_unit import install_unit, remove_unit, unit_file, write_unit
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from clusterctl.events import Event
    from clusterctl.operations.context import RunContext

_KEPT_VARIABLES = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "CLUSTERCTL_CONFIG",
    "CLUSTERCTL_HOME",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
)
"""What a service has of the environment of the command that installs it: names and places, no secrets."""
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class _Warnings(Reporter):
    """Shows the warnings alone of what is done."""

    def __init__(self, output: Output) -> None:
        super().__init__(self._show_warning)
        self._output = output

    def _show_warning(self, event: Event) -> None:
        if event.kind == EventKind.WARNING:
            self._output.warn(event.text)


@click.command()
@cluster_argument
@every_option(15)
@click.option("--once", is_flag=True, help="Do what is to be done now, and end.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done about a decision as well.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each decision and each end of one.")
@click.option("--install", is_flag=True, help="Watch without a terminal, now and after each login (systemd).")
@click.option("--uninstall", is_flag=True, help="Take that back.")
@click.pass_context
def watch(ctx: click.Context, /, name: str, *, install: bool, uninstall: bool, **options: Any) -> int:
    """Keep a cluster whole: bring back nodes that are lost, and replace those that will be taken.

    It buys what `start` would buy to bring the cluster to its size, and no more. With SCALE_MAX it lets the cluster
    grow by what waits, and ends nodes that have nothing to do. It ends when the cluster is stopped or ended. Ctrl-C
    ends it; the cluster stays.
    """
    cluster = resolve_cluster(name)
    unit = f"clusterctl-watch-{cluster}"
    if install and uninstall:
        raise click.UsageError("--install and --uninstall are opposites.")
    if uninstall:
        removed = remove_unit(unit)
        echo(f">>> {cluster} is watched over no more" if removed else f"{cluster} was not watched over by a service")
        return 0
    if install:
        _install(unit, cluster, ctx.obj.config, every_s=options["every_s"])
        return 0
    return _watch(cluster, unit, ctx.obj.config, **options)


def _watch(
    cluster: str,
    unit: str,
    config: str | None,
    *,
    every_s: int,
    once: bool,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    with Output(as_json=as_json) as output:
        report: Reporter = output if verbose else _Warnings(output)

        def look_context() -> RunContext:
            return lenient_context(cluster, config_file=config, report=report)[0]

        def act_context() -> RunContext:
            return load_context(cluster, config_file=config, report=report)

        ended = False

        def tell(outcome: Outcome) -> None:
            nonlocal ended
            ended = ended or outcome.decision.act == Act.END
            if as_json:
                output.answer_line(_outcome_json(outcome, dry_run=dry_run))
            else:
                echo(_outcome_text(outcome, dry_run=dry_run))

        succeeded = Watch(look_context, act_context, tell, dry_run=dry_run).run(every_s, once=once)
    if ended and "INVOCATION_ID" in os.environ and unit_file(unit).exists():  # systemd has started it
        remove_unit(unit, stop=False)
    return 0 if succeeded else 1


def _outcome_state(outcome: Outcome, *, dry_run: bool) -> str:
    if outcome.decision.act in {Act.NOTE, Act.END}:
        return "told"
    if outcome.seconds is None:
        return "dry run" if dry_run else "begun"
    return "failed" if outcome.error else "done"


def _outcome_json(outcome: Outcome, *, dry_run: bool) -> dict[str, object]:
    decision = outcome.decision
    return {
        "time": log_stamp(),
        "act": decision.act.value,
        "node": decision.node or None,
        "reason": decision.reason,
        "state": _outcome_state(outcome, dry_run=dry_run),
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 1),
        "error": outcome.error or None,
    }


def _outcome_text(outcome: Outcome, *, dry_run: bool) -> str:
    decision, state = outcome.decision, _outcome_state(outcome, dry_run=dry_run)
    words = [log_stamp(), decision.node or "-", decision.act.value]
    if state == "done":
        return "  ".join([*words, f"done in {outcome.seconds:.1f} s"])
    if state == "failed":
        return "  ".join([*words, f"failed: {outcome.error}"])
    return "  ".join([*words, decision.reason, *(["(dry run)"] if state == "dry run" else [])])


def _install(unit: str, cluster: str, config: str | None, *, every_s: int) -> None:
    command = [sys.executable, "-m", "clusterctl.cli.main"]
    command += ["-c", str(Path(config).absolute())] if config else []
    command += ["watch", cluster, "--every", str(every_s)]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if os.environ.get(name)}
    text = write_unit(f"Keep the cluster {cluster} whole", command, environment)
    path = install_unit(unit, text)
    echo(f">>> {cluster} is watched over by {path}")
    echo(f"    its decisions: journalctl --user -u {unit} -f")
    echo("    it ends when you log out, unless you have said: loginctl enable-linger")
    if any(os.environ.get(name) for name in _SECRETS):
        echo("*** WARNING - AWS keys of the environment are not copied: put them into a profile", err=True)
