"""The commands `addnode`, `removenode` and `resize`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import NODE_NAME, Dollars, buy_option, cluster_argument, json_option, yes_option
from clusterctl.cli.money import Prompt, estimate_json
from clusterctl.cli.needed import NeededOption
from clusterctl.cli.output import Output, confirm_or_decline, show_json
from clusterctl.cli.questions import ask_remove
from clusterctl.cli.terminal import echo
from clusterctl.model import Market, NodeOverrides
from clusterctl.operations.growing import add_nodes, grow_to, plan_resize
from clusterctl.operations.leave import count_losses, remove_nodes, with_jobs
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from clusterctl.operations.start import StartResult

MARKETS = tuple(market.value for market in Market if market != Market.NONE)


def _split_aliases(aliases: Sequence[str]) -> list[str]:
    return [alias for given in aliases for alias in given.split(",") if alias]


def _read_overrides(
    *, instance_type: str, image_id: str, bid: Decimal | None, market: str | None
) -> NodeOverrides | None:
    """Return what the command line says of the new nodes; None if it says nothing."""
    by_bid = Market.NONE if bid is None else Market.SPOT
    overrides = NodeOverrides(
        types=tuple(_split_aliases([instance_type])),
        image=image_id,
        bid=bid,
        market=Market(market) if market else by_bid,
    )
    return None if overrides == NodeOverrides() else overrides


@click.command()
@cluster_argument
@click.option("-n", "--num-nodes", default=1, type=click.IntRange(min=1), help="How many.", show_default=True)
@click.option("-a", "--alias", "aliases", multiple=True, help="What to call it; may be repeated, or a comma list.")
@click.option("-I", "--instance-type", default="", help="ec2: types, any of which may be taken; a comma list.")
@click.option("-i", "--image-id", default="", help="Image of the new nodes.")
@click.option("-b", "--bid", type=Dollars(), help="ec2: most to pay for an hour, in USD.")
@click.option("--market", type=click.Choice(MARKETS), help="ec2: how the new nodes are bought.")
@buy_option
@json_option
@click.pass_context
def addnode(
    ctx: click.Context,
    /,
    name: str,
    num_nodes: int,
    aliases: Sequence[str],
    *,
    yes: bool,
    as_json: bool,
    **differing: Any,
) -> int:
    """Let more nodes join. Those that are members go on working meanwhile.

    What is said of the new nodes here is remembered for them: one that is lost is replaced by its like.
    """
    resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context = load_context(name, config_file=ctx.obj.config, report=output)
        asking = Prompt(as_json=as_json)
        started = add_nodes(
            context,
            _split_aliases(aliases),
            num_nodes,
            differing=_read_overrides(**differing),
            approval=None if yes else asking,
        )
    return _show_joined(started, asking, as_json=as_json)


def _show_joined(started: StartResult, asking: Prompt, *, as_json: bool) -> int:
    """Tell who joined. Return the status of the command."""
    if as_json:
        answer = {"name": started.name, "ok": started.ok, "joined": started.joined, "failed": started.failed}
        show_json({**answer, "estimate": estimate_json(asking.estimate)})
    else:
        summary = next((c.summary for c in started.published if c.name == "client"), plural(len(started.nodes), "node"))
        joined = ", ".join(started.joined) or "nobody"
        echo(f">>> {joined} joined {started.name}: {summary}, in {started.seconds:.1f} s")
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
@click.option(
    "-a",
    "--aliases",
    "--alias",
    "aliases",
    multiple=True,
    type=NODE_NAME,
    help="Which; may be repeated, or a comma list.",
)
@yes_option
@json_option
@click.pass_context
def removenode(
    ctx: click.Context, name: str, num_nodes: int, aliases: Sequence[str], *, yes: bool, as_json: bool
) -> None:
    """Let workers leave, and end them. The master stays."""
    resolve_cluster(name)
    _remove(ctx, name, _split_aliases(aliases), num_nodes, yes=yes, as_json=as_json)


def _remove(ctx: click.Context, name: str, aliases: Sequence[str], count: int, *, yes: bool, as_json: bool) -> None:
    """Ask, let workers leave, and tell who left."""
    output = Output(as_json=as_json)
    with output:
        context, trouble = lenient_context(name, config_file=ctx.obj.config, report=output, ending=True)
    if not yes:
        losses = with_jobs(context, count_losses(context, aliases, count=count))
        confirm_or_decline(ask_remove(losses), yes=False, err=as_json)
    with output:
        context.warn_of(trouble)
        removed = remove_nodes(context, aliases, count)
    if as_json:
        show_json({"name": name, "removed": removed})
    else:
        echo(f">>> {', '.join(removed)} left {name}")


@click.command()
@cluster_argument
@click.option(
    "-s",
    "--cluster-size",
    "size",
    cls=NeededOption,
    example="3",
    type=click.IntRange(min=1),
    help="How many nodes, with the master.",
)
@buy_option
@json_option
@click.pass_context
def resize(ctx: click.Context, name: str, size: int, *, yes: bool, as_json: bool) -> int:
    """Have so many nodes: let more join, or let the last ones leave.

    Whoever repeats it changes nothing more, also after it was killed half-way.
    """
    resolve_cluster(name)
    with Output(as_json=as_json) as output:
        resizing = plan_resize(lenient_context(name, config_file=ctx.obj.config, report=output)[0], size)
    if resizing.leaving:
        _remove(ctx, name, resizing.leaving, len(resizing.leaving), yes=yes, as_json=as_json)
        return 0
    with Output(as_json=as_json) as output:
        context = load_context(name, config_file=ctx.obj.config, report=output)
        asking = Prompt(as_json=as_json)
        started = grow_to(context, size, approval=None if yes else asking)
    return _show_joined(started, asking, as_json=as_json)
