"""What a node knows of itself, and what somebody is told who asks it for another cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest

import clusterctl
from clusterctl.clients.here import WORD, Here, find_here
from clusterctl.errors import StateError, UsageError


@pytest.fixture
def word(tmp_path, monkeypatch):
    """Makes this Python one of a node that has this word about itself."""

    def put(text):
        (tmp_path / WORD).write_text(text if isinstance(text, str) else json.dumps(text))
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_a_node_knows_where_dask_is_if_it_has_a_part_in_it(tmp_path):
    here = Here("lab", "node001", tmp_path, state=tmp_path)
    assert here.dask_document() is None
    (tmp_path / "dask").mkdir()
    for text, known in (("{", None), ("[]", None), ('{"host": "10.0.0.1"}', {"host": "10.0.0.1"})):
        (tmp_path / "dask" / "connection.json").write_text(text)
        assert here.dask_document() == known


def test_a_file_of_another_user_is_said_to_be_one(monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "exists", refuse)
    with pytest.raises(StateError, match=r"client\.json is the cluster user's alone"):
        Here("lab", "master", tmp_path / "client.json").client_file(None)


def test_a_laptop_has_no_word(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", "/no/such/folder"])
    assert find_here() is None


def test_a_node_knows_its_cluster_and_the_way_to_its_controller(word, tmp_path):
    file = tmp_path / "client.json"
    word({"cluster": "lab", "node": "master", "file": str(file), "master": ""})
    here = find_here()
    assert here == Here("lab", "master", file)
    file.touch()
    assert here.client_file(None) == here.client_file("lab") == file


def test_a_word_in_the_working_folder_is_none(word, tmp_path, monkeypatch):
    word({"cluster": "lab", "node": "master", "file": "/client.json", "master": ""})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "."])
    assert find_here() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": "lab"}', '{"cluster": 1, "node": 2, "file": 3}'])
def test_a_damaged_word_is_none(word, text):
    word(text)
    assert find_here() is None


@pytest.mark.parametrize(
    ("master", "name", "error", "says"),
    [
        ("", "other", UsageError, "it knows no cluster other"),
        ("", None, StateError, "there is no connection file /no/such.json"),
        ("10.0.0.1", None, StateError, "cannot be reached through the master, 10.0.0.1: there is no ssh"),
    ],
)
def test_connect_says_what_is_missing_and_what_to_do(word, monkeypatch, master, name, error, says):
    word({"cluster": "lab", "node": "node001", "file": "/no/such.json", "master": master})

    def refuse(*_, **__):
        raise OSError("there is no ssh")

    monkeypatch.setattr(subprocess, "run", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
        with pytest.raises(error, match=says) as caught:
            clusterctl.connect(name)
    assert caught.value.remedy
