"""The commands `stop`, `restart` and `terminate`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import cluster_arguments, yes_option
from clusterctl.cli.clusters.start_report import show_started
from clusterctl.cli.output import Output, confirm_or_decline
from clusterctl.cli.questions import ask_restart, ask_stop, ask_terminate
from clusterctl.cli.terminal import echo
from clusterctl.errors import ClusterctlError, DeclinedError, UnprovenError
from clusterctl.operations.leave import count_losses, stop_cluster, terminate_cluster, with_jobs
from clusterctl.operations.owning.proof import check_proof
from clusterctl.operations.restart import restart_cluster
from clusterctl.text import plural
from clusterctl.wiring.clusters import refuse_misspelt, resolve_cluster, split_known
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from clusterctl.operations.context import RunContext

_AT_ONCE = 8
"""How many clusters end at the same time."""


@click.command()
@cluster_arguments
@yes_option
@click.pass_context
def stop(ctx: click.Context, names: Sequence[str], *, yes: bool) -> None:
    """Power the nodes off and keep their disks; `start` brings all of it back."""
    output = Output()
    with output:
        contexts = {
            name: lenient_context(name, config_file=ctx.obj.config, report=output, ending=True)
            for name in map(resolve_cluster, names)
        }
    if not yes:
        losses = [with_jobs(context, count_losses(context)) for context, _ in contexts.values()]
        confirm_or_decline(ask_stop(losses), yes=False)

    def stop_one(name: str) -> str:
        context, trouble = contexts[name]
        context.warn_of(trouble)
        context.report.say(f"Stopping {name}")
        stopped = stop_cluster(context)
        return f">>> {name} is stopped ({plural(len(stopped), 'node')}); `clusterctl start {name}` brings it back"

    _side_by_side(stop_one, contexts, output)


@click.command()
@cluster_arguments
@yes_option
@click.pass_context
def restart(ctx: click.Context, names: Sequence[str], *, yes: bool) -> int:
    """Boot the nodes anew, or power them off and on again, and let them join."""
    output = Output()
    with output:
        contexts = [load_context(resolve_cluster(name), config_file=ctx.obj.config, report=output) for name in names]
    if not yes:
        confirm_or_decline(ask_restart([with_jobs(context, count_losses(context)) for context in contexts]), yes=False)
    ok = True
    for context in contexts:
        with output:
            context.report.say(f"Restarting {context.name}")
            started = restart_cluster(context)
        show_started(started, as_json=False, timings=False)
        ok = ok and started.ok
    return 0 if ok else 1


@click.command()
@cluster_arguments
@click.option("-f", "--force", is_flag=True, help="Wait for no job and no plugin: end the machines.")
@click.option("--id", "chosen", default="", metavar="ID", help="Which one of this name, if its files here are lost.")
@yes_option
@click.pass_context
def terminate(ctx: click.Context, names: Sequence[str], *, force: bool, chosen: str, yes: bool) -> None:
    """End the nodes and everything on them, for good. A cluster that was ended before is success.

    What ends is proved to be this cluster's by its id. Where this computer has lost the id, the command shows what has
    the name, by owner and age, and asks for one.
    """
    if chosen and len(names) > 1:
        raise click.UsageError("--id is of one cluster: name that one alone.")
    existing, misspelt = split_known(names)
    output = Output()
    with output:
        contexts = {
            name: lenient_context(name, config_file=ctx.obj.config, report=output, ending=True) for name in names
        }
    ids = {name: _find_id(contexts[name][0], chosen, yes=yes) for name in existing}
    if existing and not yes:
        with_ids = [(contexts[name][0], ids[name]) for name in existing]
        losses = [with_jobs(context, count_losses(context, chosen_id=chosen_id)) for context, chosen_id in with_ids]
        confirm_or_decline(ask_terminate(losses, force=force), yes=False)

    def end(name: str) -> str:
        context, trouble = contexts[name]
        context.warn_of(trouble)
        if name in existing:
            context.report.say(f"Terminating {name}")
        ended = terminate_cluster(context, force=force, chosen_id=ids.get(name, chosen))
        if name in existing:
            return f">>> {name} is gone ({plural(len(ended), 'node')})"
        return "" if name in misspelt else f">>> there is no {name} any more: nothing to end"

    _side_by_side(end, contexts, output)
    refuse_misspelt(misspelt)


def _side_by_side(act: Callable[[str], str], names: Collection[str], output: Output) -> None:
    """Do this with each cluster at the same time, and print what it returns.

    One that fails keeps no other from its end; the first error is raised once all have ended, others are warnings.
    """
    failed: list[ClusterctlError] = []

    def one(name: str) -> str:
        try:
            return act(name)
        except ClusterctlError as exc:
            failed.append(exc)
            if len(failed) > 1:
                output.warn(f"{name}: {exc.message}; {exc.remedy}")
            return ""

    with output:
        if len(names) == 1:  # in this thread, which Ctrl-C interrupts
            said = [*map(one, names)]
        else:
            with ThreadPoolExecutor(min(len(names), _AT_ONCE)) as pool:
                said = [*pool.map(one, names)]
    for text in said:
        if text:
            echo(text)
    if failed:
        raise failed[0]


def _find_id(context: RunContext, chosen: str, *, yes: bool) -> str:
    """Return the id that the user named, or names now; empty where this computer knows it."""
    try:
        check_proof(context, "terminate", chosen)
    except UnprovenError as exc:
        if yes or not sys.stdin.isatty():
            raise
        echo(exc.message)
        answer: str = click.prompt("Which id? Nothing ends without one", default="", show_default=False)
        if not answer:
            raise DeclinedError("nothing was changed", remedy="run the same command again, and name an id") from exc
        check_proof(context, "terminate", answer)
        return answer
    return chosen
