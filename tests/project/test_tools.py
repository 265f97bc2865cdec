"""The tools of a contributor are those of CI: their versions, their settings, and when they run."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOLS = SETTINGS["project"], SETTINGS["tool"]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = [Requirement(line) for line in CONSTRAINTS.splitlines() if not line.startswith("#")]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


def declared_requirements():
    for extra in ([], *PROJECT["optional-dependencies"].values()):
        for requirement in map(Requirement, extra or PROJECT["dependencies"]):
            if requirement.name != PROJECT["name"]:  # an extra may have another one in it
                yield requirement


def pin_of(name, python):
    """The one version that the constraints allow on Linux with this Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    pins = [pin for pin in PINS if pin.name == name and (pin.marker is None or pin.marker.evaluate(environment))]
    assert len(pins) == 1, f"{name} on Python {python}: {[str(pin) for pin in pins]}"
    return pins[0]


# --- versions


def test_constraints_are_pins_without_a_url_or_the_name_of_a_host():
    assert not re.search(r"://|\bfile:|@|--(?:extra-)?index-url [^-]|--find-links|-f ", CONSTRAINTS)
    for pin in PINS:
        assert re.fullmatch(r"==[\w.+]+", str(pin.specifier)), pin
        assert not pin.extras


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_all_that_the_project_and_its_extras_name(python):
    for requirement in declared_requirements():
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            (pin,) = pin_of(canonicalize_name(requirement.name), python).specifier
            assert requirement.specifier.contains(pin.version), f"{requirement}: run what CONTRIBUTING.md says"


def test_the_command_that_makes_the_constraints_is_the_documented_one():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (written,) = re.findall(r"^#    (uv pip compile .*)$", CONSTRAINTS, re.MULTILINE)
    assert written in guide.replace("compile --upgrade", "compile")


def test_ci_installs_the_pinned_versions():
    installs = [line for line in CI.splitlines() if "pip install" in line]
    assert installs
    assert all("-c constraints.txt" in line for line in installs)


# --- settings


def test_the_tools_look_for_what_the_lowest_python_has():
    lowest = min(SpecifierSet(PROJECT["requires-python"]), key=str).version
    assert lowest == PYTHONS[0]
    assert TOOLS["mypy"]["python_version"] == lowest
    assert TOOLS["ruff"]["target-version"] == f"py{lowest.replace('.', '')}"


def read_editor_rules():
    parser = configparser.ConfigParser()
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    assert parser["top"]["root"] == "true"
    return [(name, dict(parser[name])) for name in parser.sections() if name != "top"]


def find_rules(path):
    """What the sections say of a file, the last one first. Of the patterns only those that we use are known."""
    rules = {}
    for pattern, settings in read_editor_rules():
        start, brace, choices = pattern.removesuffix("}").partition("{")
        names = [f"{start}{choice}" for choice in choices.split(",")] if brace else [pattern]
        if any(fnmatch(path.name, name) for name in names):
            rules |= settings
    return rules


def test_files_are_as_the_editor_is_told_to_write_them(allow_subprocess):
    assert int(read_editor_rules()[0][1]["max_line_length"]) == TOOLS["ruff"]["line-length"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no checkout of git")
    for path in (ROOT / name for name in listed.stdout.split("\0") if name):
        if not path.is_file() or b"\0" in (data := path.read_bytes()):
            continue
        rules, text = find_rules(path), data.decode("utf-8")
        assert "\r\n" not in text, path
        assert not text or text.endswith("\n"), f"{path} does not end with a line's end"
        if rules["trim_trailing_whitespace"] == "true":
            assert not re.search(r"[ \t]$", text, re.MULTILINE), f"{path} has blanks at the end of a line"


# --- when they run


def test_hooks_before_a_commit_fetch_nothing():
    assert [repo["repo"] for repo in HOOKS["repos"]] == ["local"]
    assert {hook["language"] for repo in HOOKS["repos"] for hook in repo["hooks"]} == {"system"}


def test_hooks_before_a_commit_are_the_checks_of_ci():
    tools = {"ruff", "mypy", "lint-imports", "mkdocs"}
    entries = [shlex.split(hook["entry"]) for hook in HOOKS["repos"][0]["hooks"]]
    of_ci = [shlex.split(line.replace('"$bin/', '"')) for line in CI.splitlines() if line.startswith('"$bin/')]
    assert [entry for entry in entries if entry[0] in tools] == [call for call in of_ci if call[0] in tools]
    assert [entry[0] for entry in entries if entry[0] not in tools] == ["pytest"]


def test_the_guide_lists_the_checks_of_ci():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for hook in HOOKS["repos"][0]["hooks"]:
        assert hook["entry"].removesuffix(" --quiet").replace("pytest -q", "pytest") in guide, hook["entry"]


def test_the_security_page_says_the_truth_of_ci_and_names_nobody():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "audits no dependencies" in page
    assert "audit" not in CI
    assert not re.search(r"\S@\S+\.\w", page)
    for target in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (ROOT / target).exists(), target


def test_coverage_is_measured_by_ci_alone_and_has_a_floor():
    assert re.search(r"pytest --cov ", CI)
    assert "--cov" not in TOOLS["pytest"]["ini_options"]["addopts"]
    assert "--cov" not in (ROOT / "README.md").read_text(encoding="utf-8")
    assert TOOLS["coverage"]["report"]["fail_under"] >= 80
    assert set(TOOLS["coverage"]["run"]["source_pkgs"]) == {"clusterctl", "clusterctl_plugins"}


def test_the_modules_of_the_mutation_sample_exist_and_have_tests():
    program = (ROOT / "tests" / "benchmarks" / "mutants.py").read_text(encoding="utf-8")
    modules = re.findall(r'^    "(clusterctl/.*\.py)",$', program, re.MULTILINE)
    assert len(modules) >= 20
    for module in modules:
        assert (ROOT / module).is_file(), module
    assert "tests/benchmarks/mutants.py" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
