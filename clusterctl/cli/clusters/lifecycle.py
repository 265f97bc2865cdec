"""The commands `stop`, `restart` and `terminate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl import planning
from clusterctl.cli.arguments import ClusterName, yes_option
from clusterctl.cli.clusters.start_report import show_started
from clusterctl.cli.output import Output, confirm_or_abort
from clusterctl.operations.leave import stop_cluster as stop_operation
from clusterctl.operations.leave import terminate_cluster as terminate_operation
from clusterctl.operations.restart import restart_cluster as restart_operation
from clusterctl.text import plural
from clusterctl.wiring.clusters import known_clusters, resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@yes_option
@click.pass_context
def stop(ctx: click.Context, names: Sequence[str], *, yes: bool) -> None:
    """Power the nodes off and keep their disks; `start` brings all of it back."""
    for name in names:
        resolve_cluster(name)
    confirm_or_abort(f"Stop {', '.join(names)}?", yes=yes)
    for name in names:
        with Output() as output:
            context = load_context(name, config_file=ctx.obj.config, report=output)
            context.announce_step(f"Stopping {name}")
            stopped = stop_operation(context)
        click.echo(f">>> {name} is stopped ({plural(len(stopped), 'node')}); `clusterctl start {name}` brings it back")


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
            context.announce_step(f"Restarting {name}")
            started = restart_operation(context)
        show_started(started, as_json=False, timings=False)
        ok = ok and started.ok
    return 0 if ok else 1


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@click.option("-f", "--force", is_flag=True, help="Do not let the plugins say goodbye; end the machines.")
@yes_option
@click.pass_context
def terminate(ctx: click.Context, names: Sequence[str], *, force: bool, yes: bool) -> None:
    """End the nodes and everything on them, for good. A cluster that is gone already is success."""
    for name in names:
        planning.check_name(name)
    known = known_clusters()
    if any(name in known for name in names):
        confirm_or_abort(f"End {', '.join(name for name in names if name in known)} and everything on it?", yes=yes)
    for name in names:
        with Output() as output:
            context, trouble = lenient_context(name, config_file=ctx.obj.config, report=output)
            if trouble:
                context.warn_user(
                    f"the config cannot be read, so its plugins are not called: {trouble.splitlines()[0]}"
                )
            if name in known:
                context.announce_step(f"Terminating {name}")
            ended = terminate_operation(context, force=force)
        click.echo(
            f">>> {name} is gone ({plural(len(ended), 'node')})"
            if name in known
            else f">>> there is no {name}: nothing to end"
        )
