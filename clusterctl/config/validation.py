"""A section as written to a checked model, and what is found on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from clusterctl.config import ini
from clusterctl.config.settings import Origin
from clusterctl.config.starcluster import modernise
from clusterctl.options import Section, read_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.config.ini import RawSection

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Found:
    """What loading gathers on its way."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Plugin sections that have been reported and are not looked at again."""


def modern_section(section: RawSection, found: Found) -> RawSection:
    """The section in today's words; what was mapped or refused is noted."""
    modern = modernise(section)
    found.notes.extend(modern.notes)
    found.problems.extend(modern.problems)
    if modern.problems and section.kind == "plugin":
        found.refused.add(section.name)
    return modern.section


def check(model: type[S], raw: RawSection, found: Found, label: str | None) -> S | None:
    """Make the model, and remember under `label` where each of its values is from."""
    section, faults = read_section(model, {key: value.text for key, value in raw.values.items()})
    for key, message in faults:
        found.problems.append(f"{ini.place(raw, key)}: {message}")
    if label:
        for key in model.model_fields:
            found.origins[f"{label}.{key}"] = raw.values[key].origin if key in raw.values else Origin("default")
    return section


def check_all(model: type[S], raws: Mapping[str, RawSection], found: Found) -> dict[str, S]:
    """The models of all sections that are right."""
    checked = {name: check(model, raw, found, f"{raw.kind}.{name}") for name, raw in raws.items()}
    return {name: section for name, section in checked.items() if section is not None}
