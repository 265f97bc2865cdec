"""Reads INI files into raw sections: values as text, with their origin."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from clusterctl.files import expand_path
from clusterctl.text import comma_list, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SECTION_KINDS = ("global", "aws", "key", "host", "volume", "permission", "sizes", "plugin", "cluster")
_PREFIXES = {"perm": "permission", "vol": "volume"} | {kind: kind for kind in SECTION_KINDS}
_NAMELESS = ("global", "aws", "sizes")

# The section name that configparser sees. It cannot collide: control characters are refused before.
_BODY = "\x01"
# What stands for the semicolon of a marker meanwhile; it cannot be in the file either.
_SEMICOLON = "\x02"
_MAX_BYTES, _MAX_DEPTH = 1 << 20, 20
_OPERATOR = r"\s*(?:===?|[<>!~]=?|\bnot\s+in\b|\bin\b)\s*"
_KNOWN = r"(?:python_(?:full_)?version|os_name|sys_platform|platform_\w+|implementation_\w+|extra)"
_QUOTED = r"""(?:"[^"]*"|'[^']*')"""
# A semicolon behind a blank begins a comment, but not before a condition on a package, such as
# `six ; python_version < "3"`. One that is misspelt must get to whoever refuses it.
_MARKER = re.compile(rf";(?=[\s(]*(?:{_KNOWN}(?:{_OPERATOR}|\s*=)|\w+{_OPERATOR}{_QUOTED}|{_QUOTED}{_OPERATOR}\w))")
NO_SUCH_FILE = "there is no such file"
IMPLY_EC2 = (
    *("node_image_id", "node_instance_type", "keyname", "spot_bid", "fallback_max", "market", "subnet_id"),
    "instance_profile",
)
"""Options that imply the provider ec2 where no PROVIDER is given."""


@dataclass(frozen=True)
class Origin:
    """The source of a value."""

    where: Literal["default", "file", "environment", "command line", "last start"]
    file: str = ""
    section: str = ""
    """The section title as written, without the brackets."""
    key: str = ""

    def __str__(self) -> str:
        """Return the beginning of a message about the value."""
        if self.where != "file":
            return f"{self.where}: {self.key}"
        return f"{self.file}: [{self.section}] {self.key}".rstrip()


SectionId = tuple[str, str]
"""The kind and the name of a section."""


@dataclass(frozen=True)
class ConfigProblem:
    """Something that is wrong with a config."""

    text: str
    section: SectionId | None = None
    """The section that it spoils; None if it spoils whatever is done with the config."""
    inherited: bool = False
    """Whether it spoils the sections that extend this one too, as a line that cannot be read does."""


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

    @property
    def id(self) -> SectionId:
        """What no other section of the config has."""
        return (self.kind, self.name)


@dataclass(frozen=True)
class IniText:
    """All sections of a file and of the files it includes, and the problems found while reading."""

    sections: tuple[RawSection, ...]
    problems: tuple[ConfigProblem, ...] = ()


@dataclass(frozen=True)
class _ReadState:
    """Everything read so far, from all files."""

    sections: list[RawSection] = field(default_factory=list)
    problems: list[ConfigProblem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def report(self, text: str, section: SectionId | None = None) -> None:
        """Add a problem of a section, or of the whole config."""
        self.problems.append(ConfigProblem(text, section, inherited=True))


class _SectionParser(configparser.ConfigParser):
    """Parses the lines of one section. It remembers every key, so that a repeated key can be reported."""

    def __init__(self) -> None:
        self.keys_seen: list[str] = []
        super().__init__(
            interpolation=None,
            strict=False,
            inline_comment_prefixes=("#", ";"),
            empty_lines_in_values=False,
            default_section="\x03",
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
        state.report(f"{message_prefix} cannot read {path}: {NO_SUCH_FILE}" if parents else f"{path}: {NO_SUCH_FILE}")
        return
    except (OSError, RuntimeError, ValueError) as exc:  # also loops of symbolic links, and invalid file names
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        state.report(f"{message_prefix} cannot read {path}: {why}")
        return
    if real in parents:
        names = " -> ".join(str(file) for file in (*parents[parents.index(real) :], real))
        state.report(f"{message_prefix} the files include each other: {names}")
    elif len(parents) > _MAX_DEPTH:
        state.report(f"{message_prefix} more than {_MAX_DEPTH} files include one another; name them in one file")
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
        state.report(f"{path}: line {lines.index(line) + 1}: {_explain_beginning(line, lines)}")
    for start, end in pairwise([*starts, len(lines)]):
        section = _parse_header(path, lines[start], start + 1, state)
        if section is None:
            continue
        section = _parse_body(section, lines[start + 1 : end], state)
        if _is_new(section, state):
            state.sections.append(section)
        if section.kind == "global":
            _read_includes(section, path, parents, state)


def _explain_beginning(first: str, lines: list[str]) -> str:
    """Return what is wrong with a file whose first line is no header."""
    if not re.match(r"\s+\[", first):
        return "expected a [section] before anything else"
    if all(line[:1].isspace() for line in lines if line.strip()):
        return "the whole file is indented, as text from a page may be; unindent all lines by as much as this one"
    return f"the header {first.strip()} is indented; unindent it and what belongs to it"


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
        state.report(f"{path}: line {number}: [{title}]: {wrong}", _meant_section(kind, kind_word, name))
        return None
    return RawSection(kind, "" if kind in _NAMELESS else name, Origin("file", str(path), title), number)


def _meant_section(kind: str, kind_word: str, name: str) -> SectionId:
    """Return the section that a wrong header was probably meant to begin."""
    near = get_close_matches(kind_word.lower(), SECTION_KINDS, n=1)
    kind = kind or (near[0] if near else kind_word)
    return (kind, "" if kind in _NAMELESS else name)


def _parse_body(section: RawSection, lines: list[str], state: _ReadState) -> RawSection:
    parser = _SectionParser()
    kept = [_MARKER.sub(_SEMICOLON, line) if re.match(r"\s*[^\s#;]", line) else line for line in lines]
    try:
        parser.read_file([f"[{_BODY}]", *(kept if section.kind == "plugin" else lines)], section.origin.file)
    except configparser.ParsingError as exc:
        # The line itself is not shown: it may hold a secret.
        for number, _ in exc.errors:
            line = section.line + number - 1
            state.report(f"{section.origin}: line {line}: expected KEY = VALUE, or an indented line", section.id)
    for title in parser.sections()[1:]:
        state.report(f"{section.origin}: the header [{title}] below it is indented; unindent it", section.id)
    for key in sorted({key for key in parser.keys_seen if parser.keys_seen.count(key) > 1}):
        state.report(f"{section.origin} {key.upper()}: is given twice", section.id)
    texts = {key: text.strip().replace(_SEMICOLON, ";") for key, text in parser.items(_BODY) if isinstance(text, str)}
    return replace(section, values=raw_values(texts, section.origin))


def _is_new(section: RawSection, state: _ReadState) -> bool:
    """Return False, and report it, if the section exists already. [global] may be in every file, each key in one."""
    for other in state.sections:
        if (other.kind, other.name) != (section.kind, section.name):
            continue
        where = f"{other.origin.file} line {other.line}"
        if section.kind != "global" or other.origin.file == section.origin.file:
            state.report(f"{section.origin}: line {section.line}: it is already in {where}; keep one", section.id)
            return False
        for key in sorted(section.values.keys() & other.values.keys() - {"include"}):
            state.report(f"{section.origin} {key.upper()}: is given already in {where}", section.id)
    return True


def _read_includes(section: RawSection, path: Path, parents: tuple[Path, ...], state: _ReadState) -> None:
    message_prefix = f"{section.origin} INCLUDE:"
    for item in comma_list(section.values["include"].text) if "include" in section.values else ():
        if re.match(r"\w+://", item):
            state.report(f"{message_prefix} {item} is not on this computer; download it and name the file")
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


def problem_of_value(section: RawSection, key: str, message: str) -> ConfigProblem:
    """Return a problem of a value. One from outside the file is meant for the very command that is run."""
    origin = origin_of(section, key)
    outside = origin.where not in {"file", "default"}
    return ConfigProblem(f"{origin}: {message}", None if outside else section.id)


def mentions_ec2(path: Path) -> bool:
    """Return whether a config file, valid or not, mentions EC2: in an [aws] section or in a template."""
    for section in read_ini(path).sections:
        values = section.values
        elsewhere = "provider" in values and values["provider"].text != "ec2"
        if section.kind == "aws" or (
            section.kind == "cluster" and not elsewhere and {"provider", *IMPLY_EC2} & {*values}
        ):
            return True
    return False
