"""Turns [plugin NAME] sections, and plugins that templates name, into PluginChoices with checked options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from clusterctl.config.ini import Origin, RawSection, RawValue
from clusterctl.config.relative_paths import complete_class_path
from clusterctl.config.settings import PluginChoice
from clusterctl.config.starcluster_plugins import explain_starcluster_plugin
from clusterctl.config.validation import Diagnostics, check_section, translated_section
from clusterctl.errors import PluginError, raise_if_interrupt
from clusterctl.options import Section, is_secret
from clusterctl.plugin.loader import installed_names, options_model
from clusterctl.text import comma_list, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FindPlugin = Callable[[str, "str | None"], "type[object]"]
"""Takes a section name and SETUP_CLASS or None; returns the plugin class. Raises PluginError if there is none."""


def apply_plugin_overrides(
    sections: Mapping[str, RawSection],
    overrides: Mapping[str, str],
    diagnostics: Diagnostics,
    *,
    remembered: Collection[str] = (),
) -> dict[str, RawSection]:
    """Return the plugin sections with the ``PLUGIN.OPTION`` values of the command line, this one's or remembered."""
    sections_by_name = dict(sections)
    for name, text in overrides.items():
        plugin, dot, option = name.rpartition(".")
        if dot:
            where: Literal["last start", "command line"] = "last start" if name in remembered else "command line"
            origin = Origin(where, section=f"plugin {plugin}", key=name)
            raw = sections_by_name.get(plugin) or RawSection("plugin", plugin, origin)
            override = translated_section(replace(raw, values={option: RawValue(text, origin)}), diagnostics)
            sections_by_name[plugin] = replace(raw, values={**raw.values, **override.values})
    return sections_by_name


def choose_plugins(
    sections: Mapping[str, RawSection],
    clusters: Mapping[str, RawSection],
    find_plugin: FindPlugin,
    diagnostics: Diagnostics,
) -> dict[str, PluginChoice]:
    """Return a choice for every plugin that has a section or that a template names."""
    named = dict(sections)
    for raw in clusters.values():
        value = raw.values.get("plugins")
        for name in comma_list(value.text) if value else ():
            named.setdefault(name, RawSection("plugin", name, value.origin if value else raw.origin))
    choices = {
        name: _load_choice(raw, tuple(sections), find_plugin, diagnostics)
        for name, raw in named.items()
        if name not in diagnostics.refused
    }
    return {name: choice for name, choice in choices.items() if choice}


def _load_choice(
    raw: RawSection, known: tuple[str, ...], find_plugin: FindPlugin, diagnostics: Diagnostics
) -> PluginChoice | None:
    """Return a plugin with its options, or report its problems and return None."""
    setup = raw.values.get("setup_class")
    plugin = _load_class(raw, setup, known, find_plugin, diagnostics)
    model = _load_model(raw, plugin, diagnostics) if plugin else None
    if plugin is None or model is None:
        return None
    values = {key: value for key, value in raw.values.items() if key != "setup_class"}
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is not None and is_secret(field) and value.origin.where == "command line":
            hint = f"put it into [plugin {raw.name}] of a config file that only you can read"
            diagnostics.report(f"{value.origin}: is a secret, and everybody here can read a command line; {hint}")
    options = check_section(model, replace(raw, values=values), diagnostics, f"plugin.{raw.name}")
    return PluginChoice(raw.name, plugin, options) if options is not None else None


def _load_class(
    raw: RawSection,
    setup: RawValue | None,
    known: tuple[str, ...],
    find_plugin: FindPlugin,
    diagnostics: Diagnostics,
) -> type[object] | None:
    """Return the class of a plugin, or report why there is none and return None."""
    path = setup.text if setup and setup.text else None
    bundled = path if path and path.isidentifier() else None  # SETUP_CLASS = packages
    try:
        whole = complete_class_path(path, setup.origin) if setup and path else None
        return find_plugin(bundled or raw.name, None if bundled else whole)
    except PluginError as exc:
        near = did_you_mean(raw.name, {*known, *installed_names()} - {raw.name})
        foreign = explain_starcluster_plugin(path, setup.origin) if setup and path and not bundled else ""
        message = foreign or f"{exc.message}{near}; {exc.remedy}"
    origin = setup.origin if setup else raw.origin
    diagnostics.report(f"{origin}: {message}", raw.id if origin.where == "file" else None)
    return None


def _load_model(raw: RawSection, plugin: type[object], diagnostics: Diagnostics) -> type[Section] | None:
    """Return the model of a plugin's options, or report why there is none and return None."""
    try:
        model: object = options_model(plugin)
    except BaseException as exc:  # noqa: BLE001  foreign code: any exception is a fault of the plugin
        raise_if_interrupt(exc)
        wrong = f"failed: {type(exc).__name__}: {exc}"
    else:
        if isinstance(model, type) and issubclass(model, Section):
            return model
        wrong = "must return a Section class"
    diagnostics.report(f"{raw.origin}: clusterctl_settings() of {plugin} {wrong}", raw.id)
    return None
