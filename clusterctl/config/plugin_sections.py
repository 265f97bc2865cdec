"""The [plugin NAME] sections and the plugins that templates name -> PluginChoices, their options checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config.ini import RawSection, RawValue
from clusterctl.config.settings import Origin, PluginChoice
from clusterctl.config.validation import Found, check, modern_section
from clusterctl.errors import PluginError
from clusterctl.options import Section, comma_list, did_you_mean, is_secret
from clusterctl.plugin.loader import options_model

if TYPE_CHECKING:
    from collections.abc import Mapping

FindPlugin = Callable[[str, "str | None"], "type[object]"]
"""(section name, SETUP_CLASS or None) -> plugin class; PluginError when there is none."""


def overridden(sections: Mapping[str, RawSection], overrides: Mapping[str, str], found: Found) -> dict[str, RawSection]:
    """The plugin sections with what the command line says as ``PLUGIN.OPTION`` instead."""
    changed = dict(sections)
    for name, text in overrides.items():
        plugin, dot, option = name.rpartition(".")
        if dot:
            origin = Origin("command line", section=f"plugin {plugin}", key=name)
            raw = changed.get(plugin) or RawSection("plugin", plugin, origin)
            said = modern_section(replace(raw, values={option: RawValue(text, origin)}), found)
            changed[plugin] = replace(raw, values={**raw.values, **said.values})
    return changed


def plugin_choices(
    sections: Mapping[str, RawSection],
    clusters: Mapping[str, RawSection],
    find_plugin: FindPlugin,
    found: Found,
) -> dict[str, PluginChoice]:
    """Every plugin there is a section of, and every other that a template names."""
    named = dict(sections)
    for raw in clusters.values():
        value = raw.values.get("plugins")
        for name in comma_list(value.text) if value else ():
            named.setdefault(name, RawSection("plugin", name, value.origin if value else raw.origin))
    choices = {
        name: _plugin(raw, tuple(sections), find_plugin, found)
        for name, raw in named.items()
        if name not in found.refused
    }
    return {name: choice for name, choice in choices.items() if choice}


def _plugin(raw: RawSection, known: tuple[str, ...], find_plugin: FindPlugin, found: Found) -> PluginChoice | None:
    values = dict(raw.values)
    setup = values.pop("setup_class", None)
    path = setup.text if setup and setup.text else None
    bundled = path if path and path.isidentifier() else None  # SETUP_CLASS = packages
    try:
        plugin = find_plugin(bundled or raw.name, None if bundled else path)
    except PluginError as exc:
        near = did_you_mean(raw.name, known) if raw.name not in known else ""
        found.problems.append(f"{setup.origin if setup else raw.origin}: {exc.message}{near}; {exc.remedy}")
        return None
    try:
        model = options_model(plugin)
    except Exception as exc:  # noqa: BLE001  somebody else's code: whatever it is, it is that plugin's fault
        found.problems.append(f"{raw.origin}: clusterctl_settings() of {plugin} failed: {type(exc).__name__}: {exc}")
        return None
    if not (isinstance(model, type) and issubclass(model, Section)):
        found.problems.append(f"{raw.origin}: clusterctl_settings() of {plugin} must return a Section class")
        return None
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is not None and is_secret(field) and value.origin.where == "command line":
            home = f"put it into [plugin {raw.name}] of a config file that only you can read"
            found.problems.append(f"{value.origin}: is a secret, and everybody here can read a command line; {home}")
    options = check(model, replace(raw, values=values), found, f"plugin.{raw.name}")
    return PluginChoice(raw.name, plugin, options) if options is not None else None
