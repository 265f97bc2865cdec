"""Where the systems of laptops have things."""

from __future__ import annotations

import runpy
import sys

import pytest

from clusterctl.laptop import places


@pytest.mark.parametrize(
    ("platform", "install", "start"),
    [
        ("linux", "install one: `sudo apt-get install docker.io`, or Docker Desktop", "`sudo systemctl start docker`"),
        ("darwin", "install Docker Desktop", "open Docker Desktop"),
    ],
)
def test_how_one_gets_a_docker_engine_is_said_for_each_system(monkeypatch, platform, install, start):
    monkeypatch.setattr(sys, "platform", platform)
    there = runpy.run_path(places.__file__)
    assert there["DOCKER_INSTALL"].startswith(install)
    assert there["DOCKER_START"] == start
    assert there["WITHOUT_LOCAL_NODES"] == ""


def test_a_folder_is_closed_to_others_and_a_files_permissions_are_known(tmp_path):
    tmp_path.chmod(0o755)
    places.close_to_others(tmp_path)
    assert places.permissions_of(tmp_path) == 0o700


def test_the_agent_is_the_one_of_the_environment_or_none():
    assert places.agent_address({"SSH_AUTH_SOCK": "/tmp/agent"}) == "/tmp/agent"
    assert places.agent_address({}) is None


def test_a_file_is_the_users_or_somebody_elses(tmp_path, monkeypatch):
    assert places.is_own(tmp_path)
    monkeypatch.setattr(places.os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert not places.is_own(tmp_path)
