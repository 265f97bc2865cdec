"""The stand-in for EC2 can be used where nothing else of the source is, by the steps of its guide."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "tests" / "standin"
GUIDE = (ROOT / "docs" / "howto" / "standin.md").read_text(encoding="utf-8")
STEPS = GUIDE.split("## A plugin's tests", 1)[1].split("\n## ", 1)[0]
MOST_FILES = 16
"""In one folder, `__init__.py` included."""


def find_imports(path):
    """What a file imports from other packages: how many folders up, and the name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, f"{node.module or ''}.{alias.name}".lstrip(".")) for alias in node.names)


def read_files():
    """The files that the guide's steps make, by their names."""
    blocks = re.findall(r'^ *```python title="([\w.]+)"\n(.*?)^ *```$', STEPS, re.MULTILINE | re.DOTALL)
    return {name: textwrap.dedent(text) for name, text in blocks}


def draw_names():
    """The rooms and modules in the drawing of the stand-in's README."""
    drawing = (STANDIN / "README.md").read_text(encoding="utf-8").split("```text\n", 1)[1].split("```", 1)[0]
    room = ""
    for line in drawing.splitlines():
        indent, names = re.match(r"( *)([a-z_/]+(?:, [a-z_]+)*)(?: {2,}.*)?$", line).groups()
        room = room if indent else names if names.endswith("/") else ""
        yield from (f"{room}{name}" for name in names.split(", ")) if indent or not room else [room]


def list_files(folder):
    return [path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc"]


def test_the_drawing_shows_every_room_and_module():
    files = [path.relative_to(STANDIN) for path in STANDIN.rglob("*.py")]
    modules = {path.with_suffix("").as_posix() for path in files if path.name != "__init__.py"}
    rooms = {f"{path.parent.as_posix()}/" for path in files if path.parent != Path()}
    assert sorted(draw_names()) == sorted(modules | rooms)


def test_no_room_is_a_corridor():
    for folder in [STANDIN, *(path for path in STANDIN.rglob("*") if path.is_dir())]:
        assert len(list_files(folder)) <= MOST_FILES, folder


def test_it_imports_nothing_else_of_the_tests():
    for path in STANDIN.rglob("*.py"):
        most = len(path.relative_to(STANDIN).parts)
        for level, name in find_imports(path):
            assert level <= most, f"{path}: {name}"
            assert not (level == 0 and name.split(".")[0] in ("tests", "clusterctl_standin")), f"{path}: {name}"


def test_tests_have_one_name_for_it():
    """By the path of its folder each module would be loaded a second time, with a state of its own."""
    for path in (ROOT / "tests").rglob("*.py"):
        is_its_own = path.is_relative_to(STANDIN) or path.parent == ROOT / "tests" / "unit" / "standin"
        if not is_its_own and "standin" in path.read_text(encoding="utf-8"):
            for level, name in find_imports(path):
                assert not (level and name.split(".")[0] == "standin"), f"{path}: {name}"
                assert not name.startswith("tests.standin"), f"{path}: {name}"


def test_the_guide_installs_what_the_stand_in_needs():
    assert "pip install '/path/to/clusterctl[standin]' pytest" in STEPS


@pytest.mark.e2e
@pytest.mark.slow
def test_the_steps_of_the_guide_work_in_a_fresh_folder(tmp_path):
    files = read_files()
    assert list(files) == ["snapshots.py", "conftest.py", "test_snapshots.py"]
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "COV_"))}
    clean |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "AWS_PROFILE": "mine"}
    made = subprocess.run(["pytest", "-q"], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=150)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "4 passed" in made.stdout
