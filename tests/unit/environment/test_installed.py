"""What `SYNC` finds on the laptop: pins of all that an index can give again, and the reasons for the rest."""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from clusterctl.environment import installed
from clusterctl.errors import PluginError


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Where made-up packages lie, as installers leave them."""
    return tmp_path_factory.mktemp("lib") / "site-packages"


def install(folder, name, version="1.0", *, origin=None, installer="pip", kind="dist-info"):
    info = folder / f"{name}-{version}.{kind}"
    info.mkdir(parents=True, exist_ok=True)
    metadata = info / ("METADATA" if kind == "dist-info" else "PKG-INFO")
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "INSTALLER").write_text(f"{installer}\n")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def read(packages, monkeypatch):
    importlib.import_module("packaging.utils")  # loaded late, when it is not to be found any more
    monkeypatch.setattr(sys, "path", [str(packages)])
    return lambda **options: installed.read(Path(sys.prefix), **options)


def test_what_came_from_an_index_is_pinned_by_name_without_tools_and_excluded(packages, read):
    for name in ("Numpy", "zarr", "PyYAML", "pip", "setuptools", "uv", "clusterctl", "my.pkg"):
        install(packages, name)
    found = read(exclude=["My-Pkg"])
    assert found.pins == ("Numpy==1.0", "PyYAML==1.0", "zarr==1.0")
    assert found.left_out == ()
    assert found.python == ".".join(platform.python_version_tuple()[:2])


def test_what_only_this_computer_has_is_left_out_with_the_reason(packages, read, tmp_path, monkeypatch):
    install(packages, "edit", origin={"url": "file:///src/edit", "dir_info": {"editable": True}})
    install(packages, "wheel-file", origin={"url": "file:///tmp/w.whl", "archive_info": {}})
    vcs = {"url": "https://example.org/g.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    install(packages, "gitted", origin=vcs)
    install(tmp_path / "src", "develop", kind="egg-info")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "src")])
    text = "; ".join(read().left_out)
    assert "edit (editable: /src/edit)" in text
    assert "wheel-file (/tmp/w.whl)" in text
    assert "gitted (to have it, write gitted @ git+https://example.org/g.git@abc into PACKAGES)" in text
    assert f"develop (in {tmp_path / 'src'})" in text
    assert not any("edit" in pin or "gitted" in pin or "develop" in pin for pin in read().pins)


def test_a_url_is_taken_over_and_conda_built_files_are_versions(packages, read):
    install(packages, "far", origin={"url": "https://example.org/far-1.0.whl", "archive_info": {}})
    install(packages, "conda-made", origin={"url": "file:///croot/x", "dir_info": {}}, installer="conda")
    assert {"far @ https://example.org/far-1.0.whl", "conda-made==1.0"} <= set(read().pins)


def test_the_active_environment_goes_before_the_one_that_runs():
    assert installed.active({"VIRTUAL_ENV": "/v", "CONDA_PREFIX": "/c"}) == Path("/v")
    assert installed.active({"CONDA_PREFIX": "/c"}) == Path("/c")
    assert installed.active({"VIRTUAL_ENV": ""}) == Path(sys.prefix)


def test_an_environment_without_a_python_is_an_error_with_a_remedy(tmp_path, allow_subprocess):
    with pytest.raises(PluginError, match="has no Python that runs") as caught:
        installed.read(tmp_path)
    assert "VIRTUAL_ENV" in caught.value.remedy


def test_a_real_environment_is_read_by_its_own_python(tmp_path, allow_subprocess):
    """With an editable project in it, as people have."""
    venv, project = tmp_path / "venv", tmp_path / "project"
    command = [uv.find_uv_bin(), "venv", "--quiet", "--no-project", "--python", sys.executable, venv]
    subprocess.run(command, check=True, capture_output=True)
    (site,) = (venv / "lib").glob("python*/site-packages")
    install(site, "mine", origin={"url": project.as_uri(), "dir_info": {"editable": True}}, installer="uv")
    install(site, "msgpack", "1.1.0", installer="uv")
    found = installed.read(venv)
    assert found.pins == ("msgpack==1.1.0",)
    assert found.left_out == (f"mine (editable: {project})",)
    assert found.prefix == venv
