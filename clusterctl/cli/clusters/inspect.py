"""The commands `listclusters`, `status` and `logs`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import CLUSTER_NAME, NODE_NAME, json_option, optional_cluster
from clusterctl.cli.money import spending_json, spending_text
from clusterctl.cli.output import Output, connections_json, show_connections, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.clock import utc_now
from clusterctl.operations.joining.terms import describe_end
from clusterctl.operations.nodes.access import read_command_log, show_service_logs
from clusterctl.operations.seeing.following import find_engine, follow_logs
from clusterctl.operations.status import ENGINES_ITEM, list_clusters, query_health
from clusterctl.text import format_age, format_rate, format_utc, plural
from clusterctl.wiring.client import warn_of_other_python
from clusterctl.wiring.clusters import known_clusters, resolve_cluster
from clusterctl.wiring.context import lenient_context, readable_contexts

if TYPE_CHECKING:
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.seeing.following import LogLine
    from clusterctl.operations.state.conditions import Condition
    from clusterctl.operations.status import ClusterStatus


@click.command()
@click.argument("names", metavar="[CLUSTER]...", nargs=-1, type=CLUSTER_NAME)
@json_option
@click.pass_context
def listclusters(ctx: click.Context, names: tuple[str, ...], *, as_json: bool) -> None:
    """List the clusters and their nodes."""
    with Output(as_json=as_json) as output:
        chosen = [resolve_cluster(name) for name in names] or list(known_clusters(output))
        statuses = list_clusters(readable_contexts(chosen, config_file=ctx.obj.config, report=output))
    if as_json:
        show_json([_status_json(status) for status in statuses])
        return
    if not statuses:
        echo("No clusters. `clusterctl start NAME` makes one.")
    for status in statuses:
        _show_status(status)


def _status_json(status: ClusterStatus) -> dict[str, object]:
    master = next((node for node in status.nodes if node.is_master), None)
    published = {connection.name: connection for connection in status.published}
    return {
        "name": status.name,
        "provider": status.provider,
        "state": status.state,
        "master": master.address if master else None,
        "engines": status.engines,
        "client_file": published["client"].file if "client" in published else None,
        "notebook_url": published["notebook"].url if "notebook" in published else None,
        "region": _region_of(status) or None,
        "created": format_utc(status.created) or None,
        "ends_at": format_utc(status.ends_at) or None,
        "cost": spending_json(status.spending),
        "ends": _ending_json(status),
        "maps": _maps_json(status),
        "kept": status.kept or None,
        "nodes": [
            {
                "alias": node.alias,
                "state": node.state.value,
                "address": node.address,
                "type": node.type,
                "market": node.market,
                "zone": node.zone,
                "launched": format_utc(node.launched_at) or None,
                "engines": status.engine_count(node.alias),
            }
            for node in status.nodes
        ],
        "troubles": [
            {
                "node": condition.alias,
                "what": condition.fault.value,
                "since": format_utc(condition.since) or None,
                "why": condition.why,
            }
            for condition in status.conditions
        ],
        "connections": connections_json(status.published),
    }


def _maps_json(status: ClusterStatus) -> dict[str, object] | None:
    if (waiting := status.waiting) is None:
        return None
    return {"clients": waiting.clients, "left": waiting.items, "items_per_s": round(waiting.rate, 3)}


def _ending_json(status: ClusterStatus) -> dict[str, object] | None:
    ending = status.ending
    if ending is None:
        return None
    times = {"in_s": ending.ends_in_s, "idle_s": ending.idle_s, "kept_s": ending.kept_s}
    rounded = {name: None if seconds is None else round(seconds) for name, seconds in times.items()}
    return {"phase": ending.phase, "why": ending.why, "busy": ending.busy, **rounded}


def _show_status(status: ClusterStatus) -> None:
    engines = "unknown" if status.engines is None else "no" if status.lacks_engines else status.engines
    others = [f"{status.count_all(item)} {item}" for item in status.counted_items() if item != ENGINES_ITEM]
    what = ", ".join([plural(len(status.nodes), "node"), f"{engines} {ENGINES_ITEM}", *others])
    place = " ".join([status.provider, *([_region_of(status)] if _region_of(status) else [])])
    echo(", ".join([f"{status.name}: {status.state}, {what} ({place})", *_times_of(status)]))
    for condition in status.conditions:
        echo(f"  {_describe_condition(condition)}")
    if status.spending:
        echo(f"  cost: {spending_text(status.spending)}")
    for note in status.spending.notes if status.spending else ():
        echo(f"  note: {note}")
    if status.kept:
        echo(f"  {status.kept} is kept: `clusterctl start {status.name}` makes a master that has it")
    if not status.nodes:
        echo(f"  it has no machines any more: `clusterctl terminate {status.name}` removes what else there is of it")
    if status.ending:
        echo(f"  end: {describe_end(status.ending)}")
    if (waiting := status.waiting) and waiting.clients:
        whose, what = plural(waiting.clients, "client"), plural(waiting.items, "item")
        echo(f"  maps of {whose}: {what} left, {format_rate(waiting.rate)} a second")
    show_connections(status.published)
    items = status.counted_items()
    rows = []
    faults = {condition.alias: condition.fault.value for condition in status.conditions}
    for node in status.nodes:
        counts = [status.count_item(node.alias, item) for item in items]
        rows.append(
            (
                f"  {node.alias}",
                faults.get(node.alias, node.state.value),
                f"{node.address}:{node.port}",
                node.type or "-",
                node.market or "-",
                node.zone or "-",
                format_age(utc_now() - node.launched_at) if node.launched_at else "-",
                *("-" if count is None else count for count in counts),
            )
        )
    existing = {node.alias for node in status.nodes}
    rows += [
        (f"  {alias}", fault, *["-"] * (5 + len(items))) for alias, fault in faults.items() if alias not in existing
    ]
    columns = ("  NODE", "STATE", "ADDRESS", "TYPE", "MARKET", "ZONE", "AGE", *(item.upper() for item in items))
    show_table(columns, rows)


def _region_of(status: ClusterStatus) -> str:
    return next((node.region for node in status.nodes if node.region), "")


def _times_of(status: ClusterStatus) -> list[str]:
    """Return how old a cluster is, and when it ends by itself."""
    words = [f"{format_age(utc_now() - status.created)} old"] if status.created else []
    if status.ending is None and status.ends_at:  # else a line of its own says more
        words.append(f"ends in {format_age(status.ends_at - utc_now())} (LIFETIME)")
    return words


def _describe_condition(condition: Condition) -> str:
    since = f" since {format_utc(condition.since)}" if condition.since else ""
    why = f": {condition.why}" if condition.why else ""
    return f"{condition.alias} is {condition.fault.value}{since}{why}"


@click.command()
@optional_cluster
@json_option
@click.pass_context
def status(ctx: click.Context, name: str | None, *, as_json: bool) -> int:
    """Show what every plugin sees of a cluster; exits with 1 if something is not as it should be."""
    cluster = resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context, trouble = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        health = query_health(context)
    rows = health.status.rows
    if as_json:
        facts = [{"node": r.node, "item": r.item, "value": r.value, "healthy": r.healthy} for r in rows]
        answer = {"rows": facts, "tunnel": health.tunnel, "healthy": health.healthy}
        show_json({**_status_json(health.status), **answer})
    else:
        _show_status(health.status)
        echo(f"tunnel: {health.tunnel}")
        show_table(("NODE", "WHAT", "STATE", ""), [(r.node, r.item, r.value, "" if r.healthy else "<-") for r in rows])
        _show_warnings(*trouble.splitlines(), warn_of_other_python(cluster))
        if not health.healthy:
            place = " ".join([cluster, *_first_failed(health.status)])
            echo(f"try: `clusterctl start {cluster}` repairs what is missing; `clusterctl logs {place}` says why")
    return 0 if health.healthy else 1


def _first_failed(status: ClusterStatus) -> list[str]:
    """Return the first worker that is not as it should be, if its machine is there; else the logs are the master's."""
    existing = [node.alias for node in status.nodes if not node.is_master]
    return [condition.alias for condition in status.conditions if condition.alias in existing][:1]


def _show_warnings(*troubles: str) -> None:
    for trouble in troubles:
        if trouble:
            echo(f"*** WARNING - {trouble}", err=True)


@click.command()
@optional_cluster
@click.argument("node", required=False, type=NODE_NAME)
@click.option(
    "-n", "--lines", default=50, type=click.IntRange(min=1), help="Last lines of each log.", show_default=True
)
@click.option("--commands", is_flag=True, help="What clusterctl ran on the node, from this computer's files.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C; NODE may be `all`.")
@click.option("--only", "pattern", metavar="LOG", help="Follow only this log, such as controller-0 or 'engine-*'.")
@click.option("--engine", type=click.IntRange(min=0), help="Follow only the log of this engine, wherever it is.")
@click.pass_context
def logs(
    ctx: click.Context, /, name: str | None, node: str | None, lines: int, *, commands: bool, **options: Any
) -> None:
    """Show the logs of the services on a node (default: the master), or what was run there."""
    cluster = resolve_cluster(name)
    if (options["pattern"] or options["engine"] is not None) and not options["follow"]:
        raise click.UsageError("--only and --engine go with --follow.")
    with Output() as output:
        context, _ = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        if commands:
            show_log(read_command_log(context, node or "master", lines=lines))
        elif options["follow"]:
            _follow(context, node or "master", lines, pattern=options["pattern"], engine=options["engine"])
        else:
            show_service_logs(context, node or "master", lines=lines, show=show_log)


def _follow(context: RunContext, node: str, lines: int, *, pattern: str | None, engine: int | None) -> None:
    nodes = [] if node == "all" else [node]
    if engine is not None:
        nodes, pattern = [find_engine(context, engine)], f"engine-{engine}"

    def show(line: LogLine) -> None:
        place = f"{line.node} {line.log}" if line.log else line.node
        echo(f"{place}: {click.unstyle(line.text)}", err=not line.log)

    with suppress(KeyboardInterrupt):  # it has no other end
        follow_logs(context, nodes, pattern=pattern or "*", lines=lines, show=show)


def show_log(text: str) -> None:
    """Print a log without its colours."""
    echo(click.unstyle(text))
