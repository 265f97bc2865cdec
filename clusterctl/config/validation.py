"""Turns sections as written into checked models, and collects the problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from clusterctl.config import ini
from clusterctl.config.settings import Origin
from clusterctl.config.starcluster import translate_section
from clusterctl.options import Section, read_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.config.ini import RawSection

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Diagnostics:
    """The problems, notes and origins that loading collects."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Plugin sections with a reported problem; they are not checked again."""


def translated_section(section: RawSection, diagnostics: Diagnostics) -> RawSection:
    """Return the section with translated values. Translations and refusals are added to `diagnostics`."""
    modern = translate_section(section)
    diagnostics.notes.extend(modern.notes)
    diagnostics.problems.extend(modern.problems)
    if modern.problems and section.kind == "plugin":
        diagnostics.refused.add(section.name)
    return modern.section


def check_section(model: type[S], raw: RawSection, diagnostics: Diagnostics, label: str | None) -> S | None:
    """Return the checked model, or None with its problems reported. Keep the origin of each value under `label`."""
    section, faults = read_section(model, {key: value.text for key, value in raw.values.items()})
    for key, message in faults:
        diagnostics.problems.append(f"{ini.origin_of(raw, key)}: {message}")
    if label:
        for key in model.model_fields:
            diagnostics.origins[f"{label}.{key}"] = raw.values[key].origin if key in raw.values else Origin("default")
    return section


def check_sections(model: type[S], raws: Mapping[str, RawSection], diagnostics: Diagnostics) -> dict[str, S]:
    """Return the models of all valid sections."""
    checked = {name: check_section(model, raw, diagnostics, f"{raw.kind}.{name}") for name, raw in raws.items()}
    return {name: section for name, section in checked.items() if section is not None}
