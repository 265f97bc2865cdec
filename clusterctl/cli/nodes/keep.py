"""The command `keep`."""

from __future__ import annotations

import click

from clusterctl.cli.arguments import cluster_argument, json_option
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.errors import UsageError
from clusterctl.operations.joining.terms import describe_end
from clusterctl.operations.nodes.keep import keep_cluster
from clusterctl.options import parse_span
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context


@click.command()
@cluster_argument
@needed("time", metavar="TIME", example="2h")
@json_option
@click.pass_context
def keep(ctx: click.Context, name: str, time: str, *, as_json: bool) -> None:
    """Have a cluster stay for TIME from now, such as 2h or 30m, whatever IDLE_STOP and LIFETIME say.

    `never` takes that back. MAX_COST still ends it.
    """
    cluster = resolve_cluster(name)
    try:
        seconds = parse_span(time)
    except ValueError as exc:
        raise UsageError(str(exc), remedy=f"`clusterctl keep {cluster} 2h`") from None
    with Output(as_json=as_json) as output:
        context = lenient_context(cluster, config_file=ctx.obj.config, report=output)[0]
        ends = keep_cluster(context, seconds)
    if as_json:
        show_json({"name": cluster, "kept_s": round(ends.kept_s), "in_s": ends.ends_in_s, "why": ends.why})
    else:
        echo(f">>> {cluster} ends {describe_end(ends)}")
