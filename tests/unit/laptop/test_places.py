"""Where the systems of laptops have things."""

from __future__ import annotations

import os
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


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such permissions")
class TestIntruders:
    def test_a_folder_of_ones_own_below_the_systems_is_safe(self, tmp_path):
        assert places.find_intruder(tmp_path / "not" / "there" / "yet") == ""

    @pytest.mark.parametrize("where", ["", "below/it"])
    def test_a_folder_in_which_everybody_may_write_is_not(self, tmp_path, where):
        shared = tmp_path / "shared"
        (shared / "below" / "it").mkdir(parents=True)
        shared.chmod(0o777)
        assert places.find_intruder(shared / where) == f"everybody may write in {shared}"

    def test_where_files_stay_their_owners_ones_own_folder_is_safe_and_the_shared_one_is_not(self, tmp_path):
        shared = tmp_path / "shared"
        (shared / "mine").mkdir(parents=True)
        shared.chmod(0o1777)
        assert places.find_intruder(shared / "mine") == ""
        assert places.find_intruder(shared) == f"everybody may write in {shared}"

    def test_a_link_is_what_it_leads_to(self, tmp_path):
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o777)
        (tmp_path / "link").symlink_to(shared)
        assert places.find_intruder(tmp_path / "link" / "home") == f"everybody may write in {shared}"

    @pytest.mark.skipif(os.geteuid() != 0, reason="root: it takes root to give a folder away")
    def test_another_users_folder_is_not_safe(self, tmp_path):
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 61234, -1)
        assert places.find_intruder(tmp_path / "theirs" / "home") == f"{tmp_path / 'theirs'} belongs to user 61234"
