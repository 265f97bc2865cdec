"""What `attach` takes over: the provider of the nodes, and the config that is made of a master's words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.config.remembered import render_received
from clusterctl.errors import ConfigError, PluginError, ProviderError, UsageError
from clusterctl.journal import ClusterFolder, ids
from clusterctl.operations.context import RunContext
from clusterctl.plugin import loader
from clusterctl.plugin.host import PluginHost
from clusterctl.providers.base import Transferable
from clusterctl.remote.host_key import fetch_host_key
from clusterctl.wiring.context import make_connector
from clusterctl.wiring.local_paths import home_folder, named_config
from clusterctl.wiring.providers import make_provider, queried_providers
from clusterctl.wiring.settings import built_in_settings

if TYPE_CHECKING:
    from clusterctl.events import Reporter
    from clusterctl.model import Node
    from clusterctl.options import Section
    from clusterctl.providers.base import Provider


def attach_context(
    name: str, provider_name: str, *, config_file: str | None, report: Reporter
) -> tuple[RunContext, list[Node]]:
    """Return a context to take a cluster over, and all nodes that have its name.

    Args:
        name: the name of the cluster.
        provider_name: its provider; empty: the one that has nodes of this name.
        config_file: the config file as given on the command line.
        report: tells the user what is done.

    Raises:
        UsageError: no provider has such nodes.
    """
    folder = ClusterFolder(home_folder(), planning.check_name(name))
    for candidate in [provider_name] if provider_name else queried_providers():
        provider = make_provider(candidate)
        with suppress(*(() if provider_name else (ConfigError, ProviderError))):
            nodes = _find_nodes(provider, name)
            if nodes:
                settings = built_in_settings()
                context = RunContext(name, settings, provider, PluginHost(()), folder, make_connector(folder), report)
                return replace(context, named_config=named_config(config_file)), nodes
    raise UsageError(
        f"no provider has nodes of a cluster {name}",
        remedy="check the name and the provider, --provider; an account is asked that the config file names",
    )


def read_host_key(node: Node) -> tuple[str, str]:
    """Return the host key that a node shows now, and its fingerprint as ssh shows it."""
    key = fetch_host_key(node)
    return key, ids.fingerprint(key)


def _find_nodes(provider: Provider, name: str) -> list[Node]:
    return provider.find_anybodys(name) if isinstance(provider, Transferable) else provider.nodes(name)


def render_config(document: object, template: str) -> tuple[str, list[str]]:
    """Return the text of a config file of a master's words, and what was left out: see `config.remembered`."""

    def find_options(plugin: str) -> type[Section] | None:
        try:
            return (
                loader.options_model(loader.find_plugin_class(plugin)) if plugin in loader.installed_names() else None
            )
        except PluginError:
            return None

    return render_received(document, template, find_options)
