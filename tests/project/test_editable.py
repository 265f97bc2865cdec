"""An editable install finds the package from everywhere, and from the folder above a clone named clusterctl too."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = ROOT / "editable" / "clusterctl_namespace_guard.py"
BUILD = """
import sys
sys.path.insert(0, "editable")
import backend
backend.build_editable("../out")
"""
IMPORT = """
import site, sys
folder, installed, libraries = sys.argv[1:]
sys.path.insert(0, folder)
site.addsitedir(installed)
sys.path.append(libraries)
import clusterctl, clusterctl_plugins.packages
print(clusterctl.__file__)
print(clusterctl.connect.__module__)
"""


@pytest.fixture
def guard(monkeypatch):
    """The guard, before a finder of an editable install."""
    monkeypatch.setattr(sys, "meta_path", [])
    spec = importlib.util.spec_from_file_location("guard_under_test", GUARD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.meta_path += [PathFinder, Installed]
    return module.NamespaceGuard


class Installed:
    """A finder of an editable install."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, None, origin="installed") if name == "clusterctl" else None


def test_a_folder_that_is_no_package_gives_way_and_a_package_does_not(guard, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert guard.find_spec("clusterctl") is None
    (tmp_path / "clusterctl").mkdir()
    importlib.invalidate_caches()
    assert guard.find_spec("clusterctl").origin == "installed"
    assert guard.find_spec("clusterctl.api") is None
    (tmp_path / "clusterctl" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert guard.find_spec("clusterctl") is None


def test_a_source_distribution_has_the_backend():
    assert "graft editable\n" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone, with its editable wheel in `out` beside it."""
    above = tmp_path_factory.mktemp("above")
    clone = above / "clusterctl"
    unwanted = [".*", "build", "dist", "*.egg-info", "__pycache__", "docs", "e2e", "unit", "benchmarks"]
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*unwanted))
    (above / "out").mkdir()
    made = subprocess.run([sys.executable, "-c", BUILD], cwd=clone, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return clone


@pytest.mark.e2e
def test_the_package_is_found_above_the_clone_in_it_and_elsewhere(clone, tmp_path):
    (wheel,) = (clone.parent / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = set(archive.namelist())
        (record,) = [name for name in names if name.endswith("RECORD")]
        assert {line.split(",")[0] for line in archive.read(record).decode().split()} == names
    (libraries,) = {str(Path(pytest.__file__).parents[1])}
    for folder in (clone.parent, clone, tmp_path):
        # Without the site of this environment: clusterctl is installed there too.
        said = subprocess.run(
            [sys.executable, "-I", "-S", "-c", IMPORT, str(folder), str(tmp_path / "installed"), libraries],
            capture_output=True,
            text=True,
            check=False,
        )
        assert said.stdout.splitlines() == [str(clone / "clusterctl" / "__init__.py"), "clusterctl"], said.stderr
