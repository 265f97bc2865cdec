"""The plugins that act on a cluster's nodes, and their order."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError, PluginError, UsageError
from clusterctl.plugin import host, loader
from clusterctl.plugin.base import declared
from clusterctl.wiring.providers import make_provider

if TYPE_CHECKING:
    from clusterctl.config.settings import Settings
    from clusterctl.model import Facet
    from clusterctl.options import Section
    from clusterctl.providers.base import Provider


PluginEntry = tuple[str, type, "Section"]
"""The name, class and options of a plugin."""


@dataclass(frozen=True)
class Parts:
    """The concrete parts of an operation that settings choose."""

    provider: Provider
    plugin_host: host.PluginHost
    idle: tuple[str, ...]
    """A line for each plugin with nothing to do."""


def choose_parts(settings: Settings, plugin: str | None = None) -> Parts:
    """Return the parts for these settings, with one more plugin if one is named."""
    provider = make_provider(settings.cluster.provider_name, settings)
    chosen = make_plugin_host(settings, provider.facets, plugin)
    return Parts(provider, chosen, tuple(idle_plugins(settings, provider.facets)))


def make_plugin_host(settings: Settings, facets: frozenset[Facet], plugin: str | None = None) -> host.PluginHost:
    """Return the host of the template's plugins, in INI order.

    Plugins that act on every cluster come before them, and `plugin` comes after them if it is new. Plugins that have
    nothing to do on nodes with these facets are left out; `idle_plugins` names them.
    """
    chosen = _choose_plugins(settings, facets)
    if plugin and plugin not in {name for name, _, _ in chosen}:
        extra = settings.all_plugins.get(plugin)
        extra_class = extra.plugin if extra else _find_plugin(plugin)
        chosen.append((plugin, extra_class, extra.options if extra else loader.options_model(extra_class)()))
    return host.PluginHost(chosen)


def shown_plugins(settings: Settings) -> dict[str, Section]:
    """Return the options of every plugin that acts on the template's nodes or is named by it, by name."""
    facets = make_provider(settings.cluster.provider_name, settings).facets
    acting = {name: options for name, _, options in _choose_plugins(settings, facets)}
    return acting | {choice.name: choice.options for choice in settings.plugins}


@dataclass(frozen=True)
class PluginDescription:
    """An installed plugin, for people who look for one."""

    name: str
    summary: str
    """The first line of its docstring."""
    options: dict[str, str | None]
    """The descriptions of its options, by name."""


def describe_plugins() -> list[PluginDescription]:
    """Return the installed plugins, sorted by name."""
    return [
        PluginDescription(
            name,
            (inspect.getdoc(plugin) or "").partition("\n")[0],
            {key: field.description for key, field in loader.options_model(plugin).model_fields.items()},
        )
        for name, plugin in loader.installed_plugins().items()
    ]


def make_lenient_plugin_host(settings: Settings, facets: frozenset[Facet]) -> tuple[host.PluginHost, list[str]]:
    """Return the host of those of the template's plugins that can be made, and a message about each of the others."""
    usable, failures = [], []
    for entry in _choose_plugins(settings, facets):
        try:
            host.PluginHost([entry])
        except ClusterctlError as exc:
            failures.append(f"{exc.message}: its work is not undone")
        else:
            usable.append(entry)
    return host.PluginHost(usable), failures


def _choose_plugins(settings: Settings, facets: frozenset[Facet]) -> list[PluginEntry]:
    """Return the plugins that act, in order."""
    named: list[PluginEntry] = [(choice.name, choice.plugin, choice.options) for choice in settings.plugins]
    needed = [entry for entry in named if not loader.why_not_needed(entry[1], facets)]
    replaced = {name for _, plugin_class, _ in needed for name in declared(plugin_class, "replaces")}
    everywhere = [entry for entry in _choose_every_cluster(settings, named) if entry[0] not in replaced]
    return [*(entry for entry in everywhere if not loader.why_not_needed(entry[1], facets)), *needed]


def _choose_every_cluster(settings: Settings, named: list[PluginEntry]) -> list[PluginEntry]:
    """Return the plugins of every cluster, but for those that are named, or a base class of a named one."""
    choices: list[PluginEntry] = []
    for name, plugin_class in loader.find_every_cluster_plugins().classes.items():
        if any(issubclass(named_class, plugin_class) for _, named_class, _ in named):
            continue
        choice = settings.all_plugins.get(name)  # from its section, or --set
        if choice:
            choices.append((name, choice.plugin, choice.options))
        else:
            choices.append((name, plugin_class, loader.options_model(plugin_class)()))
    return choices


def idle_plugins(settings: Settings, facets: frozenset[Facet]) -> list[str]:
    """Return a line for each named plugin with nothing to do on such nodes, and for each broken one."""
    reasons = {choice.name: loader.why_not_needed(choice.plugin, facets) for choice in settings.plugins}
    idle = [f"plugin {name} is not needed: {reason}" for name, reason in reasons.items() if reason]
    broken = loader.find_every_cluster_plugins().broken
    return [*idle, *(f"{reason}; it is installed, and left out" for reason in broken)]


def _find_plugin(plugin: str) -> type:
    try:
        return loader.find_plugin_class(plugin)
    except PluginError as exc:
        raise UsageError(exc.message, remedy=exc.remedy) from exc  # the name comes from the command line
