"""The command `ssh-config`."""

from __future__ import annotations

import click

from clusterctl.cli.arguments import optional_cluster
from clusterctl.cli.output import Output
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes.ssh_config import write_ssh_config
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context


@click.command("ssh-config")
@click.option("-u", "--user", help="Log in as this user; default: who set the nodes up.")
@optional_cluster
@click.pass_context
def ssh_config(ctx: click.Context, user: str | None, name: str | None) -> None:
    """Print a config file for `ssh`, rsync and VS Code with a host for each node.

    The master's host has the cluster's name, a worker's the cluster's and its own: mycluster-node001.
    """
    cluster = resolve_cluster(name)
    with Output(as_json=True) as output:  # stdout is for the file alone
        context, _ = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        text = write_ssh_config(context, user=user)
    echo(text.rstrip("\n"))
