"""Turns INI text and section models into Settings. Reports every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.config import ini
from clusterctl.config.draft import (
    BUILT_IN_TEMPLATES,
    NEEDED_DEFAULT,
    PREFIX,
    CommandInput,
    built_in_section,
    check_aws,
    check_sizes,
    make_draft,
)
from clusterctl.config.ini import IniText, Origin, RawSection
from clusterctl.config.provider_options import check_provider_options, options_without_effect
from clusterctl.config.references import Reach
from clusterctl.config.relative_paths import complete_class_path, path_text
from clusterctl.config.remembered import copy_config, parse_copy
from clusterctl.config.settings import AwsSection, GlobalSection, Settings
from clusterctl.config.validation import Diagnostics, translated_section
from clusterctl.errors import ConfigError
from clusterctl.options import is_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from clusterctl.config.cluster_section import ClusterSection
    from clusterctl.config.draft import Draft
    from clusterctl.config.plugin_sections import FindPlugin
    from clusterctl.config.settings import HostSection

_AWS_REACH = Reach(frozenset({("aws", ""), ("global", "")}), frozenset())
"""What commands about an account use of a config."""
_SIZES_REACH = Reach(frozenset({("sizes", "")}), frozenset())
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class CheckedConfig:
    """A config without a problem in any of its sections."""

    templates: tuple[str, ...]
    template: str
    """The template that was named, or the default; empty if `start` needs a name."""
    notes: tuple[str, ...]


def read_config(
    path: Path | None,
    *,
    template: str | None = None,
    template_origin: Origin | None = None,
    plugin: str | None = None,
    overrides: Mapping[str, str] | None = None,
    remembered: Collection[str] = (),
    environ: Mapping[str, str],
    find_plugin: FindPlugin,
) -> Settings:
    """Read the config file and choose a cluster template from it. Sections that the template does not use may be wrong.

    Precedence, highest first: command line, environment, the section, the sections it extends, defaults.

    Args:
        path: the config file; None for the built-in template.
        template: the name of the cluster section; None for the default of the file.
        template_origin: where the template was named; None for the command line.
        plugin: one more plugin that will be used.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        remembered: which of the overrides the cluster's last start gave: nobody typed them now.
        environ: the environment.
        find_plugin: returns the class of a plugin.

    Raises:
        ConfigError: what the template uses has problems; the error lists all of them.
    """
    diagnostics = Diagnostics()
    sections = _read_sections(path, diagnostics)
    given = CommandInput(environ, find_plugin, template, template_origin, overrides, remembered)
    draft = make_draft(_home(path), sections, given, diagnostics)
    _check_providers(draft, diagnostics)
    _note_idle_options(draft, diagnostics)
    reach = draft.find_reach(plugin)
    problems = diagnostics.problems_for(reach)
    if problems or draft.cluster is None:
        raise _config_error(path, problems)
    unused = f"; the template {draft.template} does not use it"
    warnings = [f"{text}{unused}" for text in diagnostics.problems_for(None)]
    return _make_settings(path, draft, draft.cluster, diagnostics, warnings)


def check_config(
    path: Path | None, *, template: str | None = None, environ: Mapping[str, str], find_plugin: FindPlugin
) -> CheckedConfig:
    """Check every section of the config file, whether a template uses it or not.

    Args:
        path: the config file; None for the built-in template.
        template: a template that must be there.
        environ: the environment.
        find_plugin: returns the class of a plugin.

    Raises:
        ConfigError: the config has problems; the error lists all of them.
    """
    diagnostics = Diagnostics()
    sections = _read_sections(path, diagnostics)
    draft = make_draft(_home(path), sections, CommandInput(environ, find_plugin, template), diagnostics)
    _check_providers(draft, diagnostics)
    _note_idle_options(draft, diagnostics)
    problems = diagnostics.problems_for(None, without=NEEDED_DEFAULT)
    if problems:
        raise _config_error(path, problems)
    return CheckedConfig(tuple(draft.clusters), draft.template, tuple(dict.fromkeys(diagnostics.notes)))


def read_copy(document: object, file: Path, *, environ: Mapping[str, str], find_plugin: FindPlugin) -> Settings | None:
    """Return the settings of a copy that was made from `Settings.copy`; None if it is missing or damaged.

    What is wrong with it by now, such as a plugin that is gone, is a warning. Environment variables for options and the
    region were in effect when it was made, and have no effect now.

    Args:
        document: the JSON document of the copy.
        file: the file that it was read from.
        environ: the environment.
        find_plugin: returns the class of a plugin.
    """
    accounts = {name: text for name, text in environ.items() if not name.startswith((PREFIX, *_REGION))}
    return _read_leniently(file, parse_copy(document, file), CommandInput(accounts, find_plugin))


def read_leniently(
    path: Path | None,
    *,
    template: str | None,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    find_plugin: FindPlugin,
) -> Settings | None:
    """Return what can be used of a config; None if it lacks the template. The arguments are those of `read_config`.

    An option that is wrong has its default, and is a warning.
    """
    given = CommandInput(environ, find_plugin, template, overrides=overrides)
    return _read_leniently(path, _read_text(path).sections, given)


def complete_overrides(settings: Settings, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return options of the command line as they can be given again elsewhere: with whole paths."""
    texts = dict(overrides)
    for name, text in overrides.items():
        plugin, _, option = name.rpartition(".")
        choice = settings.all_plugins.get(plugin)
        section = choice.options if choice else settings.cluster
        if option == "setup_class":
            texts[name] = complete_class_path(text, Origin("command line"))
        else:
            texts[name] = path_text(section, option) or text
    return texts


def load_aws(path: Path | None, *, environ: Mapping[str, str]) -> AwsSection:
    """Return the [aws] section alone, for commands about an account: no template is chosen or checked.

    Args:
        path: the config file; None to use the environment only.
        environ: the environment.

    Raises:
        ConfigError: the file cannot be read, or the section is wrong.
    """
    diagnostics = Diagnostics()
    text = ini.read_ini(path) if path else IniText(())
    diagnostics.problems.extend(text.problems)
    sections = [translated_section(section, diagnostics) for section in text.sections if section.kind == "aws"]
    aws = check_aws(Origin("file", str(path or "")), sections, environ, diagnostics)
    problems = diagnostics.problems_for(_AWS_REACH)
    if problems or aws is None:
        raise _config_error(path, problems)
    return aws


def load_sizes(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the [sizes] of a config file alone: instance types by names in lower case.

    Raises:
        ConfigError: the file cannot be read, or the section is wrong.
    """
    diagnostics = Diagnostics()
    text = ini.read_ini(path)
    diagnostics.problems.extend(text.problems)
    sizes = check_sizes(_home(path), text.sections, diagnostics)
    problems = diagnostics.problems_for(_SIZES_REACH)
    if problems:
        raise _config_error(path, problems)
    return sizes


def read_hosts(
    path: Path, *, environ: Mapping[str, str], find_plugin: FindPlugin
) -> tuple[Mapping[str, HostSection], tuple[str, ...]]:
    """Return the [host NAME] sections of a config file, valid or not, and the HOSTS of all its templates."""
    diagnostics = Diagnostics(drop_faults=True)
    sections = [translated_section(section, diagnostics) for section in _read_text(path).sections]
    draft = make_draft(_home(path), sections, CommandInput(environ, find_plugin), diagnostics)
    return draft.hosts, tuple(dict.fromkeys(name for cluster in draft.checked.values() for name in cluster.hosts))


def _config_error(path: Path | None, problems: Sequence[str]) -> ConfigError:
    remedy = f"correct it, then check it with: clusterctl config check {path}"
    if all(problem.startswith("command line") for problem in problems):
        remedy = "correct the command line; `clusterctl start --help` explains every option"
    elif all(problem.startswith("last start") for problem in problems):
        remedy = "name the config file of that start with `clusterctl -c FILE ...`, or put back what it had"
    elif path is None:
        remedy = "write a config file with: clusterctl config init"
    elif len(problems) == 1 and problems[0] == f"{path}: {ini.NO_SUCH_FILE}":
        remedy = f"write one with: clusterctl config init --path {path}"
    return ConfigError(tuple(problems), remedy=remedy)


def _home(path: Path | None) -> Origin:
    return Origin("file", str(path)) if path else Origin("default")


def _read_text(path: Path | None) -> IniText:
    return ini.read_ini(path) if path else IniText((built_in_section(BUILT_IN_TEMPLATES[0]),))


def _read_sections(path: Path | None, diagnostics: Diagnostics) -> list[RawSection]:
    """Return all sections, with StarCluster's options translated to today's."""
    text = _read_text(path)
    diagnostics.problems.extend(text.problems)
    if diagnostics.problems and not text.sections:
        raise _config_error(path, diagnostics.problems_for(None))
    return [translated_section(section, diagnostics) for section in text.sections]


def _read_leniently(path: Path | None, sections: Sequence[RawSection], given: CommandInput) -> Settings | None:
    diagnostics = Diagnostics(drop_faults=True)
    modern = [translated_section(section, diagnostics) for section in sections]
    draft = make_draft(_home(path), modern, given, diagnostics)
    if draft.cluster is None:
        return None
    return _make_settings(path, draft, draft.cluster, diagnostics, diagnostics.problems_for(None))


def _check_providers(draft: Draft, diagnostics: Diagnostics) -> None:
    """Check the options whose meaning depends on the provider, in each template that is meant to be complete."""
    extended = {raw.values["extends"].text for raw in draft.clusters.values() if "extends" in raw.values}
    for name, cluster in draft.checked.items():
        if name == draft.template or name not in extended:
            for key, message in check_provider_options(cluster):
                diagnostics.problems.append(ini.problem_of_value(draft.clusters[name], key, message))


def _note_idle_options(draft: Draft, diagnostics: Diagnostics) -> None:
    """Note the options of the chosen template that have no effect."""
    cluster = draft.cluster
    if cluster is None:
        return
    if "plugins" not in draft.clusters[draft.template].values:
        diagnostics.notes.append(f"[cluster {draft.template}] has no PLUGINS, so no engines: ipcluster sets them up")
    provider = cluster.provider_name
    unused = options_without_effect(cluster, draft.clusters[draft.template].values)
    if unused:
        options = ", ".join(key.upper() for key in unused)
        diagnostics.notes.append(
            f"{options}: no effect on nodes of the provider {provider}, which are no machines of their own"
        )
    key = draft.keys.get(cluster.keyname or "")
    if key and key.key_location and not is_file(key.key_location):
        origin = diagnostics.origins[f"key.{cluster.keyname}.key_location"]
        unneeded = "clusterctl does not need it, it logs in with a key of its own"
        diagnostics.notes.append(f"{origin}: there is no file {key.key_location}; {unneeded}")


def _make_settings(
    path: Path | None, draft: Draft, cluster: ClusterSection, diagnostics: Diagnostics, warnings: Sequence[str]
) -> Settings:
    return Settings(
        path=path,
        template=draft.template,
        templates=tuple(draft.clusters),
        cluster=cluster,
        global_=draft.global_ or GlobalSection(),
        aws=draft.aws or AwsSection(),  # wrong only where it is not used
        keys=draft.keys,
        hosts=draft.hosts,
        volumes=draft.volumes,
        permissions=draft.permissions,
        plugins=tuple(draft.plugins[name] for name in cluster.plugins if name in draft.plugins),
        all_plugins=draft.plugins,
        origins=diagnostics.origins,
        notes=tuple(dict.fromkeys(diagnostics.notes)),
        warnings=tuple(warnings),
        copy=copy_config(path, draft, cluster),
    )
