"""Turns sections as written into checked models, and collects the problems."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from clusterctl.config import ini
from clusterctl.config.ini import ConfigProblem, Origin
from clusterctl.config.relative_paths import folders_of
from clusterctl.config.starcluster import translate_section
from clusterctl.config.unknown_options import explain_unknown_option
from clusterctl.options import Section, read_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.config.ini import RawSection, SectionId
    from clusterctl.config.references import Reach

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Diagnostics:
    """The problems, notes and origins that loading collects."""

    problems: list[ConfigProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Plugin sections with a reported problem; they are not checked again."""
    drop_faults: bool = False
    """Whether a value that is wrong is replaced by its default: for what must go on with whatever can be read."""

    def report(self, text: str, section: SectionId | None = None) -> None:
        """Add a problem of a section, or of the whole config."""
        self.problems.append(ConfigProblem(text, section))

    def problems_for(self, reach: Reach | None, *, without: SectionId | None = None) -> list[str]:
        """Return the problems that spoil what is reached, each once.

        Args:
            reach: what is reached; None for everything.
            without: a place whose problems do not count.
        """
        counting = [problem for problem in self.problems if problem.section is None or problem.section != without]
        texts = [problem.text for problem in counting if reach is None or reach.spoiled_by(problem)]
        return list(dict.fromkeys(" ".join(text.split()) for text in texts))


def translated_section(section: RawSection, diagnostics: Diagnostics) -> RawSection:
    """Return the section with translated values. Translations and refusals are added to `diagnostics`."""
    modern = translate_section(section)
    diagnostics.notes.extend(modern.notes)
    # A refused value is left out, so that a section that extends this one lacks it too.
    diagnostics.problems.extend(replace(problem, inherited=True) for problem in modern.problems)
    if modern.problems and section.kind == "plugin":
        diagnostics.refused.add(section.name)
    return modern.section


def check_section(model: type[S], raw: RawSection, diagnostics: Diagnostics, label: str | None) -> S | None:
    """Return the checked model, or None with its problems reported. Keep the origin of each value under `label`."""
    section, faults = read_section(model, {key: value.text for key, value in raw.values.items()}, folders_of(raw))
    for key, fault in faults:
        unknown = key in raw.values and key not in model.model_fields
        message = explain_unknown_option(key, model) if unknown else fault
        diagnostics.problems.append(ini.problem_of_value(raw, key, message))
    faulty = {key for key, _ in faults} & raw.values.keys()
    if faulty and diagnostics.drop_faults:
        kept = {key: value for key, value in raw.values.items() if key not in faulty}
        return check_section(model, replace(raw, values=kept), diagnostics, label)
    if label:
        for key in model.model_fields:
            diagnostics.origins[f"{label}.{key}"] = raw.values[key].origin if key in raw.values else Origin("default")
    return section


def check_sections(model: type[S], raws: Mapping[str, RawSection], diagnostics: Diagnostics) -> dict[str, S]:
    """Return the models of all valid sections."""
    checked = {name: check_section(model, raw, diagnostics, f"{raw.kind}.{name}") for name, raw in raws.items()}
    return {name: section for name, section in checked.items() if section is not None}
