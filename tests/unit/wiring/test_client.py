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


def publish(fake, name):
    start_cluster(fake.parts(name=name, cluster_size=1))
    folder = ClusterFolder(local_paths.home_folder(), name)
    folder.write_file("client.json", "{}")
    entry = {"name": "client", "file": "client.json", "url": None, "summary": ""}
    folder.write_file("connections.json", json.dumps([entry]))
    return folder


@pytest.fixture
def published(fake):
    return publish(fake, "lab")


def test_its_file_is_found(published):
    assert client.client_file("lab") == client.client_file(None) == published.path / "client.json"


def test_no_provider_is_asked_for_the_only_one_that_has_a_file(published, fake, monkeypatch):
    start_cluster(fake.parts(name="stopped", cluster_size=1))
    monkeypatch.setattr(client, "resolve_cluster", lambda _: pytest.fail("asked"))
    assert client.client_file(None) == published.path / "client.json"


def test_a_cluster_of_a_newer_version_keeps_nobody_from_the_other_one(published, fake):
    newer = publish(fake, "newer")
    newer.write_file("connections.json", json.dumps({"format": 99, "connections": []}))
    assert client.client_file(None) == published.path / "client.json"


def test_of_two_that_have_a_file_the_one_that_is_up_is_asked_for(published, fake, monkeypatch):
    publish(fake, "other")
    monkeypatch.setattr(client, "resolve_cluster", lambda _: "other")
    assert client.client_file(None) == published.path.parent / "other" / "client.json"


@pytest.mark.parametrize("lost", ["client.json", "connections.json"])
def test_without_one_the_error_says_what_makes_it(published, lost):
    (published.path / lost).unlink()
    with pytest.raises(StateError, match="lab has no connection file") as caught:
        client.client_file("lab")
    assert "clusterctl start lab" in caught.value.remedy


def test_where_no_engines_were_set_up_a_start_alone_is_not_the_remedy(published):
    (published.path / "connections.json").unlink()
    with pytest.raises(StateError) as caught:
        client.client_file("lab")
    assert caught.value.remedy.startswith("its template's PLUGINS have no ipcluster: name it there")
    published.record("note", key="engine_ids", value={"master": [0, 2]})
    with pytest.raises(StateError) as caught:
        client.client_file("lab")
    assert caught.value.remedy == "`clusterctl start lab` makes it anew"


def test_another_python_over_there_is_said(published):
    assert client.warn_of_other_python("lab") == ""
    published.record("note", key="python", value="2.7")
    assert "lab runs 2.7" in client.warn_of_other_python("lab")


def test_another_major_version_of_ipyparallel_is_refused(published, monkeypatch):
    for known in (None, "9.0", "9.99.1"):
        if known:
            published.record("note", key="ipyparallel", value=known)
        monkeypatch.setattr(client, "version", lambda _: "9.2.0")
        client.refuse_other_ipyparallel("lab")
    published.record("note", key="ipyparallel", value="8.8.0")
    with pytest.raises(StateError, match=r"this Python has ipyparallel 9.2.0 and lab runs 8\.8\.0") as caught:
        client.refuse_other_ipyparallel("lab")
    assert "ipyparallel==8.8.0" in caught.value.remedy


def test_a_connection_file_is_its_clusters_or_a_strangers(published, tmp_path):
    assert client.cluster_of_file(published.path / "client.json") == "lab"
    assert client.cluster_of_file(tmp_path / "client.json") is None
    assert client.cluster_of_file(published.path / "sub" / "client.json") is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
        with pytest.raises(StateError, match=r"there is no connection file .*/mine\.json"):
            clusterctl.connect(tmp_path / "mine.json", sshkey="KEY")


def test_the_engines_that_were_set_up_are_known(published):
    assert client.engines_of("lab") == {}
    published.record("note", key="engine_ids", value={"master": [0, 2], "node001": [2, 3]})
    assert client.engines_of("lab") == {"master": range(2), "node001": range(2, 5)}


def test_connect_without_a_cluster_is_an_error_and_no_traceback_of_ipyparallel(fake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
        with pytest.raises(UsageError):
            clusterctl.connect("nope")
