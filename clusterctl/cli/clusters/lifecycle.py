"""The commands `stop`, `restart` and `terminate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import ClusterName, yes_option
from clusterctl.cli.clusters.questions import ask_stop, ask_terminate
from clusterctl.cli.clusters.start_report import show_started
from clusterctl.cli.output import Output, confirm_or_decline
from clusterctl.cli.terminal import echo
from clusterctl.operations.leave import count_losses, stop_cluster, terminate_cluster
from clusterctl.operations.restart import restart_cluster
from clusterctl.text import plural
from clusterctl.wiring.clusters import refuse_misspelt, resolve_cluster, split_known
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@yes_option
@click.pass_context
def stop(ctx: click.Context, names: Sequence[str], *, yes: bool) -> None:
    """Power the nodes off and keep their disks; `start` brings all of it back."""
    output = Output()
    with output:
        contexts = [
            lenient_context(resolve_cluster(name), config_file=ctx.obj.config, report=output, ending=True)
            for name in names
        ]
    if not yes:
        confirm_or_decline(ask_stop([count_losses(context) for context, _ in contexts]), yes=False)
    for context, trouble in contexts:
        name = context.name
        with output:
            context.warn_of(trouble)
            context.report.say(f"Stopping {name}")
            stopped = stop_cluster(context)
        echo(f">>> {name} is stopped ({plural(len(stopped), 'node')}); `clusterctl start {name}` brings it back")


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@click.pass_context
def restart(ctx: click.Context, names: Sequence[str]) -> int:
    """Boot the nodes anew, or power them off and on again, and let them join."""
    ok = True
    for name in names:
        resolve_cluster(name)
        with Output() as output:
            context = load_context(name, config_file=ctx.obj.config, report=output)
            context.report.say(f"Restarting {name}")
            started = restart_cluster(context)
        show_started(started, as_json=False, timings=False)
        ok = ok and started.ok
    return 0 if ok else 1


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@click.option("-f", "--force", is_flag=True, help="Do not let the plugins say goodbye; end the machines.")
@yes_option
@click.pass_context
def terminate(ctx: click.Context, names: Sequence[str], *, force: bool, yes: bool) -> None:
    """End the nodes and everything on them, for good. A cluster that was ended before is success."""
    existing, misspelt = split_known(names)
    output = Output()
    with output:
        contexts = {
            name: lenient_context(name, config_file=ctx.obj.config, report=output, ending=True) for name in names
        }
    if existing and not yes:
        confirm_or_decline(ask_terminate([count_losses(contexts[name][0]) for name in existing]), yes=False)
    for name, (context, trouble) in contexts.items():
        with output:
            context.warn_of(trouble)
            if name in existing:
                context.report.say(f"Terminating {name}")
            ended = terminate_cluster(context, force=force)
        if name in existing:
            echo(f">>> {name} is gone ({plural(len(ended), 'node')})")
        elif name not in misspelt:
            echo(f">>> there is no {name} any more: nothing to end")
    refuse_misspelt(misspelt)
