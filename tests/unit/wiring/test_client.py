"""A client of a cluster's engines, in this Python."""

from __future__ import annotations

import json
import warnings

import pytest

import clusterctl
from clusterctl.errors import StateError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.operations.start import start_cluster
from clusterctl.wiring import client, local_paths


@pytest.fixture
def published(fake):
    start_cluster(fake.parts(name="lab", cluster_size=1))
    folder = ClusterFolder(local_paths.home_folder(), "lab")
    folder.write_file("client.json", "{}")
    entry = {"name": "client", "file": "client.json", "url": None, "summary": ""}
    folder.write_file("connections.json", json.dumps([entry]))
    return folder


def test_its_file_is_found(published):
    assert client.client_file("lab") == client.client_file(None) == published.path / "client.json"


@pytest.mark.parametrize("lost", ["client.json", "connections.json"])
def test_without_one_the_error_says_what_makes_it(published, lost):
    (published.path / lost).unlink()
    with pytest.raises(StateError, match="lab has no connection file") as caught:
        client.client_file("lab")
    assert "clusterctl start lab" in caught.value.remedy


def test_another_python_over_there_is_said(published):
    assert client.warn_of_other_python("lab") == ""
    published.record("note", key="python", value="2.7")
    assert "lab runs 2.7" in client.warn_of_other_python("lab")


def test_connect_without_a_cluster_is_an_error_and_no_traceback_of_ipyparallel(fake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
        with pytest.raises(UsageError):
            clusterctl.connect("nope")
