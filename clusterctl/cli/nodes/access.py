"""The commands `sshmaster`, `sshnode`, `exec`, `put` and `get`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import NodeName, cluster_argument, json_option
from clusterctl.cli.output import Output, show_json
from clusterctl.operations import access
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.context import RunContext
    from clusterctl.remote.base import Result

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Everything after the cluster's name belongs to the command on the node."""


def _load_context(ctx: click.Context, name: str, output: Output) -> RunContext:
    return lenient_context(resolve_cluster(name), config_file=ctx.obj.config, report=output)[0]


def log_in(ctx: click.Context, name: str, node: str, *, user: str | None, command: Sequence[str]) -> int:
    """Open a shell on a node, or run one command. Return its exit status."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    with Output() as output:
        context = _load_context(ctx, name, output)
    result = access.log_in(
        context, node, command, user=user, read_input=None if interactive else _read_input, on_line=click.echo
    )
    click.echo(result.stderr, err=True, nl=False)
    return result.status


def _read_input() -> str:
    return "" if sys.stdin.isatty() else sys.stdin.read()


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
@click.argument("node", type=NodeName())
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
    type=NodeName(),
    help="Only there; may be repeated. Default: all nodes.",
)
@json_option
@cluster_argument
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(ctx: click.Context, /, nodes: Sequence[str], name: str, command: Sequence[str], **options: Any) -> int:
    """Run COMMAND on all nodes, side by side; each line of output begins with the node's name."""
    as_json = bool(options["as_json"])
    results: dict[str, Result] = {}

    def show_result(alias: str, result: Result) -> None:
        results[alias] = result
        if not as_json:
            for text, err in ((result.stdout, False), (result.stderr, True)):
                for line in text.splitlines():
                    click.echo(f"{alias}: {line}", err=err)

    with Output(as_json=as_json) as output:
        statuses = access.run_on_nodes(_load_context(ctx, name, output), command, nodes, show_result)
    if as_json:
        show_json(
            [
                {
                    "node": alias,
                    "status": status,
                    "stdout": results[alias].stdout,
                    "stderr": results[alias].stderr,
                }
                for alias, status in statuses.items()
            ]
        )
    failed = [alias for alias, status in statuses.items() if status]
    if failed and not as_json:
        click.echo(f"failed on {', '.join(f'{alias} (status {statuses[alias]})' for alias in failed)}", err=True)
    return max(statuses.values(), default=0)


@click.command()
@click.option("-n", "--node", default="master", type=NodeName(), help="The node.", show_default=True)
@click.option("-u", "--user", help="As this user; default: the cluster user.")
@cluster_argument
@click.argument("paths", metavar="LOCAL... REMOTE", nargs=-1, required=True, type=click.Path())
@click.pass_context
def put(ctx: click.Context, node: str, user: str | None, name: str, paths: Sequence[str]) -> None:
    """Copy files and folders to a node. A relative REMOTE starts at the cluster user's home."""
    if len(paths) < 2:
        raise click.UsageError("name what to copy, and where to.")
    with Output() as output:
        count = access.copy_to_node(
            _load_context(ctx, name, output), node, [Path(p) for p in paths[:-1]], paths[-1], user=user
        )
    click.echo(f">>> {plural(count, 'file')} copied to {node}")


@click.command()
@click.option("-n", "--node", default="master", type=NodeName(), help="The node.", show_default=True)
@click.option("-u", "--user", help="As this user; default: the cluster user.")
@cluster_argument
@click.argument("paths", metavar="REMOTE... LOCAL", nargs=-1, required=True, type=click.Path())
@click.pass_context
def get(ctx: click.Context, node: str, user: str | None, name: str, paths: Sequence[str]) -> None:
    """Copy files and folders from a node. The last part of REMOTE may have wildcards."""
    if len(paths) < 2:
        raise click.UsageError("name what to copy, and where to.")
    with Output() as output:
        count = access.copy_from_node(_load_context(ctx, name, output), node, paths[:-1], Path(paths[-1]), user=user)
    click.echo(f">>> {plural(count, 'file')} copied from {node}")
