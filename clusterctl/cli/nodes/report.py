"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from clusterctl.cli.arguments import json_option, optional_cluster
from clusterctl.cli.output import Output, show_json
from clusterctl.cli.terminal import echo
from clusterctl.clock import utc_now
from clusterctl.config.settings import list_chosen_options
from clusterctl.operations.nodes.report import pack_report
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context
from clusterctl.wiring.plugins import shown_plugins


@click.command()
@click.option("-o", "--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="The archive to write.")
@optional_cluster
@json_option
@click.pass_context
def report(ctx: click.Context, name: str | None, file: Path | None, *, as_json: bool) -> None:
    """Pack logs, journal, options and versions into an archive for who helps, without secrets."""
    cluster = resolve_cluster(name)
    target = file or Path(f"clusterctl-report-{cluster}-{utc_now():%Y%m%d-%H%M%S}.tar.gz")
    with Output(as_json=as_json) as output:
        output.say(f"Collecting what is known of {cluster}")
        context, trouble = lenient_context(cluster, config_file=ctx.obj.config, report=output)
        settings = context.settings
        packed = pack_report(
            context,
            target,
            list_options=lambda: list_chosen_options(settings, shown_plugins(settings)),
            trouble=trouble,
        )
    if as_json:
        show_json({"file": packed.file, "members": packed.members, "missing": packed.missing})
        return
    for line in packed.missing:
        echo(f"*** WARNING - not in it: {line}", err=True)
    echo(f">>> {packed.file} has {len(packed.members)} files. Known secrets are taken out.")
    echo("    Names of hosts and users, paths and the output of your own code may be in it: look before you send it.")
