"""The command `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import json_option, optional_cluster
from clusterctl.cli.output import Output, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes.cancel import end_work
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from clusterctl.hub import Cancelled

_KINDS = {"apply_request": "a call", "execute_request": "code"}


@click.command()
@optional_cluster
@click.option("--client", default="", metavar="CLIENT", help="Only the work of this client; the first letters will do.")
@click.option("--list", "look", is_flag=True, help="Only show what runs and what waits, and whose it is.")
@json_option
@click.pass_context
def cancel(ctx: click.Context, name: str | None, *, client: str, look: bool, as_json: bool) -> int:
    """End what runs and what waits at the engines, of everybody or of one client.

    Whoever gave it gets an error. What the engines have in memory stays.
    """
    cluster = resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context = lenient_context(cluster, config_file=ctx.obj.config, report=output)[0]
        cancelled = end_work(context, client=client, look=look)
    if as_json:
        _show_as_json(cluster, cancelled)
    elif look:
        _show_work(cluster, cancelled)
    else:
        _show_end(cluster, cancelled)
    return 1 if cancelled.deaf and not look else 0


def _show_as_json(name: str, cancelled: Cancelled) -> None:
    running = [
        {"engine": number, "client": task.client, "kind": task.kind, "seconds": round(task.seconds, 1)}
        for number, task in sorted(cancelled.running.items())
    ]
    outcome = {"interrupted": cancelled.interrupted, "ended": cancelled.ended, "deaf": cancelled.deaf}
    show_json({"name": name, "running": running, "waiting": cancelled.waiting, **outcome})


def _show_work(name: str, cancelled: Cancelled) -> None:
    rows = [
        (f"engine {number}", task.client, f"{_KINDS.get(task.kind, task.kind)}, for {task.seconds:.0f} s")
        for number, task in sorted(cancelled.running.items())
    ]
    rows += [("queue", client, plural(count, "task")) for client, count in sorted(cancelled.waiting.items())]
    if rows:
        show_table(("WHERE", "CLIENT", "WHAT"), rows)
    else:
        echo(f">>> nothing runs or waits on {name}")
    _tell_deaf(cancelled)


def _show_end(name: str, cancelled: Cancelled) -> None:
    interrupted, waited = len(cancelled.interrupted), sum(cancelled.waiting.values())
    echo(f">>> {plural(interrupted, 'engine')} interrupted, {plural(waited, 'task')} taken from the queue of {name}")
    if cancelled.ended:
        which = ", ".join(map(str, cancelled.ended))
        echo(f">>> ended, since they could not be interrupted; they start anew: engine {which}")
    _tell_deaf(cancelled)


def _tell_deaf(cancelled: Cancelled) -> None:
    if cancelled.deaf:
        which = ", ".join(map(str, cancelled.deaf))
        echo(f"warning: engine {which} did not answer, or was started by an older version", err=True)
        echo("try: `clusterctl runplugin ipclusterrestart` renews the engines", err=True)
