"""Every package, plugin and template ships: an editable install works without, and a wheel does not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
PLUGINS = PROJECT["project"]["entry-points"]["clusterctl.plugins"]
AMI = sorted(
    path.relative_to(ROOT / "ami").as_posix()
    for pattern in SETUPTOOLS["package-data"]["clusterctl_ami"]
    for path in (ROOT / "ami").glob(pattern)
    if path.is_file()
)
STANDIN = sorted(
    path.relative_to(ROOT / "tests" / "standin").as_posix()
    for pattern in SETUPTOOLS["package-data"]["clusterctl_standin"]
    for path in (ROOT / "tests" / "standin").glob(pattern)
    if path.is_file()
)
TEMPLATES = sorted(
    path.name
    for pattern in SETUPTOOLS["package-data"]["clusterctl_templates"]
    for path in ROOT.glob(f"templates/{pattern}")
)
SOURCES = [
    *ROOT.glob("clusterctl/**/*.py"),
    *ROOT.glob("plugins/**/*.py"),
    *(ROOT / "templates" / name for name in TEMPLATES),
]


def packages_in_the_tree():
    for name, folder in SETUPTOOLS["package-dir"].items():
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            below = init.parent.relative_to(ROOT / folder).parts
            yield ".".join([name, *below])


def test_the_packages_are_those_of_the_tree():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_in_the_tree())


def test_every_folder_with_python_in_it_is_a_package():
    for folder in SETUPTOOLS["package-dir"].values():
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path


def test_every_plugin_file_has_an_entry_point_of_its_name_and_the_other_way_round():
    files = {path.stem for path in (ROOT / "plugins").glob("*.py")} - {"__init__"}
    files |= {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert set(PLUGINS) == files
    for name, value in PLUGINS.items():
        assert re.fullmatch(rf"clusterctl_plugins\.{name}:\w+", value)


def test_what_is_installed_here_is_what_the_project_says():
    installed = {entry.name: entry.value for entry in entry_points(group="clusterctl.plugins")}
    missing = {name: value for name, value in PLUGINS.items() if installed.get(name) != value}
    assert not missing, f"run `pip install -e .` again: {missing}"
    for entry in entry_points(group="clusterctl.plugins"):
        if entry.name in PLUGINS:
            assert entry.load().__doc__, entry.name


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_used_by_the_program(template):
    users = [path.name for path in SOURCES if f'"{template}"' in path.read_text(encoding="utf-8")]
    assert users


def test_every_template_that_is_named_exists():
    texts = [path.read_text(encoding="utf-8") for path in SOURCES]
    naming = re.compile(r'"([\w.]+\.j2)"|include "([\w.]+)"|joinpath\("([\w.]+\.sh)"\)')
    named = {name for text in texts for names in naming.findall(text) for name in names}
    assert named - {""} == set(TEMPLATES)


def test_templates_are_data_and_nothing_else():
    assert {path.name for path in (ROOT / "templates").iterdir() if path.name != "__pycache__"} == {
        "__init__.py",
        *TEMPLATES,
    }


def test_how_images_are_made_is_data_and_all_of_it_is_named():
    files = {path.relative_to(ROOT / "ami") for path in (ROOT / "ami").rglob("*") if path.is_file()}
    files = {path for path in files if path.suffix != ".pyc"}
    assert {path for path in files if path.suffix == ".py"} == {Path("__init__.py")}
    assert {path.as_posix() for path in files} - set(AMI) == {"__init__.py", "README.md"}


def test_what_is_no_python_in_the_stand_in_is_data_and_all_of_it_is_named():
    files = {path.relative_to(ROOT / "tests" / "standin") for path in (ROOT / "tests" / "standin").rglob("*")}
    others = {path.as_posix() for path in files if path.suffix not in ("", ".py", ".pyc")} | set(STANDIN)
    assert others == {*STANDIN, "README.md"}


@pytest.mark.parametrize("module", ["testing/__init__", "api"])
def test_what_plugin_authors_need_is_shipped(module):
    assert (ROOT / "clusterctl" / f"{module}.py").exists()


def test_every_library_that_is_imported_is_a_dependency_that_is_declared():
    declared = {re.split(r"[<>=\[ ]", text)[0].lower() for text in PROJECT["project"]["dependencies"]}
    # Their distributions come with those that are declared.
    comes_with = {
        "paramiko": "fabric",
        "invoke": "fabric",
        "pydantic_core": "pydantic",
        "botocore": "boto3",
        "requests": "docker",
        "zmq": "ipyparallel",
        "ipython": "ipyparallel",
        "traitlets": "ipyparallel",
        "ipykernel": "ipyparallel",
        "tornado": "ipyparallel",
        "yaml": "pyyaml",
        "tomllib": "tomli",
    }
    # Who has asked for what needs them.
    of_the_user = {"dask", "distributed", "joblib", "mpi4py", "numpy", "sklearn", "threadpoolctl"}
    known = {*sys.stdlib_module_names, *SETUPTOOLS["package-dir"], *of_the_user}
    for path in [*ROOT.glob("clusterctl/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        for module in re.findall(r"^\s*(?:from|import) ([A-Za-z]\w*)[\w.]*(?: import .*)?$", path.read_text(), re.M):
            library = module.lower()
            if module not in known:
                assert comes_with.get(library, library) in declared, f"{path}: {module}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing of an earlier build is in it and nothing is left in the tree."""
    copy = tmp_path_factory.mktemp("copy") / "src"
    unwanted = [".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"]
    unwanted += ["docs", "changelog.d", "e2e", "unit", "benchmarks"]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*unwanted))
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", "out", "."],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    (path,) = (copy / "out").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.e2e
class TestWheel:
    def test_all_modules_templates_and_the_typing_mark_are_in_it(self, wheel):
        names = set(wheel.namelist())
        wanted = {"clusterctl/py.typed", *(f"clusterctl_templates/{name}" for name in TEMPLATES)}
        wanted |= {f"clusterctl_ami/{name}" for name in AMI}
        wanted |= {f"clusterctl_standin/{name}" for name in STANDIN}
        for name, folder in SETUPTOOLS["package-dir"].items():
            files = (ROOT / folder).rglob("*.py")
            wanted |= {f"{name}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}
        assert wanted <= names
        assert {name for name in names if ".dist-info/" not in name} == wanted

    def test_nothing_else_is(self, wheel):
        tops = {name.split("/")[0] for name in wheel.namelist()}
        info = {top for top in tops if top.endswith(".dist-info")}
        assert tops - info == {
            "clusterctl",
            "clusterctl_ami",
            "clusterctl_plugins",
            "clusterctl_standin",
            "clusterctl_templates",
        }

    def test_its_entry_points_are_the_command_and_the_plugins(self, wheel):
        (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
        text = wheel.read(name).decode()
        assert "clusterctl = clusterctl.cli.main:main" in text
        for plugin, value in PLUGINS.items():
            assert f"{plugin} = {value}" in text
