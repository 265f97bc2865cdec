"""Where plugin classes come from, and what one says of itself before it is made: its options, and what it needs."""

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
IMPLICIT = ("volumes", "base", "nfs", "packages", "spot")
"""Plugins that act on every cluster, in this order and before all others; named in PLUGINS or not."""


class NoOptions(Section):
    """A plugin without options."""


def installed(distribution: str | None = None) -> dict[str, type]:
    """The plugins that are installed, by their INI name, sorted; of one distribution only, if named.

    Raises:
        PluginError: one of them cannot be imported.
    """
    return {
        name: _installed(name)
        for name, entry in sorted(_entries().items())
        if distribution is None or (entry.dist is not None and entry.dist.name == distribution)
    }


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
    return {entry.name: entry for entry in reversed(tuple(entry_points(group=_GROUP)))}


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
        raise PluginError(
            f"plugin {name}: cannot load {entry.value}: {exc}", remedy="reinstall or remove its package"
        ) from exc


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
