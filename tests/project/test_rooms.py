"""docs/architecture.md draws the rooms as they are, no room is a corridor, and no file of tests is a scroll."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clusterctl"
MOST_FILES = 16
"""In one folder, `__init__.py` included. Past it, what belongs together gets a folder of its own."""
MOST_LINES = 400
"""In one file of tests. Past it, it has several nouns, and each gets a file of its own."""


def drawing() -> list[tuple[int, list[str]]]:
    """The drawing's lines: how far each is indented, and the names on it."""
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Rooms", 1)[1]
    lines = section.split("```text\n", 1)[1].split("```", 1)[0].splitlines()
    parsed = [re.match(r"( *)([a-z_0-9/]+(?:, [a-z_0-9/]+)*)(?: {2,}.*)?$", line) for line in lines]
    assert all(parsed), lines
    return [(len(line[1]), line[2].split(", ")) for line in parsed]


def layers() -> list[set[str]]:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    lines = rules["importlinter:contract:layers"]["layers"].split("\n")
    return [set(line.split(" | ")) for line in lines if line]


def folders() -> set[str]:
    return {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.glob("*/**/__init__.py")}


def test_the_drawing_has_the_layers_that_the_import_rules_have():
    assert [set(names) for indent, names in drawing() if not indent] == layers()


def test_the_drawing_has_every_folder_in_its_room_and_no_other():
    drawn: set[str] = set()
    for indent, names in drawing():
        if not indent:
            rooms = names
            drawn |= {name for name in names if (PACKAGE / name).is_dir()}
            continue
        for name in names:
            (path,) = (f"{room}/{name}" for room in rooms if (PACKAGE / room / name).is_dir())
            drawn.add(path)
    assert drawn == folders()


def test_no_folder_has_more_files_than_one_looks_through():
    counts = {folder: len(list(folder.glob("*.py"))) for folder in (PACKAGE, *(PACKAGE / name for name in folders()))}
    assert {str(folder): count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_no_file_of_tests_is_longer_than_one_reads():
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert {str(path.relative_to(ROOT)): count for path, count in counts.items() if count > MOST_LINES} == {}
