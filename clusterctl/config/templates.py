"""The cluster templates of a config, and the choice of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config import ini
from clusterctl.config.ini import RawSection, RawValue
from clusterctl.config.references import check_extends, missing_section_message, resolve_extends
from clusterctl.config.settings import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.config.validation import Diagnostics

BUILT_IN_TEMPLATES = ("local", "docker")
"""The templates that exist without a config file; the first is the default."""
NEEDED_DEFAULT = ("global", "no DEFAULT_TEMPLATE")
"""The place of a default template that is needed only where none is named."""
_UNUSED_DEFAULT = ("global", "DEFAULT_TEMPLATE")
"""The place of a default template that is missing: no error beside a template that is named."""


def built_in_section(name: str) -> RawSection:
    """Return a template that exists without a config file."""
    origin = Origin("default", section=f"cluster {name}")
    texts = {"provider": name, "plugins": "ipcluster"}
    return RawSection("cluster", name, origin, values=ini.raw_values(texts, origin))


def collect_templates(
    sections: Sequence[RawSection], wanted: str | None, diagnostics: Diagnostics
) -> dict[str, RawSection]:
    """Return the cluster sections with inherited values, by name."""
    own = dict(ini.sections_by_name(sections, "cluster"))
    if wanted is not None and wanted in BUILT_IN_TEMPLATES:
        # The built-in templates can always be asked for by name; a section of that name in the file has priority.
        own.setdefault(wanted, built_in_section(wanted))
    diagnostics.problems.extend(check_extends(own))
    return {name: resolve_extends(name, own) for name in own}


def choose_template(
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
