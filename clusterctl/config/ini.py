"""Reads INI files into raw sections: values as text, with their origin. Knows how sections refer to each other."""

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

SECTION_KINDS = ("global", "aws", "key", "host", "volume", "permission", "plugin", "cluster")
_PREFIXES = {"perm": "permission", "vol": "volume"} | {kind: kind for kind in SECTION_KINDS}
_NAMELESS = ("global", "aws")
_REFERENCES = {"keyname": "key", "volumes": "volume", "permissions": "permission", "plugins": "plugin"}

# The section name that configparser sees. It cannot collide: control characters are refused before.
_BODY = "\x01"
_MAX_BYTES, _MAX_DEPTH = 1 << 20, 20
NO_SUCH_FILE = "there is no such file"


@dataclass(frozen=True)
class RawValue:
    """The text of a value, and its origin."""

    text: str
    origin: Origin


@dataclass(frozen=True)
class RawSection:
    """A section as written: keys in lower case, names and values unchanged."""

    kind: str
    name: str
    origin: Origin
    line: int = 0
    values: Mapping[str, RawValue] = field(default_factory=dict)


@dataclass(frozen=True)
class IniText:
    """All sections of a file and of the files it includes, and the problems found while reading."""

    sections: tuple[RawSection, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _ReadState:
    """Everything read so far, from all files."""

    sections: list[RawSection] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


class _SectionParser(configparser.ConfigParser):
    """Parses the lines of one section. It remembers every key, so that a repeated key can be reported."""

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


def read_ini(path: Path) -> IniText:
    """Read a file and all files it includes. Never raises because of their content: see `IniText.problems`."""
    state = _ReadState()
    _read_file(path, (), f"{path}:", state)
    return IniText(tuple(state.sections), tuple(state.problems))


def _read_file(path: Path, parents: tuple[Path, ...], message_prefix: str, state: _ReadState) -> None:
    """Read one file; `message_prefix` begins the messages about a file that cannot be read."""
    try:
        real = path.resolve()
        lines = _load_lines(path)
    except FileNotFoundError:
        state.problems.append(
            f"{message_prefix} cannot read {path}: {NO_SUCH_FILE}" if parents else f"{path}: {NO_SUCH_FILE}"
        )
        return
    except (OSError, RuntimeError, ValueError) as exc:  # also loops of symbolic links, and invalid file names
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        state.problems.append(f"{message_prefix} cannot read {path}: {why}")
        return
    if real in parents:
        names = " -> ".join(str(file) for file in (*parents[parents.index(real) :], real))
        state.problems.append(f"{message_prefix} the files include each other: {names}")
    elif len(parents) > _MAX_DEPTH:
        state.problems.append(
            f"{message_prefix} more than {_MAX_DEPTH} files include one another; name them in one file"
        )
    elif real not in state.files:  # two files may include a third
        state.files.append(real)
        _read_lines(path, lines, (*parents, real), state)


def _load_lines(path: Path) -> list[str]:
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
    for count, line_text in enumerate(lines, 1):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line_text):
            raise ValueError(f"it is not text: there is a control character in line {count}")
    return lines


def _read_lines(path: Path, lines: list[str], parents: tuple[Path, ...], state: _ReadState) -> None:
    starts = [number for number, line in enumerate(lines) if line.startswith("[")]
    lines_before = [line for line in lines[: starts[0] if starts else None] if re.match(r"\s*[^\s#;]", line)]
    for line in lines_before[:1]:
        state.problems.append(f"{path}: line {lines.index(line) + 1}: expected a [section] before anything else")
    for start, end in pairwise([*starts, len(lines)]):
        section = _parse_header(path, lines[start], start + 1, state)
        if section is None:
            continue
        section = _parse_body(section, lines[start + 1 : end], state)
        if _is_new(section, state):
            state.sections.append(section)
        if section.kind == "global":
            _read_includes(section, path, parents, state)


def _parse_header(path: Path, line: str, number: int, state: _ReadState) -> RawSection | None:
    text = re.split(r"\s[#;]", line, maxsplit=1)[0].strip()
    title = " ".join(text.strip("[]").split())
    kind_word, _, name = title.partition(" ")
    kind = next((kind for prefix, kind in _PREFIXES.items() if kind_word.lower().startswith(prefix)), "")
    wrong = ""
    if not text.endswith("]") or text.count("[") != 1 or text.count("]") != 1:
        wrong = "not a section header: write [kind NAME]"
    elif not kind:
        known = did_you_mean(kind_word, SECTION_KINDS) or f"; there are: {', '.join(SECTION_KINDS)}"
        wrong = f"unknown kind of section{known}"
    elif kind in _NAMELESS and name and title.lower() != "aws info":
        wrong = f"this section has no name: write [{kind}]"
    elif kind not in _NAMELESS and len(name.split()) != 1:
        wrong = f"expected one name without blanks: [{kind} NAME]"
    if wrong:
        state.problems.append(f"{path}: line {number}: [{title}]: {wrong}")
        return None
    return RawSection(kind, "" if kind in _NAMELESS else name, Origin("file", str(path), title), number)


def _parse_body(section: RawSection, lines: list[str], state: _ReadState) -> RawSection:
    parser = _SectionParser()
    try:
        parser.read_file([f"[{_BODY}]", *lines], section.origin.file)
    except configparser.ParsingError as exc:
        # The line itself is not shown: it may hold a secret.
        for number, _ in exc.errors:
            line = section.line + number - 1
            state.problems.append(f"{section.origin}: line {line}: expected KEY = VALUE, or an indented line")
    for title in parser.sections()[1:]:
        state.problems.append(f"{section.origin}: the header [{title}] below it is indented; unindent it")
    for key in sorted({key for key in parser.keys_seen if parser.keys_seen.count(key) > 1}):
        state.problems.append(f"{section.origin} {key.upper()}: is given twice")
    texts = {key: text.strip() for key, text in parser.items(_BODY) if isinstance(text, str)}
    return replace(section, values=raw_values(texts, section.origin))


def _is_new(section: RawSection, state: _ReadState) -> bool:
    """Return False, and report it, if the section exists already. [global] may be in every file, each key in one."""
    for other in state.sections:
        if (other.kind, other.name) != (section.kind, section.name):
            continue
        where = f"{other.origin.file} line {other.line}"
        if section.kind != "global" or other.origin.file == section.origin.file:
            state.problems.append(f"{section.origin}: line {section.line}: it is already in {where}; keep one")
            return False
        for key in sorted(section.values.keys() & other.values.keys() - {"include"}):
            state.problems.append(f"{section.origin} {key.upper()}: is given already in {where}")
    return True


def _read_includes(section: RawSection, path: Path, parents: tuple[Path, ...], state: _ReadState) -> None:
    message_prefix = f"{section.origin} INCLUDE:"
    for item in comma_list(section.values["include"].text) if "include" in section.values else ():
        if re.match(r"\w+://", item):
            state.problems.append(f"{message_prefix} {item} is not on this computer; download it and name the file")
        else:
            _read_file(path.parent / expand_path(item), parents, message_prefix, state)


def sections_by_name(sections: Iterable[RawSection], kind: str) -> dict[str, RawSection]:
    """Return the sections of a kind, by name."""
    return {section.name: section for section in sections if section.kind == kind}


def raw_values(texts: Mapping[str, str], origin: Origin) -> dict[str, RawValue]:
    """Return raw values that all have the same origin, by key."""
    return {key: RawValue(text, replace(origin, key=key.upper())) for key, text in texts.items()}


def merge_sections(sections: Sequence[RawSection], kind: str, origin: Origin) -> RawSection:
    """Return the one section of a kind without names, merged from all files; empty if no file has it."""
    parts = [section for section in sections if section.kind == kind]
    values = {key: value for section in reversed(parts) for key, value in section.values.items()}
    return replace(parts[0] if parts else RawSection(kind, "", origin), values=values)


def values_from_environment(names: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> dict[str, RawValue]:
    """Return the values of environment variables: for each key, the first of its variables that is not empty."""
    return {
        key: RawValue(environ[name], Origin("environment", key=name))
        for key, variables in names.items()
        for name in [variable for variable in variables if environ.get(variable)][:1]
    }


def origin_of(section: RawSection, key: str) -> Origin:
    """Return the origin of a key: where it is written, or would be written."""
    value = section.values.get(key)
    return value.origin if value else replace(section.origin, key=key.upper())


def resolve_extends(name: str, sections: Mapping[str, RawSection]) -> RawSection:
    """Return the section with the values that it inherits by EXTENDS and does not set itself."""
    values: dict[str, RawValue] = {}
    for ancestor in _parent_chain(name, sections):
        if ancestor in sections:
            values = {**sections[ancestor].values, **values}
    return replace(sections[name], values=values)


def check_extends(sections: Mapping[str, RawSection]) -> list[str]:
    """Return problems for sections that extend a missing section, or each other."""
    problems = []
    for name, section in sections.items():
        *_, last = chain = _parent_chain(name, sections)
        if last not in sections and len(chain) == 2:
            problems.append(f"{origin_of(section, 'extends')}: {missing_section_message('cluster', last, sections)}")
        elif last == name and len(chain) > 1:
            problems.append(f"{origin_of(section, 'extends')}: the sections extend each other: {' -> '.join(chain)}")
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


def check_references(section: RawSection, sections: Sequence[RawSection]) -> list[str]:
    """Return problems for names in a cluster section that no section has, or that are repeated."""
    problems = []
    for key, kind in _REFERENCES.items():
        value = section.values.get(key)
        items = comma_list(value.text) if value else ()
        known = sections_by_name(sections, kind)
        for item in dict.fromkeys(items):
            origin = section.values[key].origin
            if items.count(item) > 1:
                problems.append(f"{origin}: {item} is named twice")
            if kind != "plugin" and item not in known:  # a plugin may be a bundled one, without a section
                problems.append(f"{origin}: {missing_section_message(kind, item, known)}")
    return problems
