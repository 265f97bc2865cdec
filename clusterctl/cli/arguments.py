"""Arguments and options that several commands share, with their completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])


class ClusterName(click.ParamType[str]):
    """A cluster's name. Completed from the laptop's files, so that a TAB asks no cloud."""

    name = "cluster"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The clusters that this laptop knows."""
        del ctx, param
        folder = _home() / "clusters"
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class NodeName(click.ParamType[str]):
    """A node's alias, or just its number."""

    name = "node"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The nodes of the cluster that is named on the line."""
        del param
        from clusterctl.journal import ClusterFolder

        cluster = ctx.params.get("name")
        aliases = ClusterFolder(_home(), cluster).wanted() if cluster else ()
        return [CompletionItem(alias) for alias in aliases if alias.startswith(incomplete)]


class TemplateName(click.ParamType[str]):
    """A cluster template of the config file."""

    name = "template"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The [cluster NAME] sections."""
        del param
        import re

        from clusterctl.wiring.local_paths import config_path

        root = ctx.find_root()
        path = config_path(root.params.get("config"))
        text = path.read_text(errors="replace") if path and path.is_file() else ""
        names = re.findall(r"^\s*\[\s*cluster\s+([^\]\s]+)", text, re.IGNORECASE | re.MULTILINE) or ["local"]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _home() -> Path:
    from clusterctl.wiring.local_paths import home

    return home()


def cluster_argument(function: F) -> F:
    """A cluster that must be named."""
    return click.argument("name", metavar="CLUSTER", type=ClusterName())(function)


def optional_cluster(function: F) -> F:
    """A cluster that need not be named when one is up."""
    return click.argument("name", metavar="[CLUSTER]", type=ClusterName(), required=False)(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def region_option(function: F) -> F:
    """`--region`."""
    return click.option("-r", "--region", metavar="NAME", help="Region to look at; default: that of [aws].")(function)


def yes_option(function: F) -> F:
    """`--yes`, with StarCluster's names for it."""
    return click.option("-y", "--yes", "-c", "--confirm", "yes", is_flag=True, help="Do not ask.")(function)


def buy_option(function: F) -> F:
    """`--yes` of a command that may make nodes."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask before starting what costs money.")(function)
