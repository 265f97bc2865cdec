"""The commands `attach` and `share`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import HOST_NAME, cluster_argument, json_option
from clusterctl.cli.clusters.start_report import show_started
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.errors import DeclinedError, UsageError
from clusterctl.operations.owning.attach import Rights, choose_nodes, take_over
from clusterctl.operations.owning.share import share_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.text import clean_lines
from clusterctl.wiring import attaching
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import load_context
from clusterctl.wiring.listed_hosts import HostQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node

_KEY = click.Path(path_type=Path)


@click.command()
@needed("name", metavar="CLUSTER", example="mycluster")
@click.option("--provider", default="", help="Its provider; default: the one that has nodes of this name.")
@click.option("--id", "chosen", default="", metavar="ID", help="Which one of this name.")
@click.option("--key", type=_KEY, help="A private key that the nodes let in: see `share`.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    type=HOST_NAME,
    metavar="HOST",
    help="static: its master, and other hosts, as in HOSTS.",
)
@click.option(
    "--fingerprint", default="", metavar="SHA256:...", help="Of the master's host key, as `share` printed it."
)
@json_option
@click.pass_context
def attach(
    ctx: click.Context,
    name: str,
    provider: str,
    chosen: str,
    key: Path | None,
    hosts: Sequence[str],
    fingerprint: str,
    *,
    as_json: bool,
) -> int:
    """Take a cluster over whose files are not on this computer, or not any more.

    Its provider says which nodes there are, and its master how it was started. What the master says is checked: it
    decides on nothing of this computer. Then the cluster is brought up as `start` does it.
    """
    with Output(as_json=as_json) as output:
        query = HostQuery(tuple(hosts), key.absolute() if key else None, chosen, _confirm_hosts)
        attachable = attaching.find_attachable(name, provider, config_file=ctx.obj.config, report=output, hosts=query)
        context, nodes = attachable.context, choose_nodes(name, attachable.nodes, chosen)
        rights = Rights(key, lambda node: _confirm_host_key(node, *attaching.read_host_key(node), fingerprint))
        output.say(f"Taking {name} over ({context.provider.name})")
        for warning in take_over(context, nodes, rights, attachable.render_config):
            output.warn(warning)
        taken = load_context(name, config_file=ctx.obj.config, report=output)
        started = start_cluster(taken)  # no node is missing, so nothing new is bought
    show_started(started, as_json=as_json, timings=False)
    return 0 if started.ok else 1


def _confirm_host_key(node: Node, key: str, shown: str, expected: str) -> str:
    """Return the host key of the master, whose fingerprint the user has named or compares now."""
    if expected and expected != shown:
        raise UsageError(
            f"the master {node.address}:{node.port} shows the host key {shown}, not {expected}",
            remedy="do not log in there: another machine may pose as it. Ask whoever shared the cluster",
        )
    if not expected:
        place = f"{node.address}:{node.port}"
        question = f"The master {place} shows the host key {shown}. Is it its own, as `share` prints it?"
        if not sys.stdin.isatty():
            raise click.UsageError(f"{question} Nobody is here to answer: add --fingerprint to say so beforehand.")
        if not click.confirm(clean_lines(question), err=True):
            raise DeclinedError("nothing was changed", remedy="ask whoever shared the cluster for the fingerprint")
    return key


def _confirm_hosts(lines: Sequence[str]) -> bool:
    """Ask whether clusterctl may log in to hosts of which the master alone tells."""
    question = "The master says that these hosts are of its cluster, too:\n  " + "\n  ".join(lines)
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question}\nNobody is here to answer: name those that are right, each by --host.")
    return click.confirm(clean_lines(f"{question}\nLog in to them with your keys?"), err=True)


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}", remedy="name a .pub file") from exc


@click.command()
@cluster_argument
@needed("key", metavar="KEY", type=_KEY, example="id_ed25519.pub")
@json_option
@click.pass_context
def share(ctx: click.Context, name: str, key: Path, *, as_json: bool) -> None:
    """Let another person's key in, so that they can attach the cluster. KEY is their public key, a .pub file.

    Whoever has the key can do with the cluster what you can.
    """
    resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context = load_context(name, config_file=ctx.obj.config, report=output)
        shared = share_cluster(context, _read_key(key))
    if as_json:
        show_json(
            {
                "name": shared.name,
                "id": shared.id,
                "master": shared.address,
                "host_fingerprint": shared.host_fingerprint,
                "nodes": shared.nodes,
            }
        )
        return
    echo(f">>> {', '.join(shared.nodes)} of {name} let the key in, and so will nodes that join later")
    echo(f">>> On the other computer: clusterctl attach --id {shared.id} --key FILE {name}")
    echo(f">>> The master there: {shared.address}, host key {shared.host_fingerprint}")
