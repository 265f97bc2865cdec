"""Where our files are, and whose nodes are ours where several people share an engine."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from clusterctl.errors import StateError
from clusterctl.wiring import local_paths


def test_home_is_said_by_the_environment_or_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("CLUSTERCTL_HOME", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_paths.home_folder() == tmp_path / "mine"
    for value in (None, ""):
        monkeypatch.delenv("CLUSTERCTL_HOME") if value is None else monkeypatch.setenv("CLUSTERCTL_HOME", value)
        assert local_paths.home_folder() == tmp_path / ".clusterctl"


def test_the_config_is_the_one_named_then_the_environments_then_ours_if_it_is_there(home, monkeypatch):
    assert local_paths.config_path(None) is None
    (home / "config").touch()
    assert local_paths.config_path(None) == home / "config"
    monkeypatch.setenv("CLUSTERCTL_CONFIG", "~/other")
    assert local_paths.config_path(None) == Path("~/other").expanduser()
    assert local_paths.config_path("/named") == Path("/named")


def test_whose_nodes_they_are_is_this_user_apart_for_a_folder_elsewhere(monkeypatch):
    monkeypatch.setattr(local_paths.getpass, "getuser", lambda: "DOMAIN\\ann")
    apart = local_paths.docker_owner()
    assert re.fullmatch(r"DOMAIN-ann-[0-9a-f]{8}", apart)
    monkeypatch.setenv("CLUSTERCTL_HOME", "/elsewhere")
    assert local_paths.docker_owner() not in {apart, "DOMAIN-ann"}
    monkeypatch.delenv("CLUSTERCTL_HOME")
    assert local_paths.docker_owner() == "DOMAIN-ann"


def test_a_config_in_the_home_of_a_user_who_does_not_exist_is_a_missing_file(home, monkeypatch):
    monkeypatch.setenv("CLUSTERCTL_CONFIG", "~nobody-of-this-name/config")
    assert local_paths.config_path(None) == Path("~nobody-of-this-name/config")


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such permissions")
def test_a_home_in_which_others_may_write_is_refused(monkeypatch, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("CLUSTERCTL_HOME", str(tmp_path / "open" / "mine"))
    with pytest.raises(StateError, match=f"everybody may write in {tmp_path}/open"):
        local_paths.home_folder()
