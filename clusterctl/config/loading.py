"""Turns INI text and section models into Settings. Reports every problem at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config import ini
from clusterctl.config.cluster_section import IMPLY_EC2, ClusterSection
from clusterctl.config.ini import IniText, RawSection, RawValue
from clusterctl.config.plugin_sections import apply_plugin_overrides, choose_plugins
from clusterctl.config.provider_options import check_provider_options, options_without_effect, provider_name
from clusterctl.config.settings import (
    AwsSection,
    GlobalSection,
    HostSection,
    KeySection,
    Origin,
    PermissionSection,
    Settings,
    VolumeSection,
)
from clusterctl.config.validation import Diagnostics, check_section, check_sections, translated_section
from clusterctl.errors import ConfigError
from clusterctl.options import did_you_mean, is_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from clusterctl.config.plugin_sections import FindPlugin
    from clusterctl.options import Section

BUILT_IN_TEMPLATES = ("local", "docker")
"""The templates that exist without a config file; the first is the default."""

RESERVED_VARIABLES = frozenset({"HOME", "CONFIG", "NODE", "DEBUG", "CACHE", "TEST_CACHE"})
"""Names after CLUSTERCTL_ of environment variables that are not options."""

_FILE_ONLY = frozenset({"include", "extends"})
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_AWS_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    **{key: (key.upper(),) for key in _AWS_KEYS},
    "aws_profile": ("AWS_PROFILE",),
    "aws_region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
_DEFAULT = Origin("default")
_PREFIX = "CLUSTERCTL_"


def read_config(
    path: Path | None,
    *,
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    remembered: Collection[str] = (),
    environ: Mapping[str, str],
    find_plugin: FindPlugin,
) -> Settings:
    """Read the config file and choose a cluster template from it.

    Precedence, highest first: command line, environment, the section, the sections it extends, defaults.

    Args:
        path: the config file; None for the built-in template.
        template: the name of the cluster section; None for the default of the file.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        remembered: which of the overrides, and of ``template``, the cluster's last start gave: nobody typed them now.
        environ: the environment.
        find_plugin: returns the class of a plugin.

    Raises:
        ConfigError: the config has problems; the error lists all of them.
    """
    diagnostics = Diagnostics()
    sections = _read_sections(path, diagnostics)
    home = Origin("file", str(path)) if path else _DEFAULT
    global_section = ini.merge_sections(sections, "global", replace(home, section="global"))
    global_raw = _apply_overrides(global_section, environ, {}, diagnostics, model=GlobalSection)
    global_ = check_section(GlobalSection, global_raw, diagnostics, "global")
    aws = _check_aws(sections, home, environ, diagnostics)
    keys = check_sections(KeySection, ini.sections_by_name(sections, "key"), diagnostics)
    hosts = check_sections(HostSection, ini.sections_by_name(sections, "host"), diagnostics)
    volumes = check_sections(VolumeSection, ini.sections_by_name(sections, "volume"), diagnostics)
    permissions = check_sections(PermissionSection, ini.sections_by_name(sections, "permission"), diagnostics)

    clusters = _collect_templates(sections, template, diagnostics)
    wanted = RawValue(template, _origin_of_choice("template", remembered)) if template else None
    template_name = _choose_template(home, wanted, clusters, global_raw, diagnostics)
    all_overrides = overrides or {}
    if template_name:
        cluster_overrides = {key: text for key, text in all_overrides.items() if "." not in key}
        clusters[template_name] = _apply_overrides(
            clusters[template_name], environ, cluster_overrides, diagnostics, remembered=remembered
        )
    _report_unknown_variables(environ, diagnostics)
    checked = {
        name: check_section(ClusterSection, raw, diagnostics, "cluster" if name == template_name else None)
        for name, raw in clusters.items()
    }
    plugin_sections = apply_plugin_overrides(
        ini.sections_by_name(sections, "plugin"), all_overrides, diagnostics, remembered=remembered
    )
    plugins = choose_plugins(plugin_sections, clusters, find_plugin, diagnostics)
    for raw in clusters.values():
        diagnostics.problems.extend(ini.check_references(raw, sections))
    cluster = checked.get(template_name)
    if cluster:
        _check_chosen(cluster, clusters[template_name], keys, diagnostics)
    if diagnostics.problems or cluster is None or global_ is None or aws is None:
        raise _config_error(path, diagnostics)
    return Settings(
        path=path,
        template=template_name,
        templates=tuple(clusters),
        cluster=cluster,
        global_=global_,
        aws=aws,
        keys=keys,
        hosts=hosts,
        volumes=volumes,
        permissions=permissions,
        plugins=tuple(plugins[name] for name in cluster.plugins),
        all_plugins=plugins,
        origins=diagnostics.origins,
        notes=tuple(dict.fromkeys(diagnostics.notes)),
    )


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
    aws = _check_aws(sections, Origin("file", str(path or "")), environ, diagnostics)
    if diagnostics.problems or aws is None:
        raise _config_error(path, diagnostics)
    return aws


def mentions_ec2(path: Path) -> bool:
    """Return whether a config file, valid or not, mentions EC2: in an [aws] section or in a template."""
    for section in ini.read_ini(path).sections:
        values = section.values
        elsewhere = "provider" in values and values["provider"].text != "ec2"
        if section.kind == "aws" or (
            section.kind == "cluster" and not elsewhere and {"provider", *IMPLY_EC2} & {*values}
        ):
            return True
    return False


def _config_error(path: Path | None, diagnostics: Diagnostics) -> ConfigError:
    problems = tuple(dict.fromkeys(" ".join(problem.split()) for problem in diagnostics.problems))
    remedy = f"correct it, then check it with: clusterctl config check {path}"
    if all(problem.startswith("command line") for problem in problems):
        remedy = "correct the command line; `clusterctl start --help` explains every option"
    elif all(problem.startswith("last start") for problem in problems):
        remedy = "the cluster was started with these: name the config file that has them, with `clusterctl -c FILE ...`"
    elif path is None:
        remedy = "write a config file with: clusterctl config init"
    elif len(problems) == 1 and problems[0] == f"{path}: {ini.NO_SUCH_FILE}":
        remedy = f"write one with: clusterctl config init --path {path}"
    return ConfigError(problems, remedy=remedy)


def _read_sections(path: Path | None, diagnostics: Diagnostics) -> list[RawSection]:
    """Return all sections, with StarCluster's options translated to today's."""
    text = ini.read_ini(path) if path else IniText((_built_in_section(BUILT_IN_TEMPLATES[0]),))
    diagnostics.problems.extend(text.problems)
    if diagnostics.problems and not text.sections:
        raise _config_error(path, diagnostics)
    return [translated_section(section, diagnostics) for section in text.sections]


def _collect_templates(
    sections: list[RawSection], wanted: str | None, diagnostics: Diagnostics
) -> dict[str, RawSection]:
    """Return the cluster sections with inherited values, by name."""
    own = dict(ini.sections_by_name(sections, "cluster"))
    if wanted is not None and wanted in BUILT_IN_TEMPLATES:
        # The built-in templates can always be asked for by name; a section of that name in the file has priority.
        own.setdefault(wanted, _built_in_section(wanted))
    diagnostics.problems.extend(ini.check_extends(own))
    return {name: ini.resolve_extends(name, own) for name in own}


def _built_in_section(name: str) -> RawSection:
    origin = replace(_DEFAULT, section=f"cluster {name}")
    texts = {"provider": name, "plugins": "ipcluster"}
    return RawSection("cluster", name, origin, values=ini.raw_values(texts, origin))


def _apply_overrides(
    raw: RawSection,
    environ: Mapping[str, str],
    overrides: Mapping[str, str],
    diagnostics: Diagnostics,
    *,
    model: type[Section] = ClusterSection,
    remembered: Collection[str] = (),
) -> RawSection:
    """Return the section with the values that the environment and the command line override."""
    names = {key: (f"{_PREFIX}{key.upper()}",) for key in model.model_fields if key not in _FILE_ONLY}
    given = {key: RawValue(text, _origin_of_choice(key, remembered)) for key, text in overrides.items()}
    values = ini.values_from_environment(names, environ) | given
    changes = translated_section(replace(raw, values=values), diagnostics)
    return replace(raw, values={**raw.values, **changes.values})


def _origin_of_choice(key: str, remembered: Collection[str]) -> Origin:
    """Return the origin of a template or option that this command line gave, or that of the cluster's last start."""
    name = "--cluster-template" if key == "template" else key.upper()
    return Origin("last start" if key in remembered else "command line", key=name)


def _report_unknown_variables(environ: Mapping[str, str], diagnostics: Diagnostics) -> None:
    options = (ClusterSection.model_fields.keys() | GlobalSection.model_fields.keys()) - _FILE_ONLY
    known = sorted(_PREFIX + name.upper() for name in {*options, *RESERVED_VARIABLES})
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = did_you_mean(name, known)
            diagnostics.problems.append(f"{Origin('environment', key=name)}: unknown option{near}; unset it")


def _check_aws(
    sections: list[RawSection], home: Origin, environ: Mapping[str, str], diagnostics: Diagnostics
) -> AwsSection | None:
    raw = ini.merge_sections(sections, "aws", replace(home, section="aws"))
    values = ini.values_from_environment(_AWS_ENVIRONMENT, environ)
    # A key id belongs to its secret and token. AWS would refuse a mixture from two sources.
    outdated = _AWS_KEYS if "aws_access_key_id" in values else ()
    kept = {key: value for key, value in raw.values.items() if key not in outdated}
    return check_section(AwsSection, replace(raw, values={**kept, **values}), diagnostics, "aws")


def _choose_template(
    home: Origin,
    template: RawValue | None,
    clusters: Mapping[str, RawSection],
    global_: RawSection,
    diagnostics: Diagnostics,
) -> str:
    """Return the name of the template to use. If there is none, report it and return an empty text."""
    default = global_.values.get("default_template")
    wanted = [template] if template else []
    wanted += [default] if default and default.text else []
    for value in wanted:
        if value.text not in clusters:
            diagnostics.problems.append(
                f"{value.origin}: {ini.missing_section_message('cluster', value.text, clusters)}"
            )
    if wanted:
        return wanted[0].text if wanted[0].text in clusters else ""
    if len(clusters) == 1:
        return next(iter(clusters))
    if clusters:
        which = f"is needed, as there are several templates: {', '.join(clusters)}"
        diagnostics.problems.append(f"{replace(home, section='global', key='DEFAULT_TEMPLATE')}: {which}")
    else:
        diagnostics.problems.append(f"{home.file}: there is no [cluster NAME] section")
    return ""


def _check_chosen(
    cluster: ClusterSection, raw: RawSection, keys: Mapping[str, KeySection], diagnostics: Diagnostics
) -> None:
    """Check the options whose meaning depends on the provider."""
    provider = provider_name(cluster)
    for key, message in check_provider_options(cluster):
        diagnostics.problems.append(f"{ini.origin_of(raw, key)}: {message}")
    unused = options_without_effect(cluster, raw.values)
    if unused:
        options = ", ".join(key.upper() for key in unused)
        diagnostics.notes.append(
            f"{options}: no effect on nodes of the provider {provider}, which are no machines of their own"
        )
    key_section = keys.get(cluster.keyname or "")
    if key_section is None or is_file(key_section.key_location):
        return
    origin = diagnostics.origins[f"key.{cluster.keyname}.key_location"]
    missing = f"{origin}: there is no file {key_section.key_location}"
    if provider in {"ec2", "static"}:
        diagnostics.problems.append(f"{missing}; put the private key there, or name the file it is in")
    else:
        diagnostics.notes.append(f"{missing}; the provider {provider} does not need it")
