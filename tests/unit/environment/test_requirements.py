"""What files on the laptop ask for, and which of their lines no node could do anything with."""

from __future__ import annotations

import pytest

from clusterctl.environment.requirements import Requirements, whole


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def read(path, kind="file", **options):
    found = Requirements()
    getattr(found, f"add_{kind}")(path, **options)
    return found


def test_requirements_that_were_split_at_commas_are_whole_again():
    parts = ("numpy>=1", "<3", "!=2.0", "dask[array", "distributed]>=2024", "<2025", "scipy")
    assert whole(parts) == ("numpy>=1,<3,!=2.0", "dask[array,distributed]>=2024,<2025", "scipy")
    assert whole(()) == ()


def test_a_requirements_file_is_read_as_pip_reads_it(write):
    path = write(
        "requirements.txt",
        "\ufeff# all\nnumpy>=1,<3  # fast\n\nscipy \\\n  >=1.10 ; python_version > '3.8'\ndask[array]\n"
        "tool @ https://example.org/tool-1.0.tar.gz#sha256=00\nlib @ git+https://example.org/lib.git@v1\n"
        "https://example.org/bare-1.0-py3-none-any.whl\n",
    )
    found = read(path)
    assert found.problems == []
    assert found.wanted == [
        "numpy>=1,<3",
        "scipy   >=1.10 ; python_version > '3.8'",
        "dask[array]",
        "tool @ https://example.org/tool-1.0.tar.gz#sha256=00",
        "lib @ git+https://example.org/lib.git@v1",
        "https://example.org/bare-1.0-py3-none-any.whl",
    ]


def test_includes_are_followed_from_where_they_stand_and_constraints_only_limit(write):
    write("base/all.txt", "-r more/x.txt\nnumpy\n")
    write("base/more/x.txt", "xarray\n--requirement=../all.txt\n")  # in a circle
    write("limits.txt", "numpy<2\n-r base/old.txt\n")
    write("base/old.txt", "scipy<1.10\n")
    found = read(write("requirements.txt", "-rbase/all.txt\n-c limits.txt\npandas\n"))
    assert found.problems == []
    assert found.wanted == ["xarray", "numpy", "-c numpy<2", "-c scipy<1.10", "pandas"]


@pytest.mark.parametrize(
    "line",
    [
        "./pkg",
        "../pkg",
        "/abs/pkg",
        "~/pkg",
        "pkg/",
        "file:///pkg",
        "x.whl",
        "x @ file:///x",
        "x @ ./x",
        "a @ git+file:///a",
    ],
)
def test_what_only_this_computer_has_is_refused_by_file_and_line(write, line):
    path = write("r.txt", f"numpy\n\n{line}\n")
    found = read(path)
    assert found.problems == [f"{path}:3: {line} is a file or folder: only this computer has it"]
    assert found.wanted == ["numpy"]


def test_a_bare_word_behind_at_is_local_only_where_something_has_that_name(write):
    path = write("r.txt", "numpy\nx @ pkg\ny @ nothing\n")
    write("pkg/setup.py", "")
    write("numpy/setup.py", "")
    found = read(path)
    assert found.problems == [f"{path}:2: x @ pkg is a file or folder: only this computer has it"]
    assert found.wanted == ["numpy", "y @ nothing"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-e ./pkg", "./pkg is editable"),
        ("--editable=git+https://example.org/x", "git+https://example.org/x is editable"),
        ("--index-url https://example.org/simple", "use INDEX_URL"),
        ("-f /wheels", "FIND_LINKS"),
        ("--pre", "--pre is not understood"),
        ("-", "- is not understood"),
        ("numpy==1 ==2", "'numpy==1 ==2' is no requirement: "),
        ("-r https://example.org/r.txt", "save it as a file"),
        ("-r missing.txt", "there is no file"),
    ],
)
def test_every_other_line_that_cannot_be_meant_is_named_too(write, line, words):
    path = write("r.txt", f"numpy\n{line}\n")
    (problem,) = read(path).problems
    assert problem.startswith(f"{path}:2: ")
    assert words in problem
    assert "\n" not in problem


def test_all_problems_are_found_at_once(write, tmp_path):
    found = read(write("r.txt", "-e .\nnum py\n-r deep.txt\n./x\n"))
    found.add_file(tmp_path / "none.txt")
    assert [problem.partition(": ")[0].rpartition("/")[2] for problem in found.problems] == [
        "r.txt:1",
        "r.txt:2",
        "r.txt:3",
        "r.txt:4",
        f"there is no {tmp_path / 'none.txt'}".rpartition("/")[2],
    ]


def test_a_file_that_is_no_text_is_a_problem(tmp_path):
    (tmp_path / "r.txt").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in read(tmp_path / "r.txt").problems[0]
    assert "cannot be read" in read(tmp_path).problems[0]


def test_hashes_are_left_out_and_it_is_said_once(write):
    path = write("r.txt", "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nb==2 --hash=sha256:22\n")
    found = read(path)
    assert found.wanted == ["a==1", "b==2"]
    assert found.notes == [f"{path}: its hashes are not checked on the nodes"]


PYPROJECT = """
[project]
name = "My-Project"
dependencies = ["numpy>=1", "lib @ git+https://example.org/lib"]
[project.optional-dependencies]
plot = ["matplotlib"]
all = ["my_project[plot, test]", "rich"]
test = ["pytest"]
"""


def test_a_projects_dependencies_and_extras_are_read(write):
    path = write("pyproject.toml", PYPROJECT)
    always = ["numpy>=1", "lib @ git+https://example.org/lib"]
    assert read(path, "pyproject").wanted == always
    assert read(path, "pyproject", extras=["ALL"]).wanted == [*always, "rich", "matplotlib", "pytest"]


@pytest.mark.parametrize(
    ("text", "extras", "words"),
    [
        (PYPROJECT, ["plots"], "there is no extra plots: it has all, plot, test"),
        ("[project]\nname = 'x'\n", ["plot"], "it has none"),
        ("[project]\nname = 'x'\ndynamic = ['dependencies']\n", [], "made by its build"),
        ("[project\n", [], "line 1"),
        ("[project]\n\ndependencies = ['x @ file:///x']\n", [], ":3: x @ file:///x is a file or folder"),
        (
            "[project]\ndependencies = ['Own_Lib']\n[tool.uv.sources]\nown-lib = {path = '../x'}\n",
            [],
            "tool.uv.sources",
        ),
    ],
)
def test_what_is_wrong_with_a_project_is_said(write, text, extras, words):
    path = write("pyproject.toml", text)
    (problem,) = read(path, "pyproject", extras=extras).problems
    assert problem.startswith(str(path))
    assert words in problem


def test_the_pip_part_of_a_conda_environment_is_read_and_the_rest_named(write):
    write("r.txt", "rich\n")
    path = write(
        "environment.yml",
        "name: x\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - numpy=1.26\n"
        "  - conda-forge::cudatoolkit\n  - pip\n  - pip:\n    - torch>=2\n    - -r r.txt\n    - -e .\n",
    )
    found = read(path, "environment")
    assert found.wanted == ["torch>=2", "rich"]
    assert found.notes == [f"{path}: conda packages are not installed: numpy=1.26, conda-forge::cudatoolkit"]
    assert found.problems == [f"{path}:11: . is editable: only this computer has it"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [\n", ":3: is not YAML"),
        ("- x\n", "has no list"),
        ("", "has no list"),
        ("dependencies: x", "has no list"),
    ],
)
def test_what_is_no_conda_environment_is_a_problem(write, text, words):
    path = write("environment.yml", text)
    (problem,) = read(path, "environment").problems
    assert problem.startswith(str(path))
    assert words in problem


def test_an_environment_without_a_pip_part_asks_for_nothing(write):
    found = read(write("environment.yml", "dependencies: [python, {pip: }]\n"), "environment")
    assert (found.wanted, found.notes, found.problems) == ([], [], [])


def test_an_entry_that_is_written_differently_is_placed_in_the_first_line(write):
    path = write("pyproject.toml", '[project]\nname = "x"\ndependencies = ["x @ file:///\\u0061"]\n')
    assert read(path, "pyproject").problems == [
        f"{path}:1: x @ file:///a is a file or folder: only this computer has it"
    ]
