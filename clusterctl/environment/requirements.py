"""Reads requirements on the laptop: requirements.txt, pyproject.toml, a conda environment.yml.

Packages that only this computer has (a folder, a file, an editable install) are refused: no node could install them.
The parser of a file format is loaded when there is such a file.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

CONSTRAINT = "-c "
"""The prefix of a constraint, which only limits the version of a package that others require: ``-c numpy<2``."""
_INCLUDES = {"-r": "", "--requirement": "", "-c": CONSTRAINT, "--constraint": CONSTRAINT}
_INDEX_OPTIONS = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host"}
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tar\.bz2|tgz)$")
_URL = re.compile(r"(\w+\+)?\w+://")


def whole(parts: Iterable[str]) -> tuple[str, ...]:
    """Return requirements joined again after a split at every comma: ``numpy>=1`` and ``<3``, ``a[b`` and ``c]``."""
    joined: list[str] = []
    for part in parts:
        if joined and (part[0] in "<>=!~" or joined[-1].count("[") > joined[-1].count("]")):
            joined[-1] += f",{part}"
        else:
            joined.append(part)
    return tuple(joined)


@dataclass
class Requirements:
    """The requirements of files, with their problems and notes.

    Attributes:
        wanted: requirements in pip's notation, in order; those that begin with `CONSTRAINT` only limit versions.
        problems: each names its file and line.
        notes: the items that were left out, with reasons.
    """

    wanted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: set[tuple[Path, str]] = field(default_factory=set)
    _noted: set[tuple[Path, str]] = field(default_factory=set)

    def add_file(self, path: Path) -> None:
        """Read a requirements.txt, and the files that it includes with ``-r`` and ``-c``."""
        self._add_file(path, "", str(path))

    def add_pyproject(self, path: Path, extras: Sequence[str] = ()) -> None:
        """Read the dependencies of a pyproject.toml's project, with some of its extras."""
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib

        text = self._read_text(path, str(path))
        if text is None:
            return
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            self.problems.append(f"{path}: {exc}")
            return
        project = document.get("project", {})
        if not isinstance(project, dict) or "dependencies" in project.get("dynamic", ()):
            self.problems.append(f"{path}: its dependencies are made by its build; name a requirements file instead")
            return
        sources = document.get("tool", {}).get("uv", {}).get("sources", {})
        for line in _project_requirements(project, extras, path, self.problems):
            place = f"{path}:{_line_of(text, line)}"
            self._add_line(line, "", place, path, sources=sources)

    def add_environment(self, path: Path) -> None:
        """Read the ``pip:`` part of a conda environment.yml. A note lists the conda packages, which are left out."""
        import yaml

        text = self._read_text(path, str(path))
        if text is None:
            return
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            mark = getattr(exc, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            self.problems.append(f"{path}{line}: is not YAML: {getattr(exc, 'problem', None) or exc}")
            return
        listed = document.get("dependencies") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            self.problems.append(f"{path}: has no list of `dependencies`, as a conda environment.yml has")
            return
        conda = [item for item in listed if isinstance(item, str)]
        left_out = [
            item for item in conda if re.split(r"[\s=<>!~\[]", item.rpartition("::")[2])[0] not in _ALREADY_PRESENT
        ]
        if left_out:
            self.notes.append(f"{path}: conda packages are not installed: {', '.join(left_out)}")
        for item in listed:
            for line in _pip_part(item):
                self._add_line(line, "", f"{path}:{_line_of(text, line)}", path)

    def _read_text(self, path: Path, place: str) -> str | None:
        try:
            return path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            self.problems.append(f"{place}: there is no file {path}" if place != str(path) else f"there is no {path}")
        except (OSError, UnicodeDecodeError) as exc:
            self.problems.append(f"{place}: cannot be read: {exc}")
        return None

    def _add_file(self, path: Path, prefix: str, place: str) -> None:
        if (path.resolve(), prefix) in self._seen:
            return  # files may include each other
        self._seen.add((path.resolve(), prefix))
        text = self._read_text(path, place)
        for number, line in _logical_lines(text or ""):
            self._add_line(line, prefix, f"{path}:{number}", path)

    def _add_line(
        self, line: str, prefix: str, place: str, path: Path, *, sources: Mapping[str, Any] | None = None
    ) -> None:
        """Add one requirement, written as in a requirements.txt, from any kind of file."""
        if line.startswith("-"):
            self._add_option(line, prefix, place, path)
            return
        line, _, hashes = line.partition(" --hash")
        if hashes and (path, "hash") not in self._noted:
            self._noted.add((path, "hash"))
            self.notes.append(f"{path}: its hashes are not checked on the nodes")
        line = line.strip()
        problem = _find_problem(line, path, sources or {})
        if problem:
            self.problems.append(f"{place}: {problem}")
        else:
            self.wanted.append(prefix + line)

    def _add_option(self, line: str, prefix: str, place: str, path: Path) -> None:
        # -rfile, -r file, --requirement file and --requirement=file are the same.
        match = re.fullmatch(r"(--[\w-]+|-\w)[\s=]*(.*)", line)
        option, value = match.groups() if match else (line, "")
        if option in _INCLUDES:
            if _URL.match(value):
                self.problems.append(f"{place}: includes {value}: save it as a file, and include that")
            else:
                self._add_file(path.parent / value, prefix or _INCLUDES[option], place)
        elif option in {"-e", "--editable"}:
            self.problems.append(f"{place}: {value or line} is editable: only this computer has it")
        elif option in _INDEX_OPTIONS:
            self.problems.append(
                f"{place}: {option} is not read here: use INDEX_URL, EXTRA_INDEX_URLS, FIND_LINKS or NO_INDEX"
            )
        else:
            self.problems.append(f"{place}: {option} is not understood here; remove the line")


_ALREADY_PRESENT = {"python", "pip", "setuptools", "wheel"}
"""Packages that conda lists and that a virtual environment has already or does not need."""


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers: without comments, and joined where a line ends in a backslash."""
    pending, begins = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        begins = begins or number
        if raw.endswith("\\"):
            pending += raw[:-1]
            continue
        line = re.sub(r"(^|\s)#.*$", "", pending + raw).strip()
        if line:
            yield begins, line
        pending, begins = "", 0


def _find_problem(line: str, path: Path, sources: Mapping[str, Any]) -> str:
    """Return the problem of a requirement; empty if there is none."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if _is_local(line, path):
        return f"{line} is a file or folder: only this computer has it"
    if _URL.match(line):
        return ""  # a URL without a name: pip and uv read the name from the package
    try:
        requirement = Requirement(line)
    except InvalidRequirement as exc:
        return f"{line!r} is no requirement: {str(exc).splitlines()[0]}"
    source = {canonicalize_name(name): value for name, value in sources.items()}.get(
        canonicalize_name(requirement.name)
    )
    if source is not None:
        return f"{line} comes from [tool.uv.sources], which nodes know nothing of: name it by index or by URL"
    return ""


def _is_local(line: str, path: Path) -> bool:
    name, at, reference = line.partition("@")
    target = (reference if at and re.fullmatch(r"[\w.\-\[\], ]+", name) else line).partition(";")[0].strip()
    if _URL.match(target):
        return target.startswith(("file:", "git+file:", "hg+file:"))
    if target.startswith((".", "/", "~", "file:")) or _ARCHIVE.search(target):
        return True
    return "/" in target or (at != "" and reference.strip() == target and (path.parent / target).exists())


def _project_requirements(
    project: Mapping[str, Any], extras: Sequence[str], path: Path, problems: list[str]
) -> Iterator[str]:
    """Yield the project's own dependencies, then those of the extras. An extra may include other extras."""
    from packaging.utils import canonicalize_name

    optional = {canonicalize_name(name): lines for name, lines in project.get("optional-dependencies", {}).items()}
    own = canonicalize_name(str(project.get("name", "")))
    yield from project.get("dependencies", ())
    waiting, done = [(extra, canonicalize_name(extra)) for extra in extras], set[str]()
    while waiting:
        written, extra = waiting.pop(0)
        if extra in done:
            continue
        done.add(extra)
        if extra not in optional:
            known = f"it has {', '.join(sorted(optional))}" if optional else "it has none"
            problems.append(f"{path}: there is no extra {written}: {known}")
        for line in optional.get(extra, ()):
            match = re.match(r"([\w.-]+)\s*\[([^]]*)\]", line)
            if match and canonicalize_name(match[1]) == own:
                waiting += [(name.strip(), canonicalize_name(name.strip())) for name in match[2].split(",")]
            else:
                yield line


def _pip_part(item: object) -> Iterator[str]:
    if isinstance(item, dict):
        for line in item.get("pip") or ():
            yield str(line).strip()


def _line_of(text: str, entry: str) -> int:
    """Return the number of the first line with this entry; 1 if it is written differently."""
    return next((number for number, line in enumerate(text.splitlines(), start=1) if entry in line), 1)
