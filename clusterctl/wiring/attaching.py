"""What `attach` takes over: the provider of the nodes, and the config that is made of a master's words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.config.remembered import render_received
from clusterctl.errors import ConfigError, PluginError, ProviderError, UsageError
from clusterctl.journal import ClusterFolder, ids
from clusterctl.operations.context import RunContext
from clusterctl.plugin import loader
from clusterctl.plugin.host import PluginHost
from clusterctl.providers.base import Transferable
from clusterctl.providers.outliving import Adopting
from clusterctl.remote.host_key import fetch_host_key
from clusterctl.wiring.context import make_connector
from clusterctl.wiring.listed_hosts import NO_HOSTS, find_on_hosts, with_hosts, with_provider
from clusterctl.wiring.local_paths import home_folder, named_config
from clusterctl.wiring.providers import make_provider, queried_providers
from clusterctl.wiring.settings import built_in_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.config.settings import Settings
    from clusterctl.events import Reporter
    from clusterctl.model import Node
    from clusterctl.options import Section
    from clusterctl.providers.base import Provider
    from clusterctl.wiring.listed_hosts import HostQuery


@dataclass(frozen=True)
class Attachable:
    """A cluster that may be taken over, or several of its name."""

    context: RunContext
    nodes: list[Node]
    """All nodes that have its name."""
    render_config: Callable[[object, str], tuple[str, list[str]]]
    """Returns the text of a config of the master's words, and what was left out."""


def find_attachable(
    name: str,
    provider_name: str,
    *,
    config_file: str | None,
    report: Reporter,
    hosts: HostQuery = NO_HOSTS,
) -> Attachable:
    """Return a context to take a cluster over, and all nodes that have its name.

    Args:
        name: the name of the cluster.
        provider_name: its provider; empty: the one that has nodes of this name.
        config_file: the config file as given on the command line.
        report: tells the user what is done.
        hosts: what the user says of its hosts, if it is on hosts that were there before.

    Raises:
        UsageError: no provider has such nodes.
    """
    planning.check_name(name)
    for candidate in [] if hosts.named else [provider_name] if provider_name else queried_providers():
        provider = make_provider(candidate)
        with suppress(*(() if provider_name else (ConfigError, ProviderError))):
            nodes = _find_nodes(provider, name)
            if nodes and isinstance(provider, Adopting):
                break
            if nodes:
                return _attachable(name, built_in_settings(), provider, nodes, named_config(config_file), report)
    if provider_name in {"", "static"}:
        remembered = ClusterFolder(home_folder(), name).last_config()
        if remembered and Path(remembered).exists():
            config_file = config_file or remembered
        claim = find_on_hosts(name, hosts, config_file=config_file, render=_render_text, report=report)
        if claim:
            made = _attachable(name, claim.settings, claim.provider, list(claim.nodes), claim.config, report)
            aliases = [node.alias for node in claim.nodes]
            return replace(made, render_config=partial(_render_on_hosts, aliases=aliases, sections=claim.sections))
    raise UsageError(
        f"no provider has nodes of a cluster {name}",
        remedy="check the name and the provider, --provider; an account is asked that the config file names, and"
        " hosts that it lists, or that you name: --host USER@HOST",
    )


def _attachable(
    name: str, settings: Settings, provider: Provider, nodes: list[Node], config: Path | None, report: Reporter
) -> Attachable:
    folder = ClusterFolder(home_folder(), name)
    context = RunContext(name, settings, provider, PluginHost(()), folder, make_connector(folder), report)
    render = partial(render_config, provider=provider.name)
    return Attachable(replace(context, named_config=config), nodes, render)


def read_host_key(node: Node) -> tuple[str, str]:
    """Return the host key that a node shows now, and its fingerprint as ssh shows it."""
    key = fetch_host_key(node)
    return key, ids.fingerprint(key)


def _find_nodes(provider: Provider, name: str) -> list[Node]:
    return provider.find_anybodys(name) if isinstance(provider, Transferable) else provider.nodes(name)


def _render_on_hosts(
    document: object, template: str, *, aliases: Sequence[str], sections: str
) -> tuple[str, list[str]]:
    text, dropped = render_config(with_hosts(document, template, aliases), template, provider="")
    return text and text + sections, dropped


def _render_text(document: object, template: str) -> str:
    return render_config(document, template, provider="")[0]


def render_config(document: object, template: str, *, provider: str) -> tuple[str, list[str]]:
    """Return the text of a config file of a master's words, and what was left out: see `config.remembered`.

    Args:
        document: the copy of the config that the master keeps.
        template: the name of the cluster template in it.
        provider: that has the nodes, whatever the master says; empty where the document says it by now.
    """
    if provider:
        document = with_provider(document, template, {"provider": provider})

    def find_options(plugin: str) -> type[Section] | None:
        try:
            return (
                loader.options_model(loader.find_plugin_class(plugin)) if plugin in loader.installed_names() else None
            )
        except PluginError:
            return None

    return render_received(document, template, find_options)
