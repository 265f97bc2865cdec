"""INI text and section models -> Settings. Reports every problem at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config import ini
from clusterctl.config.cluster_section import MEAN_EC2, ClusterSection
from clusterctl.config.ini import IniText, RawSection, RawValue
from clusterctl.config.plugin_sections import overridden, plugin_choices
from clusterctl.config.provider_options import provider_name, unfit_for_provider, without_effect
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
from clusterctl.config.validation import Found, check, check_all, modern_section
from clusterctl.errors import ConfigError
from clusterctl.options import did_you_mean, is_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clusterctl.config.plugin_sections import FindPlugin
    from clusterctl.options import Section

BUILT_IN = ("local", "docker")
"""The templates there are without a config file; the first is taken where none is named."""

RESERVED = frozenset({"HOME", "CONFIG", "NODE", "DEBUG", "CACHE", "TEST_CACHE"})
"""CLUSTERCTL_... variables that are not options."""

_FILE_ONLY = frozenset({"include", "extends"})
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_AWS_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    **{key: (key.upper(),) for key in _AWS_KEYS},
    "aws_profile": ("AWS_PROFILE",),
    "aws_region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
_DEFAULT = Origin("default")
_PREFIX = "CLUSTERCTL_"


def load(
    path: Path | None,
    *,
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    find_plugin: FindPlugin,
) -> Settings:
    """Read the config file and choose a cluster template from it.

    A value of the command line beats the environment, which beats the section, which beats those it extends,
    which beat the defaults.

    Args:
        path: the file; None for the template that is built in.
        template: the cluster section; None for the file's own choice.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        environ: the environment.
        find_plugin: where plugin classes come from.

    Raises:
        ConfigError: with every problem there is.
    """
    found = Found()
    sections = _sections(path, found)
    home = Origin("file", str(path)) if path else _DEFAULT
    said = ini.merged(sections, "global", replace(home, section="global"))
    global_raw = _changed(said, environ, {}, found, model=GlobalSection)
    global_ = check(GlobalSection, global_raw, found, "global")
    aws = _aws(sections, home, environ, found)
    keys = check_all(KeySection, ini.named(sections, "key"), found)
    hosts = check_all(HostSection, ini.named(sections, "host"), found)
    volumes = check_all(VolumeSection, ini.named(sections, "volume"), found)
    permissions = check_all(PermissionSection, ini.named(sections, "permission"), found)

    clusters = _templates(sections, template, found)
    chosen = _choose(home, template, clusters, global_raw, found)
    changes = overrides or {}
    if chosen:
        own = {key: text for key, text in changes.items() if "." not in key}
        clusters[chosen] = _changed(clusters[chosen], environ, own, found)
    _unknown_variables(environ, found)
    checked = {
        name: check(ClusterSection, raw, found, "cluster" if name == chosen else None) for name, raw in clusters.items()
    }
    asked = overridden(ini.named(sections, "plugin"), changes, found)
    plugins = plugin_choices(asked, clusters, find_plugin, found)
    for raw in clusters.values():
        found.problems.extend(ini.dangling(raw, sections))
    cluster = checked.get(chosen)
    if cluster:
        _check_chosen(cluster, clusters[chosen], keys, found)
    if found.problems or cluster is None or global_ is None or aws is None:
        raise _error(path, found)
    return Settings(
        path=path,
        template=chosen,
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
        origins=found.origins,
        notes=tuple(dict.fromkeys(found.notes)),
    )


def load_aws(path: Path | None, *, environ: Mapping[str, str]) -> AwsSection:
    """The [aws] section alone, for what concerns an account and no cluster: no template need be chosen or right.

    Args:
        path: the file; None for what the environment says.
        environ: the environment.

    Raises:
        ConfigError: the file cannot be read, or the section is wrong.
    """
    found = Found()
    text = ini.read(path) if path else IniText(())
    found.problems.extend(text.problems)
    sections = [modern_section(section, found) for section in text.sections if section.kind == "aws"]
    aws = _aws(sections, Origin("file", str(path or "")), environ, found)
    if found.problems or aws is None:
        raise _error(path, found)
    return aws


def mentions_ec2(path: Path) -> bool:
    """Whether a config file, right or wrong, has to do with EC2: by its [aws] section or by a template."""
    for section in ini.read(path).sections:
        values = section.values
        elsewhere = "provider" in values and values["provider"].text != "ec2"
        if section.kind == "aws" or (
            section.kind == "cluster" and not elsewhere and {"provider", *MEAN_EC2} & {*values}
        ):
            return True
    return False


def _error(path: Path | None, found: Found) -> ConfigError:
    problems = tuple(dict.fromkeys(" ".join(problem.split()) for problem in found.problems))
    remedy = f"correct it, then check it with: clusterctl config check {path}"
    if all(problem.startswith("command line") for problem in problems):
        remedy = "correct the command line; `clusterctl start --help` explains every option"
    elif path is None:
        remedy = "write a config file with: clusterctl config init"
    elif len(problems) == 1 and problems[0] == f"{path}: {ini.MISSING}":
        remedy = f"write one with: clusterctl config init --path {path}"
    return ConfigError(problems, remedy=remedy)


def _sections(path: Path | None, found: Found) -> list[RawSection]:
    """All sections, in today's words."""
    text = ini.read(path) if path else IniText((_built_in(BUILT_IN[0]),))
    found.problems.extend(text.problems)
    if found.problems and not text.sections:
        raise _error(path, found)
    return [modern_section(section, found) for section in text.sections]


def _templates(sections: list[RawSection], wanted: str | None, found: Found) -> dict[str, RawSection]:
    """The cluster sections with what they inherit, by name."""
    own = dict(ini.named(sections, "cluster"))
    if wanted is not None and wanted in BUILT_IN:
        # Whatever the file has, these two can be asked for by name; a section of that name goes before.
        own.setdefault(wanted, _built_in(wanted))
    found.problems.extend(ini.wrong_parents(own))
    return {name: ini.extended(name, own) for name in own}


def _built_in(name: str) -> RawSection:
    origin = replace(_DEFAULT, section=f"cluster {name}")
    texts = {"provider": name, "plugins": "ipcluster"}
    return RawSection("cluster", name, origin, values=ini.written(texts, origin))


def _changed(
    raw: RawSection,
    environ: Mapping[str, str],
    overrides: Mapping[str, str],
    found: Found,
    *,
    model: type[Section] = ClusterSection,
) -> RawSection:
    """The section with what the environment and the command line say instead."""
    names = {key: (f"{_PREFIX}{key.upper()}",) for key in model.model_fields if key not in _FILE_ONLY}
    values = ini.in_environment(names, environ) | ini.written(overrides, Origin("command line"))
    changes = modern_section(replace(raw, values=values), found)
    return replace(raw, values={**raw.values, **changes.values})


def _unknown_variables(environ: Mapping[str, str], found: Found) -> None:
    options = (ClusterSection.model_fields.keys() | GlobalSection.model_fields.keys()) - _FILE_ONLY
    known = sorted(_PREFIX + name.upper() for name in {*options, *RESERVED})
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = did_you_mean(name, known)
            found.problems.append(f"{Origin('environment', key=name)}: unknown option{near}; unset it")


def _aws(sections: list[RawSection], home: Origin, environ: Mapping[str, str], found: Found) -> AwsSection | None:
    raw = ini.merged(sections, "aws", replace(home, section="aws"))
    values = ini.in_environment(_AWS_ENVIRONMENT, environ)
    # A key id belongs to its secret and token: one from here and one from there would only be refused by AWS.
    outdated = _AWS_KEYS if "aws_access_key_id" in values else ()
    kept = {key: value for key, value in raw.values.items() if key not in outdated}
    return check(AwsSection, replace(raw, values={**kept, **values}), found, "aws")


def _choose(
    home: Origin, template: str | None, clusters: Mapping[str, RawSection], global_: RawSection, found: Found
) -> str:
    """The name of the template to use; empty, and reported, where there is none."""
    default = global_.values.get("default_template")
    wanted = [RawValue(template, Origin("command line", key="--cluster-template"))] if template else []
    wanted += [default] if default and default.text else []
    for value in wanted:
        if value.text not in clusters:
            found.problems.append(f"{value.origin}: {ini.no_section('cluster', value.text, clusters)}")
    if wanted:
        return wanted[0].text if wanted[0].text in clusters else ""
    if len(clusters) == 1:
        return next(iter(clusters))
    if clusters:
        which = f"is needed, as there are several templates: {', '.join(clusters)}"
        found.problems.append(f"{replace(home, section='global', key='DEFAULT_TEMPLATE')}: {which}")
    else:
        found.problems.append(f"{home.file}: there is no [cluster NAME] section")
    return ""


def _check_chosen(cluster: ClusterSection, raw: RawSection, keys: Mapping[str, KeySection], found: Found) -> None:
    """What depends on where the cluster runs."""
    provider = provider_name(cluster)
    for key, message in unfit_for_provider(cluster):
        found.problems.append(f"{ini.place(raw, key)}: {message}")
    idle = without_effect(cluster, raw.values)
    if idle:
        options = ", ".join(key.upper() for key in idle)
        found.notes.append(
            f"{options}: no effect on nodes of the provider {provider}, which are no machines of their own"
        )
    used = keys.get(cluster.keyname or "")
    if used is None or is_file(used.key_location):
        return
    origin = found.origins[f"key.{cluster.keyname}.key_location"]
    missing = f"{origin}: there is no file {used.key_location}"
    if provider in {"ec2", "static"}:
        found.problems.append(f"{missing}; put the private key there, or name the file it is in")
    else:
        found.notes.append(f"{missing}; the provider {provider} does not need it")
