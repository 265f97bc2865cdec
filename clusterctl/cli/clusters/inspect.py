"""The commands `listclusters`, `status` and `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import ClusterName, NodeName, json_option, optional_cluster
from clusterctl.cli.money import spending_json, spending_text
from clusterctl.cli.output import Output, connections_json, show_connections, show_json, show_table
from clusterctl.text import plural

if TYPE_CHECKING:
    from clusterctl.operations.status import ClusterStatus


@click.command()
@click.argument("names", metavar="[CLUSTER]...", nargs=-1, type=ClusterName())
@json_option
@click.pass_context
def listclusters(ctx: click.Context, names: tuple[str, ...], *, as_json: bool) -> None:
    """List the clusters and their nodes."""
    from clusterctl.operations.status import list_clusters
    from clusterctl.wiring.clusters import known_clusters, resolve_cluster
    from clusterctl.wiring.context import readable_contexts

    with Output(as_json=as_json) as output:
        chosen = [resolve_cluster(name) for name in names] or list(known_clusters(output))
        statuses = list_clusters(readable_contexts(chosen, config_file=ctx.obj.config, report=output))
    if as_json:
        show_json([_status_json(status) for status in statuses])
        return
    if not statuses:
        click.echo("No clusters. `clusterctl start NAME` makes one.")
    for status in statuses:
        _show_status(status)


def _status_json(status: ClusterStatus) -> dict[str, object]:
    master = next((node for node in status.nodes if node.is_master), None)
    counts = [status.engine_count(node.alias) for node in status.nodes]
    known = [count for count in counts if count is not None]
    published = {connection.name: connection for connection in status.published}
    return {
        "name": status.name,
        "provider": status.provider,
        "state": status.state,
        "master": master.address if master else None,
        "engines": sum(known) if known or status.lacks_engines else None,
        "client_file": published["client"].file if "client" in published else None,
        "notebook_url": published["notebook"].url if "notebook" in published else None,
        "cost": spending_json(status.spending),
        "nodes": [
            {
                "alias": node.alias,
                "state": node.state.value,
                "address": node.address,
                "type": node.type,
                "market": node.market,
                "engines": status.engine_count(node.alias),
            }
            for node in status.nodes
        ],
        "connections": connections_json(status.published),
    }


def _show_status(status: ClusterStatus) -> None:
    from clusterctl.operations.status import ENGINES_ITEM

    facts = _status_json(status)
    engines = "unknown" if facts["engines"] is None else "no" if status.lacks_engines else facts["engines"]
    others = [f"{status.count_all(item)} {item}" for item in status.counted_items() if item != ENGINES_ITEM]
    what = ", ".join([plural(len(status.nodes), "node"), f"{engines} {ENGINES_ITEM}", *others])
    click.echo(f"{status.name}: {status.state}, {what} ({status.provider})")
    if status.spending:
        click.echo(f"  cost of what is there: {spending_text(status.spending)}")
    for note in status.spending.notes if status.spending else ():
        click.echo(f"  note: {note}")
    show_connections(status.published)
    items = status.counted_items()
    rows = []
    for node in status.nodes:
        counts = [status.count_item(node.alias, item) for item in items]
        rows.append(
            (
                f"  {node.alias}",
                node.state.value,
                f"{node.address}:{node.port}",
                node.type or "-",
                node.market or "-",
                *("-" if count is None else count for count in counts),
            )
        )
    show_table(("  NODE", "STATE", "ADDRESS", "TYPE", "MARKET", *(item.upper() for item in items)), rows)


@click.command()
@optional_cluster
@json_option
@click.pass_context
def status(ctx: click.Context, name: str | None, *, as_json: bool) -> int:
    """Show what every plugin sees of a cluster; exits with 1 if something is not as it should be."""
    from clusterctl.operations.status import query_status as status_operation
    from clusterctl.tunnel import process
    from clusterctl.wiring.client import warn_of_other_python
    from clusterctl.wiring.clusters import resolve_cluster
    from clusterctl.wiring.context import lenient_context

    cluster = resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context, trouble = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        cluster_status = status_operation(context)
    forwards = process.read_forwards(context.folder.path)
    tunnel_state = ("up" if process.is_up(context.folder.path) else "down") if forwards else "not needed"
    healthy = (
        cluster_status.state == "running" and all(row.healthy for row in cluster_status.rows) and tunnel_state != "down"
    )
    if as_json:
        rows = [{"node": r.node, "item": r.item, "value": r.value, "healthy": r.healthy} for r in cluster_status.rows]
        show_json({**_status_json(cluster_status), "rows": rows, "tunnel": tunnel_state, "healthy": healthy})
    else:
        _show_status(cluster_status)
        click.echo(f"tunnel: {tunnel_state}")
        show_table(
            ("NODE", "WHAT", "STATE", ""),
            [(r.node, r.item, r.value, "" if r.healthy else "<-") for r in cluster_status.rows],
        )
        _show_warnings(*trouble.splitlines(), warn_of_other_python(cluster))
        if not healthy:
            click.echo(
                f"try: `clusterctl start {cluster}` repairs what is missing; `clusterctl logs {cluster}` says why"
            )
    return 0 if healthy else 1


def _show_warnings(*troubles: str) -> None:
    for trouble in troubles:
        if trouble:
            click.echo(f"*** WARNING - {trouble}", err=True)


@click.command()
@optional_cluster
@click.argument("node", required=False, type=NodeName())
@click.option(
    "-n", "--lines", default=50, type=click.IntRange(min=1), help="Last lines of each log.", show_default=True
)
@click.option("--commands", is_flag=True, help="What clusterctl ran on the node, from this computer's files.")
@click.pass_context
def logs(ctx: click.Context, name: str | None, node: str | None, lines: int, *, commands: bool) -> None:
    """Show the logs of the services on a node (default: the master), or what was run there."""
    from clusterctl.operations.access import show_service_logs
    from clusterctl.wiring.clusters import resolve_cluster
    from clusterctl.wiring.context import lenient_context

    cluster = resolve_cluster(name)
    with Output() as output:
        context, _ = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        alias = context.make_cluster(context.provider.nodes(cluster)).node(node or "master").alias
        log = context.folder.log_file(alias)
        if commands:
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            click.echo("\n".join(text.splitlines()[-lines:]))
            return
        show_service_logs(context, alias, lines=lines, show=click.echo)
