"""The arguments and options that several commands share, with their completion."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from clusterctl.wiring import completions

if TYPE_CHECKING:
    from collections.abc import Iterable

F = TypeVar("F", bound=Callable[..., Any])


class ClusterName(click.ParamType[str]):
    """The name of a cluster."""

    name = "cluster"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the clusters that this laptop knows."""
        del ctx, param
        return _matching(completions.cluster_names(), incomplete)


class Dollars(click.ParamType[Decimal]):
    """An amount greater than 0, in USD, to the last digit that was typed."""

    name = "usd"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the amount."""
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal(0)
        if not amount.is_finite() or amount <= 0:
            self.fail(f"{value!r} is no amount greater than 0.", param, ctx)
        return amount


class NodeName(click.ParamType[str]):
    """The alias of a node, or just its number."""

    name = "node"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the nodes of the cluster that the command line names."""
        del param
        return _matching(completions.node_aliases(ctx.params.get("name")), incomplete)


class SizeName(click.ParamType[str]):
    """The size of a node: C16, M64, G1, a type, or a name of the config file's [sizes]."""

    name = "size"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of the config file."""
        del param
        return _matching(completions.size_names(_config_file(ctx)), incomplete)


class TemplateName(click.ParamType[str]):
    """A cluster template of the config file."""

    name = "template"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of the [cluster NAME] sections."""
        del param
        return _matching(completions.template_names(_config_file(ctx)), incomplete)


class KeySectionName(click.ParamType[str]):
    """A [key NAME] section of the config file."""

    name = "key"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of the [key NAME] sections."""
        del param
        return _matching(completions.key_names(_config_file(ctx)), incomplete)


class HostName(click.ParamType[str]):
    """A host, as in HOSTS: a [host NAME] section of the config file, or where it is."""

    name = "host"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of the [host NAME] sections."""
        del param
        return _matching(completions.host_names(_config_file(ctx)), incomplete)


class PluginName(click.ParamType[str]):
    """A plugin that is installed, or has a section."""

    name = "plugin"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the plugins."""
        del param
        return _matching(completions.plugin_names(_config_file(ctx)), incomplete)


class PluginOption(click.ParamType[str]):
    """An option of a plugin with its value, as ``PLUGIN.OPTION=VALUE``."""

    name = "plugin option"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the plugins, then the options of the plugin that is written already."""
        del param
        return _matching(completions.plugin_options(_config_file(ctx), incomplete), incomplete)


def _config_file(ctx: click.Context) -> str | None:
    file = ctx.find_root().params.get("config")
    return None if file is None else str(file)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def cluster_argument(function: F) -> F:
    """Add the argument for a cluster that must be named."""
    return click.argument("name", metavar="CLUSTER", type=ClusterName())(function)


def optional_cluster(function: F) -> F:
    """Add the argument for a cluster that need not be named when one is up."""
    return click.argument("name", metavar="[CLUSTER]", type=ClusterName(), required=False)(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def region_option(function: F) -> F:
    """Add `--region`."""
    return click.option("-r", "--region", metavar="NAME", help="Region to look at; default: that of [aws].")(function)


def yes_option(function: F) -> F:
    """Add `--yes`, with StarCluster's names for it."""
    return click.option("-y", "--yes", "-c", "--confirm", "yes", is_flag=True, help="Do not ask.")(function)


def buy_option(function: F) -> F:
    """Add `--yes` for a command that may create nodes."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask before starting what costs money.")(function)


def every_option(default: int) -> Callable[[F], F]:
    """Add `--every`: seconds between two looks at a cluster."""
    return click.option(
        "--every",
        "every_s",
        default=default,
        show_default=True,
        type=click.IntRange(min=1, max=3600),
        metavar="SECONDS",
        help="Between two looks.",
    )


def target_options(more: str) -> Callable[[F], F]:
    """Add `-n` and `-u`: the nodes that files go to or come from, and as whom. `more` ends the help of the first."""

    def add(function: F) -> F:
        function = click.option("-u", "--user", help="As this user; default: the cluster user.")(function)
        return click.option(
            "-n",
            "--node",
            "nodes",
            multiple=True,
            default=["master"],
            type=NodeName(),
            help=f"The node; may be repeated{more}",
            show_default=True,
        )(function)

    return add
