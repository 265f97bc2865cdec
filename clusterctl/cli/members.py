"""addnode, removenode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import cluster_argument, json_option, yes_option
from clusterctl.cli.output import Output, confirm, show_json
from clusterctl.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence


def _split(aliases: Sequence[str]) -> list[str]:
    return [alias for given in aliases for alias in given.split(",") if alias]


@click.command()
@cluster_argument
@click.option("-n", "--num-nodes", default=1, type=click.IntRange(min=1), help="How many.", show_default=True)
@click.option("-a", "--alias", "aliases", multiple=True, help="What to call it; may be repeated, or a comma list.")
@json_option
@click.pass_context
def addnode(ctx: click.Context, name: str, num_nodes: int, aliases: Sequence[str], *, as_json: bool) -> int:
    """Let more nodes join. Those that are members go on working meanwhile."""
    from clusterctl import wiring
    from clusterctl.operations.launch import add_nodes

    wiring.the_cluster(name)
    with Output(as_json=as_json) as output:
        parts = wiring.parts(name, config_file=ctx.obj.config, report=output)
        started = add_nodes(parts, _split(aliases), num_nodes)
    if as_json:
        show_json({"name": name, "ok": started.ok, "joined": started.joined, "failed": started.failed})
    else:
        summary = next((c.summary for c in started.published if c.name == "client"), plural(len(started.nodes), "node"))
        click.echo(f">>> {', '.join(started.joined) or 'nobody'} joined {name}: {summary}, in {started.seconds:.1f} s")
    return 0 if started.ok else 1


@click.command()
@cluster_argument
@click.option(
    "-n",
    "--num-nodes",
    default=1,
    type=click.IntRange(min=1),
    help="How many, the last ones.",
    show_default=True,
)
@click.option("-a", "--aliases", "--alias", "aliases", multiple=True, help="Which; may be repeated, or a comma list.")
@yes_option
@json_option
@click.pass_context
def removenode(
    ctx: click.Context, name: str, num_nodes: int, aliases: Sequence[str], *, yes: bool, as_json: bool
) -> None:
    """Let workers leave, and end them. The master stays."""
    from clusterctl import wiring
    from clusterctl.operations.leave import remove_nodes

    wiring.the_cluster(name)
    chosen = _split(aliases)
    confirm(f"Remove {', '.join(chosen) or f'{num_nodes} of the nodes'} from {name}?", yes=yes)
    with Output(as_json=as_json) as output:
        parts = wiring.parts(name, config_file=ctx.obj.config, report=output)
        removed = remove_nodes(parts, chosen, num_nodes)
    if as_json:
        show_json({"name": name, "removed": removed})
    else:
        click.echo(f">>> {', '.join(removed)} left {name}")
