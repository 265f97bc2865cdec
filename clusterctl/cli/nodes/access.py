"""The commands `sshmaster`, `sshnode`, `exec`, `put` and `get`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import NODE_NAME, cluster_argument, json_option, target_options
from clusterctl.cli.needed import needed
from clusterctl.cli.nodes.streams import CollectedOutput, PrefixedOutput, pass_bytes_on
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes import access, copies
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.node.copying import Copied
    from clusterctl.operations.context import RunContext

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Everything after the cluster's name belongs to the command on the node."""


def _load_context(ctx: click.Context, name: str, output: Output) -> RunContext:
    return lenient_context(resolve_cluster(name), config_file=ctx.obj.config, report=output)[0]


def log_in(ctx: click.Context, name: str, node: str, *, user: str | None, command: Sequence[str]) -> int:
    """Open a shell on a node, or run one command. Return its exit status."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    with Output() as output:
        context = _load_context(ctx, name, output)
    return access.log_in(context, node, command, user=user, pass_on=None if interactive else pass_bytes_on)


@click.command(context_settings=_PASS_ON)
@click.option("-u", "--user", help="Log in as this user; default: who set the node up.")
@cluster_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sshmaster(ctx: click.Context, user: str | None, name: str, command: Sequence[str]) -> int:
    """Log in to the master, or run COMMAND there; exits with its status."""
    return log_in(ctx, name, "master", user=user, command=command)


@click.command(context_settings=_PASS_ON)
@click.option("-u", "--user", help="Log in as this user; default: who set the node up.")
@cluster_argument
@needed("node", type=NODE_NAME, example="node001")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sshnode(ctx: click.Context, user: str | None, name: str, node: str, command: Sequence[str]) -> int:
    """Log in to a node, or run COMMAND there. NODE is an alias, or just its number."""
    return log_in(ctx, name, node, user=user, command=command)


@click.command("exec", context_settings=_PASS_ON)
@click.option(
    "-n",
    "--node",
    "nodes",
    multiple=True,
    type=NODE_NAME,
    help="Only there; may be repeated. Default: all nodes.",
)
@json_option
@cluster_argument
@needed("command", nargs=-1, type=click.UNPROCESSED, example="uptime")
@click.pass_context
def exec_(ctx: click.Context, /, nodes: Sequence[str], name: str, command: Sequence[str], **options: Any) -> int:
    """Run COMMAND on all nodes, side by side; each line of output begins with the node's name."""
    as_json = bool(options["as_json"])
    printed = CollectedOutput() if as_json else PrefixedOutput()
    with Output(as_json=as_json) as output:
        statuses = access.run_on_nodes(_load_context(ctx, name, output), command, nodes, printed)
    if isinstance(printed, CollectedOutput):
        show_json([{"node": alias, "status": status, **printed.of(alias)} for alias, status in statuses.items()])
    failed = [alias for alias, status in statuses.items() if status]
    if failed and not as_json:
        echo(f"failed on {', '.join(f'{alias} (status {statuses[alias]})' for alias in failed)}", err=True)
    return max(statuses.values(), default=0)


_copy_options = target_options(", and `all` is every node.")


@click.command()
@_copy_options
@json_option
@cluster_argument
@needed("paths", metavar="LOCAL... REMOTE", nargs=-1, type=click.Path(), example="data.csv data/")
@click.pass_context
def put(ctx: click.Context, /, name: str, paths: Sequence[str], nodes: Sequence[str], **options: Any) -> int:
    """Copy files and folders to a node. A relative REMOTE starts at the cluster user's home.

    With a slash at its end REMOTE is a folder that all goes into. Without one a folder becomes REMOTE: where there is
    one already, its files are replaced and its others stay.
    """

    def copy(context: RunContext, aliases: Sequence[str]) -> Mapping[str, Copied]:
        return copies.copy_to_nodes(context, aliases, [Path(p) for p in paths[:-1]], paths[-1], user=options["user"])

    return _copy(ctx, name, nodes, copy, to="to", as_json=options["as_json"])


@click.command()
@_copy_options
@json_option
@cluster_argument
@needed("paths", metavar="REMOTE... LOCAL", nargs=-1, type=click.Path(), example="results.csv .")
@click.pass_context
def get(ctx: click.Context, /, name: str, paths: Sequence[str], nodes: Sequence[str], **options: Any) -> int:
    """Copy files and folders from a node. REMOTE may have wildcards.

    With a slash at its end LOCAL is a folder that all goes into. Without one a folder becomes LOCAL: where there is one
    already, its files are replaced and its others stay. From several nodes each goes into LOCAL/NODE.
    """

    def copy(context: RunContext, aliases: Sequence[str]) -> Mapping[str, Copied]:
        return copies.copy_from_nodes(context, aliases, paths[:-1], paths[-1], user=options["user"])

    return _copy(ctx, name, nodes, copy, to="from", as_json=options["as_json"])


def _copy(
    ctx: click.Context,
    name: str,
    nodes: Sequence[str],
    copy: Callable[[RunContext, Sequence[str]], Mapping[str, Copied]],
    *,
    to: str,
    as_json: bool,
) -> int:
    """Copy, and tell what was copied and what was left out. Return 1 if something was."""
    with Output(as_json=as_json) as output:
        context = _load_context(ctx, name, output)
        copied = copy(context, nodes)
    if as_json:
        show_json([{"node": alias, **_describe(part)} for alias, part in copied.items()])
    for alias, part in copied.items() if not as_json else ():
        echo(f">>> {plural(part.files, 'file')} copied {to} {alias}")
        for path, why in part.omitted:
            echo(f"{alias}: left out: {path}: {why}", err=True)
    return 1 if any(part.omitted for part in copied.values()) else 0


def _describe(copied: Copied) -> dict[str, Any]:
    omitted = [{"path": path, "why": why} for path, why in copied.omitted]
    return {"files": copied.files, "bytes": copied.size, "omitted": omitted}
