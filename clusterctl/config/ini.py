"""INI files -> raw sections: texts, and where they stand. Knows how sections refer to each other."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from clusterctl.config.settings import Origin
from clusterctl.options import comma_list, did_you_mean, expand_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

KINDS = ("global", "aws", "key", "host", "volume", "permission", "plugin", "cluster")
_PREFIXES = {"perm": "permission", "vol": "volume"} | {kind: kind for kind in KINDS}
_NAMELESS = ("global", "aws")
_REFERENCES = {"keyname": "key", "volumes": "volume", "permissions": "permission", "plugins": "plugin"}

# What configparser takes each section to be called. No section can be: control characters are refused before.
_BODY = "\x01"
_MAX_BYTES, _MAX_DEPTH = 1 << 20, 20
MISSING = "there is no such file"


@dataclass(frozen=True)
class RawValue:
    """A text and where it was written."""

    text: str
    origin: Origin


@dataclass(frozen=True)
class RawSection:
    """A section as written: keys in lower case, names and values untouched."""

    kind: str
    name: str
    origin: Origin
    line: int = 0
    values: Mapping[str, RawValue] = field(default_factory=dict)


@dataclass(frozen=True)
class IniText:
    """All sections of a file and of those it includes, and what could not be read."""

    sections: tuple[RawSection, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Seen:
    """What has been read so far, over all files."""

    sections: list[RawSection] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


class _Body(configparser.ConfigParser):
    """One section's lines. Remembers every key as it comes, so that a second one can be reported."""

    def __init__(self) -> None:
        self.keys_seen: list[str] = []
        super().__init__(
            interpolation=None,
            strict=False,
            inline_comment_prefixes=("#", ";"),
            empty_lines_in_values=False,
            default_section="\x02",
        )

    def optionxform(self, optionstr: str) -> str:
        self.keys_seen.append(optionstr.lower())
        return optionstr.lower()


def read(path: Path) -> IniText:
    """Read a file and all it includes. Never raises for what is in them: see `problems`."""
    seen = _Seen()
    _read_file(path, (), f"{path}:", seen)
    return IniText(tuple(seen.sections), tuple(seen.problems))


def _read_file(path: Path, parents: tuple[Path, ...], blame: str, seen: _Seen) -> None:
    """Read one file; `blame` begins the messages when there is nothing to read."""
    try:
        real = path.resolve()
        lines = _lines(path)
    except FileNotFoundError:
        seen.problems.append(f"{blame} cannot read {path}: {MISSING}" if parents else f"{path}: {MISSING}")
        return
    except (OSError, RuntimeError, ValueError) as exc:  # also loops of links, and names that no file can have
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        seen.problems.append(f"{blame} cannot read {path}: {why}")
        return
    if real in parents:
        names = " -> ".join(str(each) for each in (*parents[parents.index(real) :], real))
        seen.problems.append(f"{blame} the files include each other: {names}")
    elif len(parents) > _MAX_DEPTH:
        seen.problems.append(f"{blame} more than {_MAX_DEPTH} files include one another; name them in one file")
    elif real not in seen.files:  # two files may include a third
        seen.files.append(real)
        _read_lines(path, lines, (*parents, real), seen)


def _lines(path: Path) -> list[str]:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as stream:
        raw = stream.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("it is too large to be a config file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ValueError(f"it is not UTF-8 text (line {line})") from exc
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for count, each in enumerate(lines, 1):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", each):
            raise ValueError(f"it is not text: there is a control character in line {count}")
    return lines


def _read_lines(path: Path, lines: list[str], parents: tuple[Path, ...], seen: _Seen) -> None:
    starts = [number for number, line in enumerate(lines) if line.startswith("[")]
    astray = [line for line in lines[: starts[0] if starts else None] if re.match(r"\s*[^\s#;]", line)]
    for line in astray[:1]:
        seen.problems.append(f"{path}: line {lines.index(line) + 1}: expected a [section] before anything else")
    for start, end in pairwise([*starts, len(lines)]):
        section = _header(path, lines[start], start + 1, seen)
        if section is None:
            continue
        section = _body(section, lines[start + 1 : end], seen)
        if _is_new(section, seen):
            seen.sections.append(section)
        if section.kind == "global":
            _include(section, path, parents, seen)


def _header(path: Path, line: str, number: int, seen: _Seen) -> RawSection | None:
    text = re.split(r"\s[#;]", line, maxsplit=1)[0].strip()
    title = " ".join(text.strip("[]").split())
    kind_word, _, name = title.partition(" ")
    kind = next((kind for prefix, kind in _PREFIXES.items() if kind_word.lower().startswith(prefix)), "")
    wrong = ""
    if not text.endswith("]") or text.count("[") != 1 or text.count("]") != 1:
        wrong = "not a section header: write [kind NAME]"
    elif not kind:
        known = did_you_mean(kind_word, KINDS) or f"; there are: {', '.join(KINDS)}"
        wrong = f"unknown kind of section{known}"
    elif kind in _NAMELESS and name and title.lower() != "aws info":
        wrong = f"this section has no name: write [{kind}]"
    elif kind not in _NAMELESS and len(name.split()) != 1:
        wrong = f"expected one name without blanks: [{kind} NAME]"
    if wrong:
        seen.problems.append(f"{path}: line {number}: [{title}]: {wrong}")
        return None
    return RawSection(kind, "" if kind in _NAMELESS else name, Origin("file", str(path), title), number)


def _body(section: RawSection, lines: list[str], seen: _Seen) -> RawSection:
    parser = _Body()
    try:
        parser.read_file([f"[{_BODY}]", *lines], section.origin.file)
    except configparser.ParsingError as exc:
        # The line itself is not shown: it may hold a secret.
        for number, _ in exc.errors:
            line = section.line + number - 1
            seen.problems.append(f"{section.origin}: line {line}: expected KEY = VALUE, or an indented line")
    for title in parser.sections()[1:]:
        seen.problems.append(f"{section.origin}: the header [{title}] below it is indented; unindent it")
    for key in sorted({key for key in parser.keys_seen if parser.keys_seen.count(key) > 1}):
        seen.problems.append(f"{section.origin} {key.upper()}: is given twice")
    texts = {key: text.strip() for key, text in parser.items(_BODY) if isinstance(text, str)}
    return replace(section, values=written(texts, section.origin))


def _is_new(section: RawSection, seen: _Seen) -> bool:
    """Report what is there for the second time. [global] may be in every file, each of its keys in one."""
    for other in seen.sections:
        if (other.kind, other.name) != (section.kind, section.name):
            continue
        where = f"{other.origin.file} line {other.line}"
        if section.kind != "global" or other.origin.file == section.origin.file:
            seen.problems.append(f"{section.origin}: line {section.line}: it is already in {where}; keep one")
            return False
        for key in sorted(section.values.keys() & other.values.keys() - {"include"}):
            seen.problems.append(f"{section.origin} {key.upper()}: is given already in {where}")
    return True


def _include(section: RawSection, path: Path, parents: tuple[Path, ...], seen: _Seen) -> None:
    blame = f"{section.origin} INCLUDE:"
    for item in comma_list(section.values["include"].text) if "include" in section.values else ():
        if re.match(r"\w+://", item):
            seen.problems.append(f"{blame} {item} is not on this computer; download it and name the file")
        else:
            _read_file(path.parent / expand_path(item), parents, blame, seen)


def named(sections: Iterable[RawSection], kind: str) -> dict[str, RawSection]:
    """The sections of a kind, by name."""
    return {section.name: section for section in sections if section.kind == kind}


def written(texts: Mapping[str, str], origin: Origin) -> dict[str, RawValue]:
    """Values that were all written in one place."""
    return {key: RawValue(text, replace(origin, key=key.upper())) for key, text in texts.items()}


def merged(sections: Sequence[RawSection], kind: str, origin: Origin) -> RawSection:
    """The one section of a kind without names, put together from all files; empty if it is in none."""
    found = [section for section in sections if section.kind == kind]
    values = {key: value for section in reversed(found) for key, value in section.values.items()}
    return replace(found[0] if found else RawSection(kind, "", origin), values=values)


def in_environment(names: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> dict[str, RawValue]:
    """What environment variables say: for each key, the first of its variables that is not empty."""
    return {
        key: RawValue(environ[name], Origin("environment", key=name))
        for key, variables in names.items()
        for name in [each for each in variables if environ.get(each)][:1]
    }


def place(section: RawSection, key: str) -> Origin:
    """Where a key is written, or would be."""
    value = section.values.get(key)
    return value.origin if value else replace(section.origin, key=key.upper())


def extended(name: str, sections: Mapping[str, RawSection]) -> RawSection:
    """The section with all that those it extends say and it does not."""
    values: dict[str, RawValue] = {}
    for each in _chain(name, sections):
        if each in sections:
            values = {**sections[each].values, **values}
    return replace(sections[name], values=values)


def wrong_parents(sections: Mapping[str, RawSection]) -> list[str]:
    """Sections that extend one that is not there, or each other."""
    problems = []
    for name, section in sections.items():
        *_, last = chain = _chain(name, sections)
        if last not in sections and len(chain) == 2:
            problems.append(f"{place(section, 'extends')}: {no_section('cluster', last, sections)}")
        elif last == name and len(chain) > 1:
            problems.append(f"{place(section, 'extends')}: the sections extend each other: {' -> '.join(chain)}")
    return problems


def _chain(name: str, sections: Mapping[str, RawSection]) -> list[str]:
    """A name, its parent and so on, up to the first that is not there or comes again."""
    chain = [name]
    while chain[-1] in sections and chain[-1] not in chain[:-1]:
        parent = sections[chain[-1]].values.get("extends")
        if parent is None or not parent.text:
            break
        chain.append(parent.text)
    return chain


def no_section(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that no section has."""
    names = sorted(known)
    name = name.partition("=")[0].strip()  # a line that strayed into a list may hold a secret
    there = f"; there are: {', '.join(names)}" if names else ""
    return f"there is no section [{kind} {name}]{did_you_mean(name, names) or there}"


def dangling(section: RawSection, sections: Sequence[RawSection]) -> list[str]:
    """Names in a cluster section that no section has, or that are there twice."""
    problems = []
    for key, kind in _REFERENCES.items():
        value = section.values.get(key)
        items = comma_list(value.text) if value else ()
        known = named(sections, kind)
        for item in dict.fromkeys(items):
            origin = section.values[key].origin
            if items.count(item) > 1:
                problems.append(f"{origin}: {item} is named twice")
            if kind != "plugin" and item not in known:  # a plugin may be a bundled one, without a section
                problems.append(f"{origin}: {no_section(kind, item, known)}")
    return problems
