"""What runs on nodes keeps to what is there: which Python, which libraries, and none of our own modules."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterctl.node.programs import node_program

from ...support.node_texts import sent_modules, sent_text

ROOT = Path(__file__).parents[3] / "clusterctl" / "on_node"
SYSTEM = sorted((ROOT / "system").rglob("*.py"))
WITH_IPYPARALLEL = sorted((ROOT / "with_ipyparallel").rglob("*.py"))
LIBRARIES = {"ipyparallel", "ipykernel", "zmq", "tornado", "traitlets"}
LATER = {
    "itertools": ("pairwise", "batched"),
    "datetime": ("UTC",),
    "enum": ("StrEnum",),
    "contextlib": ("chdir", "aclosing"),
    "typing": ("ParamSpec", "TypeAlias", "Self", "assert_never", "override"),
    "inspect": ("get_annotations",),
    "hashlib": ("file_digest",),
}
"""What the standard library has since 3.10, and somebody may reach for."""


OF_SOME_TASKS = {
    **{name: {"numpy"} for name in ("objects", "rows")},
    "fits": {"joblib", "threadpoolctl"},
    **{name: {"zmq"} for name in ("doors", "passing")},
    **{name: {"mpi4py"} for name in ("mpi_group", "worlds")},
}
"""What runs only for tasks that were given an array, are joblib's, or work together, some of them by MPI."""


def imported(path):
    """The top names that a file imports, but for those that only types need."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SYSTEM, ids=name)
def test_the_systems_python_needs_the_standard_library_alone(path):
    assert set(imported(path)) <= sys.stdlib_module_names


@pytest.mark.parametrize("path", WITH_IPYPARALLEL, ids=name)
def test_the_environments_python_needs_what_comes_with_ipyparallel(path):
    assert set(imported(path)) <= sys.stdlib_module_names | LIBRARIES


@pytest.mark.parametrize("path", sorted((ROOT / "in_engine").rglob("*.py")), ids=name)
def test_what_is_sent_into_an_engine_needs_what_each_engine_has(path):
    is_together = path.parent.name == "together"  # numpy where a value is an array of it
    libraries = {"IPython", "cloudpickle"} | OF_SOME_TASKS.get(path.stem, set())
    libraries |= {"zmq", "numpy"} if is_together else set()
    assert set(imported(path)) <= sys.stdlib_module_names | libraries


@pytest.mark.parametrize("path", SYSTEM, ids=name)
def test_python_3_9_reads_it(path):
    """Amazon Linux has it."""
    text = path.read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    assert "from __future__ import annotations" in text or "__init__" in path.name, "X | Y is a type since 3.10"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not {alias.name for alias in node.names} & set(LATER.get(node.module, ()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in LATER.get(node.value.id, ())
        if isinstance(node, ast.Call):
            words = {keyword.arg for keyword in node.keywords}
            assert not (getattr(node.func, "id", "") == "zip" and "strict" in words)
            assert not words & {"slots", "kw_only"}
        assert type(node).__name__ != "Match"


PROGRAMS = sorted(path for path in [*SYSTEM, *WITH_IPYPARALLEL] if re.search(r"^def main\(", path.read_text(), re.M))


@pytest.mark.parametrize("path", PROGRAMS, ids=name)
def test_each_program_is_whole_and_python_reads_it(path):
    module = ".".join(["clusterctl", "on_node", *path.relative_to(ROOT).with_suffix("").parts])
    text = node_program(module, {"a": 1})
    old = (3, 9) if path in SYSTEM else None
    for source in (text, sent_text(text), *sent_modules(text).values()):
        ast.parse(source, feature_version=old)
    # A line of a program may not end the heredoc that it comes in.
    assert not {"CLUSTERCTL_PROGRAM", "CLUSTERCTL_EOF", "CLUSTERCTL_SPOT_EOF", "CLUSTERCTL_AS_USER"} & set(
        text.split("\n")
    )


@pytest.fixture(scope="module")
def python_3_9():
    """The program, or none. A version manager's may be there, and be nothing but an error."""
    found = shutil.which("python3.9")
    works = found and subprocess.run([found, "-I", "-c", ""], capture_output=True).returncode == 0
    return found if works else None


@pytest.mark.parametrize("path", [path for path in PROGRAMS if path in SYSTEM], ids=name)
def test_python_3_9_loads_it_where_there_is_one(path, tmp_path, allow_subprocess, python_3_9):
    if python_3_9 is None:
        pytest.skip("there is no python3.9 here: what can be told without it is")
    (tmp_path / "program.py").write_text(node_program(path))
    code = "import runpy; print(runpy.run_path('program.py')['program'].main.__name__)"
    done = subprocess.run([python_3_9, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("main\n", "")


def test_every_module_of_theirs_is_sent_by_a_program():
    """Nothing here is for later. The carrier is in each of them."""
    sent = {text for path in PROGRAMS for text in sent_modules(node_program(path)).values()}
    for path in [*SYSTEM, *WITH_IPYPARALLEL]:
        if path.name not in ("__init__.py", "notebook_startup.py", "carrier.py"):
            assert path.read_text() in sent, path
