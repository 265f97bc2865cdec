"""The copy of a cluster's config that this computer keeps: the sections its template used, without secrets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.config.cluster_section import ClusterSection
from clusterctl.config.ini import Origin, RawSection, raw_values
from clusterctl.config.relative_paths import complete_class_path, path_text
from clusterctl.config.settings import AwsSection, PermissionSection, VolumeSection
from clusterctl.options import is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clusterctl.config.draft import Draft
    from clusterctl.config.ini import RawValue, SectionId
    from clusterctl.options import Section

_FORMAT = 1
_MODELS: Mapping[str, type[Section]] = {
    "cluster": ClusterSection,
    "aws": AwsSection,
    "permission": PermissionSection,
    "volume": VolumeSection,
}
_ALLOWED = {"aws": frozenset({"aws_region_name"})}
"""Of these kinds of sections, the only options that are taken."""
_REFUSED = frozenset({"extends", "setup_class", "proxy_jump", "keyname"})
"""Options that name what belongs to this computer and its user."""
_RECEIVED_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def copy_config(path: Path | None, draft: Draft, cluster: ClusterSection) -> str:
    """Return a copy of the sections that the template uses, without secrets: a JSON document."""
    chosen = draft.clusters[draft.template]
    # The default is the name of whoever runs the program.
    user = raw_values({"cluster_user": cluster.cluster_user}, chosen.origin)
    account = draft.aws or AwsSection()
    place = {"aws_profile": account.aws_profile or "", "aws_region_name": account.aws_region_name}
    sections = [
        replace(chosen, values={**chosen.values, **user}),
        RawSection("aws", "", chosen.origin, values=raw_values(place, chosen.origin)),
        *draft.others,
    ]
    reach = draft.find_reach()
    used = [section for section in sections if reach is None or section.id in reach.sections]
    models: dict[SectionId, Section] = {chosen.id: cluster}
    models |= {("key", name): section for name, section in draft.keys.items()}
    models |= {("host", name): section for name, section in draft.hosts.items()}
    models |= {("plugin", name): choice.options for name, choice in draft.plugins.items()}
    return _render_copy(path, used, models)


def _render_copy(path: Path | None, sections: Iterable[RawSection], models: Mapping[SectionId, Section]) -> str:
    """Return the text of a copy.

    Args:
        path: the config file that it is a copy of; None for the built-in template.
        sections: the sections, with inherited and overriding values.
        models: the checked sections, which know what is a secret and where a relative path begins.
    """
    entries = []
    for section in sections:
        model = models.get(section.id)
        fields = type(model).model_fields if model else {}
        left_out = {"extends", *(key for key, field in fields.items() if is_secret(field))}
        values = {key: _whole_text(value, key, model) for key, value in section.values.items() if key not in left_out}
        entries.append({"kind": section.kind, "name": section.name, "values": values})
    original = str(path.absolute()) if path else ""
    return json.dumps({"format": _FORMAT, "copy_of": original, "sections": entries}, indent=1)


def _whole_text(value: RawValue, key: str, model: Section | None) -> str:
    if key == "setup_class":
        return complete_class_path(value.text, value.origin)
    return (path_text(model, key) if model else None) or value.text


def parse_copy(document: object, file: Path) -> list[RawSection]:
    """Return the sections of a copy; none if it is damaged, or of a newer clusterctl."""
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return []
    try:
        return [_make_section(entry["kind"], entry["name"], entry["values"], file) for entry in document["sections"]]
    except (AttributeError, KeyError, TypeError):
        return []


def original_of_copy(document: object) -> Path | None:
    """Return the config file of which a document is a copy, or None if that is the built-in template, or unknown."""
    original = document.get("copy_of") if isinstance(document, dict) else None
    return Path(original) if isinstance(original, str) and original else None


def _make_section(kind: str, name: str, texts: Mapping[str, object], file: Path) -> RawSection:
    origin = Origin("file", str(file), f"{kind} {name}".strip())
    values = raw_values({key: str(text) for key, text in texts.items()}, origin)
    return RawSection(kind, name, origin, values=values)


def render_received(
    document: object, template: str, find_options: Callable[[str], type[Section] | None]
) -> tuple[str, list[str]]:
    """Return the text of a config file made of a copy that came from a node, and what was left out.

    Whoever owns the node may have written it. So it names no file and no program of this computer, no secret, and no
    plugin that is not installed here.

    Args:
        document: the copy of the config that the master keeps.
        template: the name of the cluster template in it.
        find_options: returns the options of an installed plugin; None if there is no such plugin.
    """
    sections = document.get("sections") if isinstance(document, dict) else None
    lines = ["# What the master said of its cluster, without what names files of a computer.", ""]
    dropped: list[str] = []
    for section in filter(_is_section, sections if isinstance(sections, list) else ()):
        kind, name, values = section["kind"], section["name"], section["values"]
        title = f"{kind} {name}".strip()
        model = find_options(name) if kind == "plugin" else _MODELS.get(kind)
        if model is None or (kind == "cluster" and name != template):
            dropped.append(f"[{title}]")
            continue
        taken = {key: text for key, text in values.items() if _is_taken(kind, key, text, model)}
        dropped += [f"{str(key)[:40].upper()} of [{title}]" for key in values.keys() - taken.keys()]
        if kind == "cluster" and "plugins" in taken:
            named = [plugin.strip() for plugin in taken["plugins"].split(",") if plugin.strip()]
            known = [plugin for plugin in named if find_options(plugin) is not None]
            dropped += [f"plugin {plugin[:40]}" for plugin in named if plugin not in known]
            taken["plugins"] = ", ".join(known)
        lines += [f"[{title}]", *(f"{key.upper()} = {text}" for key, text in taken.items()), ""]
    if not any(line.startswith(f"[cluster {template}]") for line in lines):
        return "", dropped
    return "\n".join(lines), [item for item in dropped if item.isprintable()]


def _is_section(section: object) -> bool:
    if not isinstance(section, dict):
        return False
    kind, name, values = section.get("kind"), section.get("name"), section.get("values")
    named = isinstance(name, str) and (not name or _RECEIVED_NAME.fullmatch(name) is not None)
    return isinstance(kind, str) and kind in {"plugin", *_MODELS} and named and isinstance(values, dict)


def _is_taken(kind: str, key: object, text: object, model: type[Section]) -> bool:
    if not isinstance(key, str) or not isinstance(text, str) or not text.isprintable() or len(text) > 4096:
        return False
    field = model.model_fields.get(key)
    if field is None or key in _REFUSED or (kind in _ALLOWED and key not in _ALLOWED[kind]):
        return False
    # A path on this computer, or many: the master could have this computer read and send any file.
    names_files = "Path" in str(field.annotation).replace("PurePosixPath", "")
    return not names_files and not is_secret(field) and not ({"$", "`"} & set(text))
