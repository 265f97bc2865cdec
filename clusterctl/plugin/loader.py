"""Finds plugin classes, and reads what a class declares: its options, and the nodes that it needs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import PluginError, raise_if_interrupt
from clusterctl.files import expand_user
from clusterctl.model import Facet
from clusterctl.plugin.base import declared
from clusterctl.plugin.checks import check_plugin_class

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from clusterctl.options import Section

_GROUP = "clusterctl.plugins"
_OWN_DISTRIBUTION = "clusterctl"


def installed_plugins(distribution: str | None = None) -> dict[str, type]:
    """Return the installed plugins by INI name, sorted; those of one distribution only, if it is given.

    Raises:
        PluginError: a plugin cannot be imported.
    """
    return {
        name: _load_installed(name)
        for name, entry in sorted(_entry_points().items())
        if distribution is None or (entry.dist is not None and entry.dist.name == distribution)
    }


def installed_names() -> tuple[str, ...]:
    """Return the INI names of the installed plugins, sorted. None of them is imported."""
    return tuple(sorted(_entry_points()))


@dataclass(frozen=True)
class EveryClusterPlugins:
    """The installed plugins that act on every cluster."""

    classes: Mapping[str, type]
    """By INI name, in the order in which they act."""
    broken: tuple[str, ...]
    """Why an installed plugin of somebody else's is unknown: it cannot be loaded."""


def find_every_cluster_plugins() -> EveryClusterPlugins:
    """Return the installed plugins that say `on_every_cluster`, in their order.

    A plugin of another package that cannot be loaded stops no cluster that does not name it.

    Raises:
        PluginError: a plugin of our own cannot be loaded.
    """
    classes: dict[str, type] = {}
    broken: list[str] = []
    for name, entry in sorted(_entry_points().items()):
        try:
            classes[name] = _load_installed(name)
        except PluginError as exc:
            if entry.dist is not None and entry.dist.name == _OWN_DISTRIBUTION:
                raise
            broken.append(exc.message)
    chosen = sorted((declared(plugin, "order"), name) for name, plugin in classes.items() if acts_everywhere(plugin))
    return EveryClusterPlugins({name: classes[name] for _, name in chosen}, tuple(broken))


def acts_everywhere(plugin: type) -> bool:
    """Return whether a plugin class says that it acts on every cluster."""
    return bool(declared(plugin, "on_every_cluster"))


def find_plugin_class(name: str, setup_class: str | None = None) -> type:
    """Return the class of a ``[plugin NAME]`` section.

    Args:
        name: the name of the section; without `setup_class` the name of an installed plugin.
        setup_class: ``package.module:Class``, ``package.module.Class``, or ``/path/to/file.py:Class``.

    Raises:
        PluginError: the plugin does not exist, or cannot be imported.
    """
    if setup_class is None or setup_class in _entry_points():
        return _load_installed(setup_class or name)
    module_name, _, class_name = setup_class.rpartition(":" if ":" in setup_class else ".")
    try:
        module = _load_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
        return check_plugin_class(getattr(module, class_name), name)
    except PluginError:
        raise
    except BaseException as exc:  # foreign code
        raise_if_interrupt(exc)
        raise PluginError(
            f"plugin {name}: cannot load {setup_class}: {type(exc).__name__}: {exc}",
            remedy="setup_class is package.module:Class or /path/to/file.py:Class; try importing it in Python",
        ) from exc


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the installed plugins by name, the first of several. Cached: it reads the metadata of all packages."""
    return {entry.name: entry for entry in reversed(tuple(entry_points(group=_GROUP)))}


def _load_installed(name: str) -> type:
    entry = _entry_points().get(name)
    if entry is None:
        known = ", ".join(sorted(_entry_points()))
        raise PluginError(
            f"unknown plugin {name}",
            remedy=f"installed plugins: {known}; for your own, add setup_class = module:Class",
        )
    try:
        return check_plugin_class(entry.load(), name)
    except PluginError:
        raise
    except BaseException as exc:  # foreign code
        raise_if_interrupt(exc)
        raise PluginError(
            f"plugin {name}: cannot load {entry.value}: {exc}", remedy="reinstall or remove its package"
        ) from exc


def _load_file(path: Path) -> Any:
    path = expand_user(path).resolve()
    name = f"clusterctl_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look up their module by name
    spec.loader.exec_module(module)
    return module


def options_model(plugin: type) -> type[Section]:
    """Return the model of a plugin class's options: what `clusterctl_settings` returns, else what it declares."""
    hook = getattr(plugin, "clusterctl_settings", None)
    model: type[Section] = hook() if hook else declared(plugin, "options_model")
    return model


def why_not_needed(plugin: type, facets: frozenset[Facet]) -> str:
    """Return why a plugin is not needed on nodes with these facets; empty if it is needed."""
    missing = frozenset[Facet](declared(plugin, "needs")) - facets
    if missing:
        return (
            f"these nodes are no {' and '.join(sorted(_MISSING_FACETS.get(facet, facet.value) for facet in missing))}"
        )
    provided = frozenset[Facet](declared(plugin, "instead")) & facets
    return f"the provider sees to it ({', '.join(sorted(facet.value for facet in provided))})" if provided else ""


_MISSING_FACETS = {Facet.MACHINE: "machines of their own"}
