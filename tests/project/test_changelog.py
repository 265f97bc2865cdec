"""What changed is written in fragments, and the changelog is made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from clusterctl import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "changelog.d"
FRAGMENTS = sorted(path.name for path in FOLDER.glob("*") if path.name != "README.md")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
TYPES = [entry["directory"] for entry in SETTINGS["type"]]


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_each_fragment_has_a_number_a_name_and_a_known_type(fragment):
    assert re.fullmatch(rf"\d{{4}}\.[a-z0-9-]+\.({'|'.join(TYPES)})\.md", fragment)
    assert (FOLDER / fragment).read_text(encoding="utf-8").strip()


def test_the_guide_to_fragments_names_every_type():
    rows = re.findall(r"^\| `(\w+)` \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == TYPES


def test_the_changelog_can_be_built_from_the_fragments(allow_subprocess):
    pytest.importorskip("towncrier", reason="the lint extra is not installed")
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "99.0"]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    assert "## 99.0 (" in build.stdout
    for fragment in FRAGMENTS:
        first_line = (FOLDER / fragment).read_text(encoding="utf-8").splitlines()[0]
        assert first_line in build.stdout, fragment


def test_a_release_in_the_changelog_is_not_newer_than_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = [Version(release) for release in re.findall(r"^## (\S+) \(", text, re.MULTILINE)]
    assert releases == sorted(set(releases), reverse=True)
    assert releases[0] <= Version(__version__)
