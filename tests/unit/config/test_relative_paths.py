"""A relative path of a config file begins in the folder of the file, wherever the command is run."""

import json

import pytest

from clusterctl.config import loading
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.wiring.context import load_context

PLUGIN = """
from clusterctl.api import CommaList, ExpandedPath, PathList, Section, hookimpl

class Options(Section):
    file: ExpandedPath | None = None
    files: PathList = ()

class Mine:
    def __init__(self, options):
        self.options = options

    @staticmethod
    @hookimpl
    def clusterctl_settings():
        return Options

    @hookimpl
    def clusterctl_join(self, cluster, node):
        pass
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a config and all that it names, with the working folder elsewhere."""
    folder = tmp_path / "project"
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "mine.py").write_text(PLUGIN)
    (folder / "setup.sh").write_text("#!/bin/sh\n")
    (folder / "config").write_text(
        "[global]\nINCLUDE = more/keys.ini\n"
        "[cluster a]\nEXTENDS = base\nCLUSTER_USER = me\nPROVIDER = ec2\nKEYNAME = k\nUSERDATA_SCRIPTS = setup.sh\n"
        "PLUGINS = mine\n[plugin mine]\nSETUP_CLASS = plugins/mine.py:Mine\nFILE = x\nFILES = y, ~/z, /w\n"
    )
    (folder / "more").mkdir()
    (folder / "more" / "k.pem").touch()
    (folder / "more" / "keys.ini").write_text(
        "[key k]\nKEY_LOCATION = k.pem\n[cluster base]\n[plugin packages]\nREQUIREMENTS = requirements.txt\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def read(project, path=None, **overrides):
    return loading.read_config(
        path or project / "config", template="a", overrides=overrides, environ={}, find_plugin=find_plugin_class
    )


def expect_paths(settings, project):
    assert settings.keys["k"].key_location == project / "more" / "k.pem"
    assert settings.cluster.userdata_scripts == (project / "setup.sh",)
    mine = settings.all_plugins["mine"].options
    assert mine.file == project / "x"
    assert [str(path) for path in mine.files] == [f"{project}/y", f"{project.parent}/home/z", "/w"]
    assert settings.all_plugins["packages"].options.requirements == (project / "more" / "requirements.txt",)


def test_every_path_of_a_file_begins_in_its_folder(project):
    expect_paths(read(project), project)


def test_also_if_the_files_own_path_is_relative(project, monkeypatch):
    monkeypatch.chdir(project.parent)
    expect_paths(read(project, project.relative_to(project.parent) / "config"), project)


def test_a_copy_has_whole_paths(project, tmp_path):
    copy = json.loads(read(project).copy)
    elsewhere = tmp_path / "copies" / "config.json"
    expect_paths(loading.read_copy(copy, elsewhere, environ={}, find_plugin=find_plugin_class), project)


def test_paths_of_the_command_line_begin_in_the_working_folder_and_are_remembered_whole(project, tmp_path, monkeypatch):
    here = tmp_path / "elsewhere"
    (here / "b.sh").touch()
    monkeypatch.setenv("CLUSTERCTL_PROVIDER", "local")
    given = {"userdata_scripts": "b.sh", "mine.file": "b", "mine.files": "c, /d", "packages.packages": "six"}
    context = load_context("lab", config_file=str(project / "config"), report=print, overrides=given, template="a")
    assert context.overrides == {
        "userdata_scripts": f"{here}/b.sh",
        "mine.file": f"{here}/b",
        "mine.files": f"{here}/c, /d",
        "packages.packages": "six",
    }
