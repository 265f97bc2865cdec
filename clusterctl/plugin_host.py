"""Finds, orders and calls plugins, and names the one that failed.

Plain pluggy calls run the last registered first and do not say who failed, so plugins are called one by one, in INI
order. pluggy still checks every hook's name and arguments.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from clusterctl import hookspecs
from clusterctl.errors import ClusterctlError, PluginError
from clusterctl.model import Facet
from clusterctl.sections import Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import EntryPoint

    from clusterctl.model import Request

GROUP = "clusterctl.plugins"
IMPLICIT = ("volumes", "base", "nfs", "packages", "spot")
"""Plugins that act on every cluster, in this order and before all others; named in PLUGINS or not."""


class NoOptions(Section):
    """A plugin without options."""


def bundled() -> dict[str, type]:
    """Every installed plugin class by its INI name, sorted."""
    return {name: entry.load() for name, entry in sorted(_entries().items())}


def find(name: str, setup_class: str | None = None) -> type:
    """The class of a ``[plugin NAME]`` section.

    Args:
        name: the section's name; an installed plugin's if there is no `setup_class`.
        setup_class: ``package.module:Class``, ``package.module.Class``, or ``/path/to/file.py:Class``.

    Raises:
        PluginError: there is no such plugin, or it cannot be imported.
    """
    if setup_class is None or setup_class in _entries():
        return _installed(setup_class or name)
    module_name, _, class_name = setup_class.rpartition(":" if ":" in setup_class else ".")
    try:
        module = _from_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
        return _checked(getattr(module, class_name), name)
    except PluginError:
        raise
    except Exception as exc:
        raise PluginError(
            f"plugin {name}: cannot load {setup_class}: {type(exc).__name__}: {exc}",
            remedy="setup_class is package.module:Class or /path/to/file.py:Class; try importing it in Python",
        ) from exc


@cache
def _entries() -> dict[str, EntryPoint]:
    """The installed plugins by name, the first of several. To find them reads the metadata of all packages."""
    return {entry.name: entry for entry in reversed(tuple(entry_points(group=GROUP)))}


def _installed(name: str) -> type:
    entry = _entries().get(name)
    if entry is None:
        raise PluginError(
            f"unknown plugin {name}",
            remedy=f"installed plugins: {', '.join(sorted(_entries()))}; for your own, add setup_class = module:Class",
        )
    try:
        return _checked(entry.load(), name)
    except (ImportError, AttributeError) as exc:
        raise PluginError(f"plugin {name}: cannot load {entry.value}: {exc}", remedy="reinstall its package") from exc


def _from_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    name = f"clusterctl_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up by name
    spec.loader.exec_module(module)
    return module


def _checked(candidate: object, name: str) -> type:
    hooks = [hook for hook in dir(candidate) if hook.startswith("clusterctl_")]
    if not isinstance(candidate, type) or not hooks:
        raise PluginError(
            f"plugin {name}: {candidate!r} is not a plugin class: it has no clusterctl_ hook",
            remedy="write a class with at least one hook; see `clusterctl plugins --hooks`",
        )
    return candidate


def options_model(plugin: type) -> type[Section]:
    """The model of a plugin class's options."""
    hook = getattr(plugin, "clusterctl_settings", None)
    model: type[Section] = hook() if hook else NoOptions
    return model


def not_needed(plugin: type, facets: frozenset[Facet]) -> str:
    """Why a plugin has nothing to do on nodes with these facets; empty where it has.

    A plugin class may say so in two attributes: `needs`, the facets it cannot do without, and `instead`, those that
    make it superfluous.
    """
    lacking = frozenset[Facet](getattr(plugin, "needs", ())) - facets
    if lacking:
        return f"these nodes are no {' and '.join(sorted(_LACKING.get(facet, facet.value) for facet in lacking))}"
    there = frozenset[Facet](getattr(plugin, "instead", ())) & facets
    return f"the provider sees to it ({', '.join(sorted(facet.value for facet in there))})" if there else ""


_LACKING = {Facet.MACHINE: "machines of their own"}


@dataclass(frozen=True)
class Loaded:
    """A plugin that is ready to be called."""

    name: str
    plugin: object
    hooks: frozenset[str]


class PluginHost:
    """The plugins of one cluster, in order."""

    def __init__(self, choices: Iterable[tuple[str, type, Section]]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        loaded = [self._load(*choice) for choice in choices]
        # In INI order, but for one that with its present options must come before whoever makes users.
        self.plugins: tuple[Loaded, ...] = tuple(
            sorted(loaded, key=lambda each: not getattr(each.plugin, "goes_first", False))
        )
        self._check()

    def _load(self, name: str, plugin_class: type, options: Section) -> Loaded:
        try:
            plugin = plugin_class(options)
            self._manager.register(plugin, name=name)
        except Exception as exc:
            raise PluginError(f"plugin {name}: {exc}", remedy="fix the plugin, or leave it out of PLUGINS") from exc
        callers = self._manager.get_hookcallers(plugin) or []
        return Loaded(name, plugin, frozenset(caller.name for caller in callers))

    def _check(self) -> None:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as exc:
            hooks = ", ".join(sorted(name for name in dir(hookspecs) if name.startswith("clusterctl_")))
            raise PluginError(str(exc), remedy=f"the hooks are: {hooks}") from exc

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins' INI names, in order."""
        return tuple(loaded.name for loaded in self.plugins)

    def having(self, hook: str) -> tuple[str, ...]:
        """The names of the plugins that implement a hook, in order."""
        return tuple(loaded.name for loaded in self.plugins if hook in loaded.hooks)

    def independent(self) -> tuple[str, ...]:
        """The names of the plugins whose class says ``waits_for_master = False``: theirs is the same on every node."""
        return tuple(loaded.name for loaded in self.plugins if not getattr(loaded.plugin, "waits_for_master", True))

    def only(self, name: str) -> PluginHost:
        """A host of that one plugin, the same object."""
        alone = PluginHost(())
        alone.plugins = tuple(loaded for loaded in self.plugins if loaded.name == name)
        alone._manager = self._manager
        return alone

    def call(self, name: str, hook: str, **arguments: object) -> Any:
        """Call one plugin's hook; None where it has none.

        Raises:
            PluginError: it raised; the message names the plugin and the cause.
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

    def requests(self) -> Sequence[tuple[str, Request]]:
        """What each plugin wants on every node, in order."""
        found = [(name, self.call(name, "clusterctl_request")) for name in self.names]
        return [(name, request) for name, request in found if request is not None]
