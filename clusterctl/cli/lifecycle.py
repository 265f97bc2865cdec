"""start, stop, restart, terminate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clusterctl.cli.arguments import ClusterName, TemplateName, cluster_argument, json_option, yes_option
from clusterctl.cli.output import Output, confirm, show_json, show_table
from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.model import Plan
    from clusterctl.operations.launch import Started

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
_FLAGS = (
    ("--force-spot-master/--no-spot-master", "force_spot_master", "Let the master be a spot instance too."),
    ("--public-ips/--no-public-ips", "public_ips", "Give the nodes public addresses."),
    ("-P/-p", "dns_prefix", "Put the cluster's name before the host names, or not."),
)


def _override_options(function: Any) -> Any:
    for flags, key, text in reversed(_OVERRIDES):
        function = click.option(*flags, key, help=text)(function)
    for flags_text, key, text in reversed(_FLAGS):
        function = click.option(flags_text, key, default=None, help=text)(function)
    return function


@click.command()
@cluster_argument
@click.option(
    "-c",
    "--cluster-template",
    "template",
    type=TemplateName(),
    help="The [cluster NAME] section to start from.",
)
@_override_options
@click.option(
    "--set",
    "settings",
    metavar="PLUGIN.OPTION=VALUE",
    multiple=True,
    help="Set a plugin's option for this cluster.",
)
@click.option("-v", "--validate-only", "--dry-run", "dry_run", is_flag=True, help="Show what would be done, and stop.")
@click.option("-l", "--login-master", is_flag=True, help="Log in to the master when it is up.")
@click.option("-x", "--no-create", is_flag=True, help="Only complete or bring back what exists; create no cluster.")
@click.option("--timings", is_flag=True, help="Show who waited for what, and the remote commands.")
@json_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask before starting what costs money.")
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
    as_json: bool,
    yes: bool,
    **overrides: Any,
) -> int:
    """Bring a cluster up, or complete one that is half up.

    Run it again at any time: what runs is left alone, what is missing joins.
    """
    del yes  # nothing that costs money is started by the providers of this version
    from clusterctl import planning, wiring
    from clusterctl.operations.launch import make_plan
    from clusterctl.operations.launch import start as start_operation

    planning.check_name(name)
    if no_create:
        wiring.the_cluster(name)
    changes = _changes(overrides, settings)
    with Output(as_json=as_json) as output:
        parts = wiring.parts(name, config_file=ctx.obj.config, template=template, overrides=changes, report=output)
        _show_notes(output, parts.settings.notes)
        if dry_run:
            wanted = parts.folder.wanted() or planning.aliases(parts.settings.cluster.cluster_size)
            _show_plan(make_plan(parts, wanted), as_json=as_json)
            return 0
        size = int(changes["cluster_size"]) if "cluster_size" in changes else None
        started = start_operation(parts, explicit_size=size)
    _show_started(started, as_json=as_json, timings=timings)
    if login_master:
        from clusterctl.cli.access import log_in

        return log_in(ctx, name, "master", user=None, command=())
    return 0 if started.ok else 1


def _changes(overrides: Mapping[str, Any], settings: Sequence[str]) -> dict[str, str]:
    """What the command line says, as the text that an INI file would say."""
    changes = {key: str(value) for key, value in overrides.items() if value is not None}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals or "." not in option:
            raise UsageError(f"--set {setting}: not understood", remedy="write --set PLUGIN.OPTION=VALUE")
        changes[option.strip().lower()] = value.strip()
    return changes


def _show_notes(output: Output, notes: Sequence[str]) -> None:
    from clusterctl.model import Event, EventKind

    for note in notes:
        output(Event(EventKind.NOTE, f"note: {note}"))


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        show_json(asdict(plan))
        return
    click.echo(f"{plan.cluster}: {len(plan.nodes)} nodes from the provider {plan.provider}, user {plan.user}")
    show_table(
        ("NODE", "TYPE", "MARKET", "IMAGE"),
        [(n.alias, n.type or "-", n.market or "-", n.image or "-") for n in plan.nodes],
    )
    click.echo(f"plugins:   {', '.join(plan.plugins)}")
    click.echo(f"packages:  {', '.join(plan.request.pip) or 'none'}")
    click.echo(f"open to the world: {', '.join(map(str, plan.request.ports)) or 'no port'}")
    click.echo("nothing was created: this was a dry run")


def _show_started(started: Started, *, as_json: bool, timings: bool) -> None:
    from clusterctl.operations.launch import timings as timings_of

    client = next((c for c in started.published if c.name == "client"), None)
    notebook = next((c for c in started.published if c.name == "notebook"), None)
    if as_json:
        answer = {
            "name": started.name,
            "ok": started.ok,
            "nodes": [node.alias for node in started.nodes],
            "joined": started.joined,
            "failed": started.failed,
            "problems": started.problems,
            "client_file": client.file if client else None,
            "notebook_url": notebook.url if notebook else None,
        }
        show_json({**answer, **(timings_of(started) if timings else {"seconds": round(started.seconds, 3)})})
        return
    if timings:
        _show_timings(started)
    what = f"{started.name} is up" if started.joined else f"{started.name} was already running"
    if not started.ok:
        what = f"{started.name} is not complete ({', '.join(started.failed) or 'see the warnings'})"
    click.echo(f">>> {what}: {client.summary if client else f'{len(started.nodes)} nodes'}, in {started.seconds:.1f} s")
    if started.failed:
        click.echo(f">>> Its nodes stay for the next `clusterctl start {started.name}`, which goes on with them.")
    if notebook and notebook.url:
        click.echo(f">>> Notebook: {notebook.url.reveal()}")
    if client:
        click.echo(">>> Connect from this computer, in Python:\n")
        click.echo("from ipyparallel import Client")
        click.echo(f"client = Client({str(client.file)!r})\n")
    click.echo(
        ">>> More: " + " | ".join(f"clusterctl {verb} {started.name}" for verb in ("connect", "sshmaster", "terminate"))
    )


def _show_timings(started: Started) -> None:
    rows = [
        (
            s.node,
            s.plugin,
            s.waited_for or "-",
            f"{s.began_s - s.ready_s:.2f}",
            f"{s.began_s:.2f}",
            f"{s.ended_s:.2f}",
            s.commands or "-",
        )
        for s in sorted(started.steps, key=lambda s: (s.began_s, s.ended_s))
    ]
    show_table(("NODE", "ACT", "WAITED FOR", "QUEUED S", "BEGAN S", "ENDED S", "COMMANDS"), rows)
    most = max(started.commands.values(), default=0)
    click.echo(f"remote commands: {sum(started.commands.values())}, at most {most} on a node")


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@yes_option
@click.pass_context
def stop(ctx: click.Context, names: Sequence[str], *, yes: bool) -> None:
    """Power the nodes off and keep their disks; `start` brings all of it back."""
    from clusterctl import wiring
    from clusterctl.operations.leave import stop as stop_operation

    for name in names:
        wiring.the_cluster(name)
    confirm(f"Stop {', '.join(names)}?", yes=yes)
    for name in names:
        with Output() as output:
            parts = wiring.parts(name, config_file=ctx.obj.config, report=output)
            parts.say(f"Stopping {name}")
            stopped = stop_operation(parts)
        click.echo(f">>> {name} is stopped ({len(stopped)} nodes); `clusterctl start {name}` brings it back")


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@click.pass_context
def restart(ctx: click.Context, names: Sequence[str]) -> int:
    """Power the nodes off and on again, and let them join anew."""
    from clusterctl import wiring
    from clusterctl.operations.launch import start as start_operation
    from clusterctl.operations.leave import stop as stop_operation

    ok = True
    for name in names:
        wiring.the_cluster(name)
        with Output() as output:
            parts = wiring.parts(name, config_file=ctx.obj.config, report=output)
            parts.say(f"Stopping {name}")
            stop_operation(parts)
            started = start_operation(parts)
        _show_started(started, as_json=False, timings=False)
        ok = ok and started.ok
    return 0 if ok else 1


@click.command()
@click.argument("names", metavar="CLUSTER...", nargs=-1, required=True, type=ClusterName())
@click.option("-f", "--force", is_flag=True, help="Do not let the plugins say goodbye; end the machines.")
@yes_option
@click.pass_context
def terminate(ctx: click.Context, names: Sequence[str], *, force: bool, yes: bool) -> None:
    """End the nodes and everything on them, for good. A cluster that is gone already is success."""
    from clusterctl import planning, wiring
    from clusterctl.operations.leave import terminate as terminate_operation

    for name in names:
        planning.check_name(name)
    known = wiring.known_clusters()
    if any(name in known for name in names):
        confirm(f"End {', '.join(name for name in names if name in known)} and everything on it?", yes=yes)
    for name in names:
        with Output() as output:
            parts, trouble = wiring.lenient_parts(name, config_file=ctx.obj.config, report=output)
            if trouble:
                parts.warn(f"the config cannot be read, so its plugins are not called: {trouble.splitlines()[0]}")
            if name in known:
                parts.say(f"Terminating {name}")
            ended = terminate_operation(parts, force=force)
        click.echo(
            f">>> {name} is gone ({len(ended)} nodes)" if name in known else f">>> there is no {name}: nothing to end"
        )
