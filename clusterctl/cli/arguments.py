"""The arguments and options that several commands share, with their completion."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click

from clusterctl.cli.needed import CompletedName, needed
from clusterctl.wiring import completions

F = TypeVar("F", bound=Callable[..., Any])


def _config_file(ctx: click.Context) -> str | None:
    file = ctx.find_root().params.get("config")
    return None if file is None else str(file)


CLUSTER_NAME = CompletedName("cluster", lambda _, __: completions.cluster_names())
NODE_NAME = CompletedName("node", lambda ctx, _: completions.node_aliases(ctx.params.get("name")))
"""The alias of a node of the cluster that the command line names, or just its number."""
SIZE_NAME = CompletedName("size", lambda ctx, _: completions.size_names(_config_file(ctx)))
"""The size of a node: C16, M64, G1, a type, or a name of the config file's [sizes]."""
TEMPLATE_NAME = CompletedName("template", lambda ctx, _: completions.template_names(_config_file(ctx)))
KEY_SECTION_NAME = CompletedName("key", lambda ctx, _: completions.key_names(_config_file(ctx)))
HOST_NAME = CompletedName("host", lambda ctx, _: completions.host_names(_config_file(ctx)))
"""A host, as in HOSTS: a [host NAME] section of the config file, or where it is."""
PLUGIN_NAME = CompletedName("plugin", lambda ctx, _: completions.plugin_names(_config_file(ctx)))
PLUGIN_OPTION = CompletedName("plugin option", lambda ctx, begun: completions.plugin_options(_config_file(ctx), begun))
"""An option of a plugin with its value, as ``PLUGIN.OPTION=VALUE``."""


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


def cluster_argument(function: F) -> F:
    """Add the argument for a cluster that must be named."""
    return needed("name", metavar="CLUSTER", type=CLUSTER_NAME, example="mycluster")(function)


def cluster_arguments(function: F) -> F:
    """Add the argument for one or more clusters that must be named."""
    return needed("names", metavar="CLUSTER...", nargs=-1, type=CLUSTER_NAME, example="mycluster")(function)


def optional_cluster(function: F) -> F:
    """Add the argument for a cluster that need not be named when one is up."""
    return click.argument("name", metavar="[CLUSTER]", type=CLUSTER_NAME, required=False)(function)


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
            type=NODE_NAME,
            help=f"The node; may be repeated{more}",
            show_default=True,
        )(function)

    return add
