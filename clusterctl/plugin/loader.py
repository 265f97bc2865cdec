"""Finds plugin classes, and reads what a class declares: its options, and the nodes that it needs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import PluginError
from clusterctl.model import Facet
from clusterctl.options import Section

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_GROUP = "clusterctl.plugins"
IMPLICIT_PLUGINS = ("volumes", "base", "nfs", "packages", "spot")
"""Plugins that act on every cluster, in this order and before all others, whether PLUGINS names them or not."""


class NoOptions(Section):
    """A plugin without options."""


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


def plugin_names() -> tuple[str, ...]:
    """Return the INI names of the installed plugins, sorted. Imports none of them."""
    return tuple(sorted(_entry_points()))


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
        return _check_class(getattr(module, class_name), name)
    except PluginError:
        raise
    except Exception as exc:
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
        return _check_class(entry.load(), name)
    except (ImportError, AttributeError) as exc:
        raise PluginError(
            f"plugin {name}: cannot load {entry.value}: {exc}", remedy="reinstall or remove its package"
        ) from exc


def _load_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    name = f"clusterctl_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look up their module by name
    spec.loader.exec_module(module)
    return module


def _check_class(candidate: object, name: str) -> type:
    hooks = [hook for hook in dir(candidate) if hook.startswith("clusterctl_")]
    if not isinstance(candidate, type) or not hooks:
        raise PluginError(
            f"plugin {name}: {candidate!r} is not a plugin class: it has no clusterctl_ hook",
            remedy="write a class with at least one hook; see `clusterctl plugins --hooks`",
        )
    return candidate


def options_model(plugin: type) -> type[Section]:
    """Return the model of a plugin class's options."""
    hook = getattr(plugin, "clusterctl_settings", None)
    model: type[Section] = hook() if hook else NoOptions
    return model


def why_not_needed(plugin: type, facets: frozenset[Facet]) -> str:
    """Return why a plugin is not needed on nodes with these facets; empty if it is needed.

    Two attributes of a plugin class decide: `needs`, the facets that it requires, and `instead`, the facets that
    make it unnecessary.
    """
    missing = frozenset[Facet](getattr(plugin, "needs", ())) - facets
    if missing:
        return (
            f"these nodes are no {' and '.join(sorted(_MISSING_FACETS.get(facet, facet.value) for facet in missing))}"
        )
    provided = frozenset[Facet](getattr(plugin, "instead", ())) & facets
    return f"the provider sees to it ({', '.join(sorted(facet.value for facet in provided))})" if provided else ""


_MISSING_FACETS = {Facet.MACHINE: "machines of their own"}
