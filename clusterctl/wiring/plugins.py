"""Which plugins act on a cluster's nodes, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import PluginError, UsageError
from clusterctl.plugin import host, loader

if TYPE_CHECKING:
    from clusterctl.config.settings import Settings
    from clusterctl.model import Facet
    from clusterctl.options import Section


def host_of(settings: Settings, facets: frozenset[Facet], plugin: str | None = None) -> host.PluginHost:
    """The template's plugins in INI order, those that act always before them, and `plugin` after them if it is new.

    Those that have nothing to do on nodes with these facets are left out; `idle_plugins` names them.
    """
    named: list[tuple[str, type, Section]] = [(c.name, c.plugin, c.options) for c in settings.plugins]
    chosen = []
    for name in loader.IMPLICIT:
        implicit = loader.find(name)
        if not any(issubclass(plugin_class, implicit) for _, plugin_class, _ in named):
            said = settings.all_plugins.get(name)  # its section, or --set
            options = said.options if said else loader.options_model(implicit)()
            chosen.append((name, said.plugin if said else implicit, options))
    chosen = [choice for choice in (*chosen, *named) if not loader.not_needed(choice[1], facets)]
    if plugin and plugin not in {name for name, _, _ in chosen}:
        extra = settings.all_plugins.get(plugin)
        found = extra.plugin if extra else _found(plugin)
        chosen.append((plugin, found, extra.options if extra else loader.options_model(found)()))
    return host.PluginHost(chosen)


def idle_plugins(settings: Settings, facets: frozenset[Facet]) -> list[str]:
    """A line for each plugin that was named and has nothing to do on such nodes."""
    reasons = {choice.name: loader.not_needed(choice.plugin, facets) for choice in settings.plugins}
    return [f"plugin {name} is not needed: {reason}" for name, reason in reasons.items() if reason]


def _found(plugin: str) -> type:
    try:
        return loader.find(plugin)
    except PluginError as exc:
        raise UsageError(exc.message, remedy=exc.remedy) from exc  # its name is on the command line
