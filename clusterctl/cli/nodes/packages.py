"""The command `install`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import cluster_argument, json_option, yes_option
from clusterctl.cli.money import Prompt
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes.packages import install_packages
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import install_context

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@cluster_argument
@needed("packages", metavar="PACKAGE...", nargs=-1, example="humanize")
@yes_option
@json_option
@click.pass_context
def install(ctx: click.Context, name: str, packages: Sequence[str], *, yes: bool, as_json: bool) -> int:
    """Add packages to a cluster that runs, on every node.

    Engines go on with what they hold where nothing that they may have loaded changes, and can import the packages at
    once. Where another version of something must come, they start anew, after a question.
    """
    resolve_cluster(name)
    with Output(as_json=as_json) as output:
        context, line = install_context(name, packages, config_file=ctx.obj.config, report=output)
        done = install_packages(context, approval=None if yes else Prompt(as_json=as_json))
    if as_json:
        show_json({"name": name, "ok": done.ok, "packages": list(packages), "failed": done.failed, "config": line})
        return 0 if done.ok else 1
    nodes = plural(len(done.nodes) - len(done.failed), "node")
    echo(f">>> {', '.join(packages)}: on {nodes} of {name}, in {done.seconds:.1f} s")
    place = context.named_config or "the config file"
    echo(f">>> It is kept with {name}. For other clusters, write into {place}:\n\n{line}")
    return 0 if done.ok else 1
