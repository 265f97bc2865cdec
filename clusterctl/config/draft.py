"""Reads and checks all sections of a config, and finds out which of them a template uses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from clusterctl.config import ini
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.config.ini import Origin, RawSection, RawValue
from clusterctl.config.plugin_sections import FindPlugin, apply_plugin_overrides, choose_plugins
from clusterctl.config.references import (
    Reach,
    check_extends,
    check_references,
    find_reach,
    missing_section_message,
    resolve_extends,
)
from clusterctl.config.settings import (
    AwsSection,
    GlobalSection,
    HostSection,
    KeySection,
    PermissionSection,
    VolumeSection,
)
from clusterctl.config.unknown_options import find_place
from clusterctl.config.validation import Diagnostics, check_section, check_sections, translated_section
from clusterctl.plugin.loader import find_every_cluster_plugins
from clusterctl.text import comma_list, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from clusterctl.config.ini import SectionId
    from clusterctl.config.settings import PluginChoice
    from clusterctl.options import Section

S = TypeVar("S", bound="Section")
BUILT_IN_TEMPLATES = ("local", "docker")
"""The templates that exist without a config file; the first is the default."""
NEEDED_DEFAULT = ("global", "no DEFAULT_TEMPLATE")
"""The place of a default template that is needed only where none is named."""
_UNUSED_DEFAULT = ("global", "DEFAULT_TEMPLATE")
"""The place of a default template that is missing: no error beside a template that is named."""
RESERVED_VARIABLES = frozenset({"HOME", "CONFIG", "NODE", "DEBUG", "CACHE", "TEST_CACHE"})
"""Names after CLUSTERCTL_ of environment variables that are not options."""
PREFIX = "CLUSTERCTL_"
"""The beginning of the environment variables that are options."""

_NAMED = ("key", "host", "volume", "permission")
_FILE_ONLY = frozenset({"include", "extends"})
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_AWS_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    **{key: (key.upper(),) for key in _AWS_KEYS},
    "aws_profile": ("AWS_PROFILE",),
    "aws_region_name": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
_SIZE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")


@dataclass(frozen=True)
class CommandInput:
    """What a command gives beside the config file."""

    environ: Mapping[str, str]
    find_plugin: FindPlugin
    template: str | None = None
    template_origin: Origin | None = None
    """Where the template was named; None for the command line."""
    overrides: Mapping[str, str] | None = None
    remembered: Collection[str] = ()
    """Which of the overrides the cluster's last start gave, and not this command line."""

    def origin_of(self, override: str) -> Origin:
        """Return the origin of an override of the template."""
        return Origin("last start" if override in self.remembered else "command line", key=override.upper())


@dataclass(frozen=True)
class Draft:
    """A config that was read, with the models of all sections that are valid."""

    template: str
    """The chosen template; empty if none could be chosen."""
    clusters: Mapping[str, RawSection]
    """The templates with inherited and overriding values."""
    others: Sequence[RawSection]
    """The sections with an effect that are no templates."""
    checked: Mapping[str, ClusterSection]
    global_: GlobalSection | None
    aws: AwsSection | None
    keys: Mapping[str, KeySection]
    hosts: Mapping[str, HostSection]
    volumes: Mapping[str, VolumeSection]
    permissions: Mapping[str, PermissionSection]
    plugins: Mapping[str, PluginChoice]

    @property
    def cluster(self) -> ClusterSection | None:
        """The chosen template, if there is one and it is valid."""
        return self.checked.get(self.template)

    def find_reach(self, plugin: str | None = None) -> Reach | None:
        """Return what the chosen template uses; None for everything, where no template could be chosen.

        Args:
            plugin: one more plugin that will be used.
        """
        if not self.template:
            return None
        always: list[SectionId] = [("global", ""), *(("plugin", name) for name in find_every_cluster_plugins().classes)]
        if plugin:
            always.append(("plugin", plugin))
        if self.cluster is None or self.cluster.provider_name == "ec2":
            always.append(("aws", ""))
        return find_reach(self.clusters[self.template], self.clusters, always)


def built_in_section(name: str) -> RawSection:
    """Return a template that exists without a config file."""
    origin = Origin("default", section=f"cluster {name}")
    texts = {"provider": name, "plugins": "ipcluster"}
    return RawSection("cluster", name, origin, values=ini.raw_values(texts, origin))


def make_draft(home: Origin, sections: Sequence[RawSection], given: CommandInput, diagnostics: Diagnostics) -> Draft:
    """Check all sections and choose a template. Problems are added to `diagnostics`."""
    global_raw, global_ = _check_global(home, sections, given.environ, diagnostics)
    clusters = _collect_templates(sections, given.template, diagnostics)
    named = RawValue(given.template or "", given.template_origin or Origin("command line", key="--cluster-template"))
    template = _choose_template(home, named, clusters, global_raw, diagnostics)
    overrides = given.overrides or {}
    if template:
        of_cluster = {key: RawValue(text, given.origin_of(key)) for key, text in overrides.items() if "." not in key}
        clusters[template] = _apply_overrides(clusters[template], given.environ, of_cluster, diagnostics)
    _report_unknown_variables(given.environ, diagnostics)
    plugin_sections = apply_plugin_overrides(
        ini.sections_by_name(sections, "plugin"), overrides, diagnostics, remembered=given.remembered
    )
    for raw in clusters.values():
        diagnostics.problems.extend(check_references(raw, sections))

    check_sizes(home, sections, diagnostics)

    def check_kind(kind: str, model: type[S]) -> dict[str, S]:
        return check_sections(model, ini.sections_by_name(sections, kind), diagnostics)

    return Draft(
        template=template,
        clusters=clusters,
        others=[*(section for section in sections if section.kind in _NAMED), *plugin_sections.values()],
        checked=_check_clusters(clusters, template, diagnostics),
        global_=global_,
        aws=check_aws(home, sections, given.environ, diagnostics),
        keys=check_kind("key", KeySection),
        hosts=check_kind("host", HostSection),
        volumes=check_kind("volume", VolumeSection),
        permissions=check_kind("permission", PermissionSection),
        plugins=choose_plugins(plugin_sections, clusters, given.find_plugin, diagnostics),
    )


def _check_global(
    home: Origin, sections: Sequence[RawSection], environ: Mapping[str, str], diagnostics: Diagnostics
) -> tuple[RawSection, GlobalSection | None]:
    merged = ini.merge_sections(sections, "global", replace(home, section="global"))
    raw = _apply_overrides(merged, environ, {}, diagnostics, model=GlobalSection)
    return raw, check_section(GlobalSection, raw, diagnostics, "global")


def _check_clusters(
    clusters: Mapping[str, RawSection], template: str, diagnostics: Diagnostics
) -> dict[str, ClusterSection]:
    checked = {
        name: check_section(ClusterSection, raw, diagnostics, "cluster" if name == template else None)
        for name, raw in clusters.items()
    }
    return {name: section for name, section in checked.items() if section is not None}


def _apply_overrides(
    raw: RawSection,
    environ: Mapping[str, str],
    overrides: Mapping[str, RawValue],
    diagnostics: Diagnostics,
    *,
    model: type[Section] = ClusterSection,
) -> RawSection:
    """Return the section with the values that the environment and the command line override."""
    names = {key: (f"{PREFIX}{key.upper()}",) for key in model.model_fields if key not in _FILE_ONLY}
    values = {**ini.values_from_environment(names, environ), **overrides}
    changes = translated_section(replace(raw, values=values), diagnostics)
    return replace(raw, values={**raw.values, **changes.values})


def _report_unknown_variables(environ: Mapping[str, str], diagnostics: Diagnostics) -> None:
    options = (ClusterSection.model_fields.keys() | GlobalSection.model_fields.keys()) - _FILE_ONLY
    known = sorted(PREFIX + name.upper() for name in {*options, *RESERVED_VARIABLES})
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            place = find_place(name.removeprefix(PREFIX).lower(), ClusterSection)
            hint = f"; put it into {place} of a config file" if place else did_you_mean(name, known)
            diagnostics.report(f"{Origin('environment', key=name)}: unknown option{hint}; unset it")


def check_aws(
    home: Origin, sections: Sequence[RawSection], environ: Mapping[str, str], diagnostics: Diagnostics
) -> AwsSection | None:
    """Return the [aws] section with the values of the environment, or None with its problems reported."""
    raw = ini.merge_sections(sections, "aws", replace(home, section="aws"))
    values = ini.values_from_environment(_AWS_ENVIRONMENT, environ)
    region, own_region = values.get("aws_region_name"), raw.values.get("aws_region_name")
    if region and own_region and region.text != own_region.text:
        diagnostics.notes.append(
            f"{region.origin} is {region.text}, and wins over AWS_REGION_NAME = {own_region.text} of the file: images,"
            " keys, subnets and volumes that the file names may be of the other region"
        )
    # A key id belongs to its secret and token. AWS would refuse a mixture from two sources.
    outdated = _AWS_KEYS if "aws_access_key_id" in values else ()
    kept = {key: value for key, value in raw.values.items() if key not in outdated}
    return check_section(AwsSection, replace(raw, values={**kept, **values}), diagnostics, "aws")


def check_sizes(home: Origin, sections: Sequence[RawSection], diagnostics: Diagnostics) -> dict[str, tuple[str, ...]]:
    """Return the [sizes]: the instance types of each name that `run -i` takes. Names are in lower case."""
    raw = ini.merge_sections(sections, "sizes", replace(home, section="sizes"))
    sizes = {}
    for name, value in raw.values.items():
        types = comma_list(value.text)
        if not _SIZE_NAME.fullmatch(name):
            diagnostics.problems.append(ini.problem_of_value(raw, name, "expected a name such as C16 or big"))
        elif not types or not all(map(_INSTANCE_TYPE.fullmatch, types)):
            message = f"expected instance types, such as c7i.4xlarge, c7a.4xlarge, got {value.text!r}"
            diagnostics.problems.append(ini.problem_of_value(raw, name, message))
        else:
            sizes[name] = types
    return sizes


def _collect_templates(
    sections: Sequence[RawSection], wanted: str | None, diagnostics: Diagnostics
) -> dict[str, RawSection]:
    """Return the cluster sections with inherited values, by name."""
    own = dict(ini.sections_by_name(sections, "cluster"))
    if wanted is not None and wanted in BUILT_IN_TEMPLATES:
        # The built-in templates can always be asked for by name; a section of that name in the file has priority.
        own.setdefault(wanted, built_in_section(wanted))
    diagnostics.problems.extend(check_extends(own))
    return {name: resolve_extends(name, own) for name in own}


def _choose_template(
    home: Origin,
    named: RawValue,
    clusters: Mapping[str, RawSection],
    global_: RawSection,
    diagnostics: Diagnostics,
) -> str:
    """Return the name of the template to use. If there is none, report it and return an empty text.

    Args:
        home: the config, for messages about what it lacks.
        named: the template that was named; its text is empty if none was.
        clusters: the templates.
        global_: the [global] section.
        diagnostics: takes the problems.
    """
    default = global_.values.get("default_template")
    wanted = [value for value in (named, default) if value and value.text]
    for value in wanted:
        if value.text not in clusters:
            message = f"{value.origin}: {missing_section_message('cluster', value.text, clusters)}"
            diagnostics.report(message, None if value is wanted[0] else _UNUSED_DEFAULT)
    if wanted:
        return wanted[0].text if wanted[0].text in clusters else ""
    if len(clusters) == 1:
        return next(iter(clusters))
    if clusters:
        which = f"is needed, as there are several templates: {', '.join(clusters)}; or name one with `start -c`"
        message = f"{replace(home, section='global', key='DEFAULT_TEMPLATE')}: {which}"
        diagnostics.report(message, NEEDED_DEFAULT)
    else:
        diagnostics.report(f"{home.file}: there is no [cluster NAME] section")
    return ""
