"""Who a run is for the nodes: the holder of the cluster's lock, with a number that grows."""

from __future__ import annotations

import json
import os

import pytest

from clusterctl.journal import TURN_FILE, ClusterFolder
from clusterctl.wiring.owner import OwnerOfNodes, command_name


@pytest.fixture
def folder(tmp_path):
    return ClusterFolder(tmp_path, "lab")


def owner_of_next_run(folder):
    owners = OwnerOfNodes(folder)
    with folder.exclusive_lock():
        return owners.current()


def test_who_does_not_hold_the_lock_is_no_owner_and_writes_nothing(folder):
    assert OwnerOfNodes(folder).current() is None
    assert not folder.path.exists()


def test_all_scripts_of_a_run_have_one_owner(folder):
    owners = OwnerOfNodes(folder)
    with folder.exclusive_lock():
        first = owners.current()
        assert first is owners.current()
    assert owners.current() is None
    assert first.turn == 1
    assert f"process {os.getpid()}" in first.who
    assert first.what.endswith(" lab")


def test_each_run_has_the_next_number_of_its_folder_and_a_name_of_its_own(folder):
    folder.ensure_exists()
    first, second = owner_of_next_run(folder), owner_of_next_run(folder)
    assert (second.home, second.turn) == (first.home, first.turn + 1)
    assert second.run != first.run


def test_a_run_that_asks_for_no_owner_takes_no_number(folder):
    folder.ensure_exists()
    first = owner_of_next_run(folder)
    with folder.exclusive_lock():
        pass
    assert owner_of_next_run(folder).turn == first.turn + 1


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "1", '{"home": 1, "number": "x"}', '{"home": "a b", "number": 3}', '{"format": 99, "home": "a"}'],
)
def test_a_folder_whose_file_is_damaged_counts_anew_under_a_new_name(folder, content):
    folder.ensure_exists()
    first = owner_of_next_run(folder)
    (folder.path / TURN_FILE).write_text(content)
    second = owner_of_next_run(folder)
    assert second.home != first.home
    assert second.turn == 1
    assert json.loads((folder.path / TURN_FILE).read_text())["home"] == second.home


def test_a_folder_that_has_nothing_else_does_not_stay(folder):
    assert owner_of_next_run(folder).turn == 1
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("/usr/bin/clusterctl start -s 3 lab", "clusterctl start"),
        ("clusterctl -d -c /home/me/config addnode lab", "clusterctl addnode"),
        ("clusterctl start --set aws.aws_secret_access_key=s3cret lab", "clusterctl start"),
        ("clusterctl", "clusterctl"),
        ("/usr/bin/pytest -x", "pytest"),
        ("", "Python"),
    ],
)
def test_a_command_is_told_without_its_options(line, name):
    assert command_name(line.split()) == name
