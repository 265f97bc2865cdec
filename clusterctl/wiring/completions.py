"""The words that a TAB offers: from the laptop's files alone, so that a TAB asks no cloud and waits for no config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clusterctl.journal import ClusterFolder
from clusterctl.wiring.local_paths import config_path, home_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUILT_IN_TEMPLATES = ("local", "docker")
_HEADER = r"^\s*\[\s*{kind}\s+([^\]\s]+)"


def cluster_names() -> list[str]:
    """Return the clusters that this laptop knows, sorted."""
    folder = home_folder() / "clusters"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def node_aliases(cluster: str | None) -> tuple[str, ...]:
    """Return the aliases of a cluster's nodes; none without a name."""
    return ClusterFolder(home_folder(), cluster).wanted_nodes() if cluster else ()


def template_names(config_file: str | None) -> list[str]:
    """Return the names of the [cluster NAME] sections; without any, the built-in templates."""
    return _section_names(config_file, "cluster") or list(_BUILT_IN_TEMPLATES)


def key_names(config_file: str | None) -> list[str]:
    """Return the names of the [key NAME] sections."""
    return _section_names(config_file, "key")


def host_names(config_file: str | None) -> list[str]:
    """Return the names of the [host NAME] sections."""
    return _section_names(config_file, "host")


def plugin_names(config_file: str | None) -> list[str]:
    """Return the installed plugins and those with a section, sorted."""
    return sorted({*_installed_words(), *_section_names(config_file, "plugin")})


def plugin_options(config_file: str | None, begun: str) -> Sequence[str]:
    """Return what ``PLUGIN.OPTION=`` may become: the plugins, or the options of the plugin that is written already."""
    plugin, dot, _ = begun.partition(".")
    if not dot:
        return [f"{name}." for name in plugin_names(config_file)]
    return [f"{plugin}.{option}=" for option in _installed_words(plugin)]


def size_names(config_file: str | None) -> list[str]:
    """Return the names in the [sizes] of a file, as they are written there."""
    path = config_path(config_file)
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    parts = re.split(r"(?im)^\s*\[\s*(sizes)\s*\].*$", text)[2::2]
    return [name for part in parts for name in re.findall(r"(?m)^([A-Za-z][\w-]*)\s*[=:]", part.split("\n[")[0])]


def _installed_words(plugin: str = "") -> list[str]:
    """Return the names of the installed plugins, or of one's options; none for an unknown plugin."""
    from clusterctl.plugin import loader  # late: see wiring/settings.py

    names = loader.installed_names()
    if not plugin or plugin not in names:
        return [] if plugin else list(names)
    return list(loader.options_model(loader.find_plugin_class(plugin)).model_fields)


def _section_names(config_file: str | None, kind: str) -> list[str]:
    """Return the names of a file's sections of this kind, in its order. The file need not be valid, as it is edited."""
    path = config_path(config_file)
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    return re.findall(_HEADER.format(kind=kind), text, re.IGNORECASE | re.MULTILINE)
