"""The arguments and options that several commands share, with their completion."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from clusterctl.journal import ClusterFolder
from clusterctl.wiring.local_paths import config_path, home_folder

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])


class ClusterName(click.ParamType[str]):
    """The name of a cluster. Completion reads the laptop's files, so that a TAB asks no cloud."""

    name = "cluster"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the clusters that this laptop knows."""
        del ctx, param
        folder = _home_folder() / "clusters"
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class NodeName(click.ParamType[str]):
    """The alias of a node, or just its number."""

    name = "node"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the nodes of the cluster that the command line names."""
        del param
        cluster = ctx.params.get("name")
        aliases = ClusterFolder(_home_folder(), cluster).wanted_nodes() if cluster else ()
        return [CompletionItem(alias) for alias in aliases if alias.startswith(incomplete)]


class TemplateName(click.ParamType[str]):
    """A cluster template of the config file."""

    name = "template"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of the [cluster NAME] sections."""
        del param
        root = ctx.find_root()
        path = config_path(root.params.get("config"))
        text = path.read_text(errors="replace") if path and path.is_file() else ""
        names = re.findall(r"^\s*\[\s*cluster\s+([^\]\s]+)", text, re.IGNORECASE | re.MULTILINE) or ["local"]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _home_folder() -> Path:
    return home_folder()


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
