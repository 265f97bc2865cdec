"""Orders and calls plugins, and names the plugin that failed.

pluggy by itself calls the last registered plugin first and does not say which one failed. So plugins are called one
by one, in INI order. pluggy still checks the name and the arguments of every hook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from clusterctl.errors import ClusterctlError, PluginError
from clusterctl.plugin import hookspecs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clusterctl.model import Request
    from clusterctl.options import Section


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that is ready to be called."""

    name: str
    plugin: object
    hooks: frozenset[str]


class PluginHost:
    """The plugins of one cluster, in order."""

    def __init__(self, choices: Iterable[tuple[str, type, Section]]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        loaded = [self._load_plugin(*choice) for choice in choices]
        # In INI order, except for plugins whose options require them before the plugin that makes users.
        self.plugins: tuple[LoadedPlugin, ...] = tuple(
            sorted(loaded, key=lambda entry: not getattr(entry.plugin, "goes_first", False))
        )
        self._check_hooks()

    def _load_plugin(self, name: str, plugin_class: type, options: Section) -> LoadedPlugin:
        try:
            plugin = plugin_class(options)
            self._manager.register(plugin, name=name)
        except Exception as exc:
            raise PluginError(f"plugin {name}: {exc}", remedy="fix the plugin, or leave it out of PLUGINS") from exc
        callers = self._manager.get_hookcallers(plugin) or []
        return LoadedPlugin(name, plugin, frozenset(caller.name for caller in callers))

    def _check_hooks(self) -> None:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as exc:
            hooks = ", ".join(sorted(name for name in dir(hookspecs) if name.startswith("clusterctl_")))
            raise PluginError(str(exc), remedy=f"the hooks are: {hooks}") from exc

    @property
    def plugin_names(self) -> tuple[str, ...]:
        """The plugins' INI names, in order."""
        return tuple(loaded.name for loaded in self.plugins)

    def plugins_with(self, hook: str) -> tuple[str, ...]:
        """Return the names of the plugins that implement a hook, in order."""
        return tuple(loaded.name for loaded in self.plugins if hook in loaded.hooks)

    def independent_plugins(self) -> tuple[str, ...]:
        """Return the names of plugins with ``waits_for_master = False``: their work is the same on every node."""
        return tuple(loaded.name for loaded in self.plugins if not getattr(loaded.plugin, "waits_for_master", True))

    def restrict_to(self, name: str) -> PluginHost:
        """Return a host with one plugin only, the same object."""
        alone = PluginHost(())
        alone.plugins = tuple(loaded for loaded in self.plugins if loaded.name == name)
        alone._manager = self._manager
        return alone

    def call_hook(self, name: str, hook: str, **arguments: object) -> Any:
        """Call the hook of one plugin. Return its result, or None if the plugin lacks the hook.

        Raises:
            PluginError: the hook raised; the message names the plugin and the cause.
        """
        loaded = next(loaded for loaded in self.plugins if loaded.name == name)
        if hook not in loaded.hooks:
            return None
        others = self._manager.get_plugins() - {loaded.plugin}
        try:
            results = self._manager.subset_hook_caller(hook, others)(**arguments)
        except ClusterctlError as exc:
            raise PluginError(f"plugin {name}: {exc.message}", remedy=exc.remedy) from exc
        except Exception as exc:
            raise PluginError(
                f"plugin {name}: {type(exc).__name__}: {exc}",
                remedy="this is a fault of the plugin: its author wants to know; leave it out of PLUGINS to go on",
            ) from exc
        return results[0] if results else None

    def collect_requests(self) -> Sequence[tuple[str, Request]]:
        """Return the requests of the plugins for every node, in order."""
        requests = [(name, self.call_hook(name, "clusterctl_request")) for name in self.plugin_names]
        return [(name, request) for name, request in requests if request is not None]
