"""The commands `runplugin` and `plugins`."""

from __future__ import annotations

import inspect

import click

from clusterctl.cli.arguments import PLUGIN_NAME, json_option, optional_cluster, yes_option
from clusterctl.cli.money import Prompt
from clusterctl.cli.needed import needed
from clusterctl.cli.output import Output, show_json, show_table
from clusterctl.cli.terminal import echo
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.plugin import hookspecs
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import load_context


@click.command()
@needed("plugin", type=PLUGIN_NAME, example="myplugin")
@optional_cluster
@yes_option
@click.pass_context
def runplugin(ctx: click.Context, plugin: str, name: str | None, *, yes: bool) -> int:
    """Run one plugin on a cluster; without a name, on the one that is up."""
    cluster = resolve_cluster(name)
    with Output() as output:
        context = load_context(cluster, config_file=ctx.obj.config, report=output, plugin=plugin)
        problems = run_plugin(context, plugin, approval=None if yes else Prompt())
    echo(f">>> {plugin} ran on {cluster}")
    return 1 if problems else 0


@click.command()
@click.option("--hooks", is_flag=True, help="List the hooks that a plugin may implement, in order.")
@json_option
def plugins(*, hooks: bool, as_json: bool) -> None:
    """List the installed plugins and their options."""
    if hooks:
        _show_hooks(as_json=as_json)
        return
    from clusterctl.wiring.plugins import describe_plugins  # late: see wiring/settings.py

    installed = describe_plugins()
    if as_json:
        show_json([{"name": plugin.name, "does": plugin.summary, "options": plugin.options} for plugin in installed])
    else:
        rows = [(plugin.name, plugin.summary, ", ".join(plugin.options) or "-") for plugin in installed]
        show_table(("PLUGIN", "DOES", "OPTIONS"), rows)


def _show_hooks(*, as_json: bool) -> None:
    promises = [
        (name, inspect.getdoc(spec) or "") for name, spec in vars(hookspecs).items() if name.startswith("clusterctl_")
    ]
    if as_json:
        show_json([{"hook": name, "promise": doc} for name, doc in promises])
    else:
        show_table(("HOOK", "PROMISE"), [(name, doc.splitlines()[0]) for name, doc in promises])
