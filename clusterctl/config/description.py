"""Every option that takes effect, with its value and the origin of the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.config.settings import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.config.settings import Settings
    from clusterctl.options import Section


@dataclass(frozen=True)
class ChosenOption:
    """An option and its value."""

    key: str
    """Kind of section, name of section and option, with dots: ``cluster.cluster_size``, ``plugin.packages.python``."""
    value: Any
    origin: Origin


def list_chosen_options(settings: Settings, plugins: Mapping[str, Section]) -> list[ChosenOption]:
    """Return the options that a cluster of the chosen template has.

    Args:
        settings: the config.
        plugins: the options of the plugins that act on its nodes, by name.
    """
    cluster = settings.cluster
    groups: list[tuple[str, Mapping[str, Section]]] = [
        ("cluster", {"": cluster}),
        ("global", {"": settings.global_}),
        ("aws", {"": settings.aws}),
        ("key", {name: key for name, key in settings.keys.items() if name == cluster.keyname}),
        ("host", {name: settings.hosts[name] for name in cluster.hosts if name in settings.hosts}),
        ("volume", {name: settings.volumes[name] for name in cluster.volumes}),
        ("permission", {name: settings.permissions[name] for name in cluster.permissions}),
        ("plugin", plugins),
    ]
    options = []
    for kind, sections in groups:
        for name, section in sections.items():
            for key in type(section).model_fields:
                dotted = ".".join(part for part in (kind, name, key) if part)
                origin = settings.origins.get(dotted, Origin("default"))  # a plugin without a section has none
                options.append(ChosenOption(dotted, getattr(section, key), origin))
    return options
