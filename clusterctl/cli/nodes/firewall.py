"""The command `allow-me`."""

from __future__ import annotations

import click

from clusterctl.cli.arguments import json_option, optional_cluster
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes.firewall import allow_this_computer as operation
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import load_context


@click.command("allow-me")
@optional_cluster
@json_option
@click.pass_context
def allow_me(ctx: click.Context, name: str | None, *, as_json: bool) -> None:
    """Let this computer log in from the address that it has now, and no more from those it had.

    For clusters on EC2, when you have gone elsewhere. Who else may log in is in ALLOW_FROM of the template.
    """
    cluster = resolve_cluster(name)
    with Output(as_json=as_json) as output:
        allowed = operation(load_context(cluster, config_file=ctx.obj.config, report=output))
    if as_json:
        show_json({"name": cluster, "allowed": allowed.current, "before": allowed.previous})
    else:
        gone = [network for network in allowed.previous if network not in allowed.current]
        echo(
            f">>> {cluster} lets in {', '.join(allowed.current) or 'nobody by SSH'}"
            + (f", and no more {', '.join(gone)}" if gone else "")
        )
