"""The plugins that act on a cluster's nodes, and their order."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.config.provider_options import provider_name
from clusterctl.errors import PluginError, UsageError
from clusterctl.plugin import host, loader
from clusterctl.wiring.providers import make_provider

if TYPE_CHECKING:
    from clusterctl.config.settings import Settings
    from clusterctl.model import Facet
    from clusterctl.options import Section


def make_plugin_host(settings: Settings, facets: frozenset[Facet], plugin: str | None = None) -> host.PluginHost:
    """Return the host of the template's plugins, in INI order.

    Plugins that always act come before them, and `plugin` comes after them if it is new. Plugins that have nothing to
    do on nodes with these facets are left out; `idle_plugins` names them.
    """
    chosen = _choose_plugins(settings, facets)
    if plugin and plugin not in {name for name, _, _ in chosen}:
        extra = settings.all_plugins.get(plugin)
        extra_class = extra.plugin if extra else _find_plugin(plugin)
        chosen.append((plugin, extra_class, extra.options if extra else loader.options_model(extra_class)()))
    return host.PluginHost(chosen)


def shown_plugins(settings: Settings) -> dict[str, Section]:
    """Return the options of every plugin that acts on the template's nodes or is named by it, by name."""
    facets = make_provider(provider_of(settings), settings).facets
    acting = {name: options for name, _, options in _choose_plugins(settings, facets)}
    return acting | {choice.name: choice.options for choice in settings.plugins}


def _choose_plugins(settings: Settings, facets: frozenset[Facet]) -> list[tuple[str, type, Section]]:
    """Return name, class and options of the plugins that act, in order."""
    named: list[tuple[str, type, Section]] = [(c.name, c.plugin, c.options) for c in settings.plugins]
    chosen = []
    for name in loader.IMPLICIT_PLUGINS:
        implicit = loader.find_plugin_class(name)
        if not any(issubclass(plugin_class, implicit) for _, plugin_class, _ in named):
            choice = settings.all_plugins.get(name)  # from its section, or --set
            options = choice.options if choice else loader.options_model(implicit)()
            chosen.append((name, choice.plugin if choice else implicit, options))
    return [entry for entry in (*chosen, *named) if not loader.why_not_needed(entry[1], facets)]


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


def provider_of(settings: Settings) -> str:
    """Return the provider that the template names or implies."""
    return provider_name(settings.cluster)


def idle_plugins(settings: Settings, facets: frozenset[Facet]) -> list[str]:
    """Return a line for each named plugin that has nothing to do on such nodes."""
    reasons = {choice.name: loader.why_not_needed(choice.plugin, facets) for choice in settings.plugins}
    return [f"plugin {name} is not needed: {reason}" for name, reason in reasons.items() if reason]


def _find_plugin(plugin: str) -> type:
    try:
        return loader.find_plugin_class(plugin)
    except PluginError as exc:
        raise UsageError(exc.message, remedy=exc.remedy) from exc  # the name comes from the command line
