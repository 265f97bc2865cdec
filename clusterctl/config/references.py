"""How sections refer to each other: EXTENDS, the names in a template, and what a template reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.config.ini import ConfigProblem, origin_of, sections_by_name
from clusterctl.text import comma_list, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.config.ini import RawSection, RawValue, SectionId

_REFERENCES = {"keyname": "key", "volumes": "volume", "permissions": "permission", "plugins": "plugin"}


def resolve_extends(name: str, sections: Mapping[str, RawSection]) -> RawSection:
    """Return the section with the values that it inherits by EXTENDS and does not set itself."""
    values: dict[str, RawValue] = {}
    for ancestor in _parent_chain(name, sections):
        if ancestor in sections:
            values = {**sections[ancestor].values, **values}
    return replace(sections[name], values=values)


def check_extends(sections: Mapping[str, RawSection]) -> list[ConfigProblem]:
    """Return problems for sections that extend a missing section, or each other."""
    problems = []
    for name, section in sections.items():
        *_, last = chain = _parent_chain(name, sections)
        if last not in sections and len(chain) == 2:
            wrong = missing_section_message("cluster", last, sections)
        elif last == name and len(chain) > 1:
            wrong = f"the sections extend each other: {' -> '.join(chain)}"
        else:
            continue
        problems.append(ConfigProblem(f"{origin_of(section, 'extends')}: {wrong}", section.id, inherited=True))
    return problems


def _parent_chain(name: str, sections: Mapping[str, RawSection]) -> list[str]:
    """Return a name, its parent and so on, up to the first name that is missing or repeated."""
    chain = [name]
    while chain[-1] in sections and chain[-1] not in chain[:-1]:
        parent = sections[chain[-1]].values.get("extends")
        if parent is None or not parent.text:
            break
        chain.append(parent.text)
    return chain


def missing_section_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name that no section has."""
    names = sorted(known)
    name = name.partition("=")[0].strip()  # a line that got into a list by mistake may hold a secret
    existing = f"; there are: {', '.join(names)}" if names else ""
    return f"there is no section [{kind} {name}]{did_you_mean(name, names) or existing}"


def check_references(section: RawSection, sections: Sequence[RawSection]) -> list[ConfigProblem]:
    """Return problems for names in a cluster section that no section has, or that are repeated."""
    problems = []
    for key, kind in _REFERENCES.items():
        value = section.values.get(key)
        items = comma_list(value.text) if value else ()
        known = sections_by_name(sections, kind)
        for item in dict.fromkeys(items):
            origin = section.values[key].origin
            if items.count(item) > 1:
                problems.append(ConfigProblem(f"{origin}: {item} is named twice", section.id))
            if kind != "plugin" and item not in known:  # a plugin may be a bundled one, without a section
                message = missing_section_message(kind, item, known)
                problems.append(ConfigProblem(f"{origin}: {message}", section.id))
    return problems


@dataclass(frozen=True)
class Reach:
    """The sections that a template uses: only they must be right to work with it."""

    sections: frozenset[SectionId]
    ancestors: frozenset[SectionId]
    """The sections that the template extends."""

    def spoiled_by(self, problem: ConfigProblem) -> bool:
        """Return whether the template cannot be used because of a problem."""
        if problem.section is None or problem.section in self.sections:
            return True
        return problem.inherited and problem.section in self.ancestors


def find_reach(section: RawSection, sections: Mapping[str, RawSection], always: Iterable[SectionId]) -> Reach:
    """Return what a template reaches.

    Args:
        section: the template, with what it inherits.
        sections: all templates, by name.
        always: the sections that have an effect though no template names them.
    """
    named = [
        (kind, item)
        for key, kind in (*_REFERENCES.items(), ("hosts", "host"))
        if key in section.values
        for item in comma_list(section.values[key].text)
    ]
    ancestors = _parent_chain(section.name, sections)
    return Reach(frozenset({section.id, *named, *always}), frozenset(("cluster", name) for name in ancestors))
