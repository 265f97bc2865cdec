"""The command `start`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import (
    KEY_SECTION_NAME,
    PLUGIN_OPTION,
    TEMPLATE_NAME,
    buy_option,
    cluster_argument,
    json_option,
)
from clusterctl.cli.clusters.start_report import plot_steps, show_plan, show_started
from clusterctl.cli.money import Prompt
from clusterctl.cli.nodes.access import log_in
from clusterctl.cli.output import Output
from clusterctl.cli.terminal import echo
from clusterctl.errors import UsageError
from clusterctl.operations.start import start_cluster
from clusterctl.operations.start_plan import preview_start
from clusterctl.text import plural
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import load_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


# Option: (flags, cluster option it sets, help)
_OVERRIDES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("-s", "--cluster-size"), "cluster_size", "Nodes, with the master."),
    (("--min-size",), "min_size", "Nodes that must join for success; default: all."),
    (("-b", "--bid"), "spot_bid", "Most to pay for a node-hour, in USD; makes the workers spot instances."),
    (("-u", "--cluster-user"), "cluster_user", "User that the work runs as."),
    (("-S", "--cluster-shell"), "cluster_shell", "The user's login shell."),
    (("-m", "--master-image-id"), "master_image_id", "Image of the master."),
    (("-n", "--node-image-id"), "node_image_id", "Image of the nodes."),
    (("-I", "--master-instance-type"), "master_instance_type", "Type of the master."),
    (("-i", "--node-instance-type"), "node_instance_type", "Types of the workers."),
    (("-a", "--availability-zone"), "availability_zone", "Zone of the nodes."),
    (("-k", "--keyname"), "keyname", "The [key NAME] to log in with."),
    (("-U", "--userdata-script"), "userdata_scripts", "Script that each node runs when it boots."),
    (("-N", "--subnet-id"), "subnet_id", "Subnet of the nodes."),
    (("--start-timeout",), "start_timeout", "Seconds after which missing nodes are given up."),
)
_COMPLETED = {"keyname": KEY_SECTION_NAME, "userdata_scripts": click.Path()}
"""The options whose values a TAB knows."""
_FLAGS = (
    ("--force-spot-master/--no-spot-master", "force_spot_master", "Let the master be a spot instance too."),
    ("--public-ips/--no-public-ips", "public_ips", "Give the nodes public addresses."),
    ("-P/-p", "dns_prefix", "Put the cluster's name before the host names, or not."),
    ("--dns-prefix/--no-dns-prefix", "dns_prefix", "The same."),
)
# StarCluster's flags that have no meaning here: the flags, whether they are flags without a value, what to do instead.
_RETIRED = (
    (("-q", "--disable-queue"), True, "leave it out: there is no queue"),
    (("-Q", "--enable-queue"), True, "there is no queue: send work with ipyparallel"),
    (("-o", "--create-only"), True, "leave it out: nodes join as they come up"),
    (("-V", "--skip-validation"), True, "leave it out: checking takes no time and asks nobody"),
    (("-r", "--refresh-interval"), False, "leave it out: nothing is polled at an interval"),
    (("-d", "--description"), False, "leave it out: it was never kept"),
    (("-K", "--key-location"), False, "name the file in a [key NAME] section, and the section with -k"),
)


def _refuse_retired(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    """Refuse a retired flag of StarCluster, and say what to write instead."""
    if value:
        remedy = next(text for flags, _, text in _RETIRED if flags[0] in parameter.opts)
        raise UsageError(f"{ctx.command_path} {parameter.opts[0]} was StarCluster's and is gone", remedy=remedy)


def _override_options(function: Any) -> Any:
    for names, is_flag, _ in _RETIRED:
        function = click.option(*names, is_flag=is_flag, hidden=True, expose_value=False, callback=_refuse_retired)(
            function
        )
    for flags, key, text in reversed(_OVERRIDES):
        function = click.option(*flags, key, help=text, type=_COMPLETED.get(key))(function)
    for flags_text, key, text in reversed(_FLAGS):
        function = click.option(flags_text, key, default=None, help=text)(function)
    return function


@click.command()
@cluster_argument
@click.option(
    "-c",
    "--cluster-template",
    "template",
    type=TEMPLATE_NAME,
    help="The [cluster NAME] section to start from.",
)
@_override_options
@click.option(
    "--set",
    "settings",
    metavar="PLUGIN.OPTION=VALUE",
    type=PLUGIN_OPTION,
    multiple=True,
    help="Set a plugin's option for this cluster.",
)
@click.option("-v", "--validate-only", "--dry-run", "dry_run", is_flag=True, help="Show what would be done, and stop.")
@click.option("-l", "--login-master", is_flag=True, help="Log in to the master when it is up.")
@click.option("-x", "--no-create", is_flag=True, help="Only complete or bring back what exists; create no cluster.")
@click.option("--timings", is_flag=True, help="Show who waited for what, and the remote commands.")
@click.option(
    "--plot", metavar="FILE.svg", type=click.Path(path_type=Path), help="Draw who waited for what into a file, too."
)
@json_option
@buy_option
@click.pass_context
def start(
    ctx: click.Context,
    /,
    name: str,
    template: str | None,
    settings: Sequence[str],
    *,
    dry_run: bool,
    login_master: bool,
    no_create: bool,
    timings: bool,
    plot: Path | None,
    as_json: bool,
    yes: bool,
    **overrides: Any,
) -> int:
    """Bring a cluster up, or complete one that is half up.

    Run it again at any time: what runs is left alone, what is missing joins.
    """
    if plot and plot.suffix != ".svg":
        raise UsageError(f"{plot} is no SVG file", remedy="name a FILE.svg with --plot")
    if no_create:
        resolve_cluster(name)
    changes = _collect_overrides(overrides, settings)
    asking = Prompt(as_json=as_json)
    with Output(as_json=as_json) as output:
        context = load_context(name, config_file=ctx.obj.config, template=template, overrides=changes, report=output)
        for note in context.notes:
            output.note(f"note: {note}")
        size = int(changes["cluster_size"]) if "cluster_size" in changes else None
        preview = preview_start(context, explicit_size=size) if dry_run else None
        started = None if dry_run else start_cluster(context, explicit_size=size, approval=None if yes else asking)
    if preview:
        show_plan(preview, as_json=as_json)
    if not started:
        return 0
    show_started(started, asking.estimate, as_json=as_json, timings=timings)
    if (most := context.settings.cluster.scale_max) and not as_json:
        echo(f">>> It grows to {plural(most, 'node')} by what waits while this runs: clusterctl watch {name}")
    if plot:
        plot_steps(started, plot)
    if login_master:
        return log_in(ctx, name, "master", user=None, command=())
    return 0 if started.ok else 1


def _collect_overrides(overrides: Mapping[str, Any], settings: Sequence[str]) -> dict[str, str]:
    """Return the options on the command line, with values as an INI file would write them."""
    changes = {key: str(value) for key, value in overrides.items() if value is not None}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals or "." not in option:
            raise UsageError(f"--set {setting}: not understood", remedy="write --set PLUGIN.OPTION=VALUE")
        changes[option.strip().lower()] = value.strip()
    return changes
