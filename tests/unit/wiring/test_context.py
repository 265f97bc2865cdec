"""What an operation gets to work with, and what it gets if the config is broken or the files here are lost."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from clusterctl.errors import ConfigError
from clusterctl.events import Reporter
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.operations.start import start_cluster
from clusterctl.remote.ssh import SSHRemote
from clusterctl.testing import FakeProvider, fake_node
from clusterctl.wiring import clusters, providers
from clusterctl.wiring.context import lenient_context, load_context, make_connector


def test_a_cluster_keeps_its_template_and_what_its_start_said(fake, home):
    (home / "config").write_text(
        "[cluster small]\nprovider=local\n[cluster big]\nprovider=local\ncluster_size=7\n"
        "[global]\ndefault_template=small\n"
    )
    folder = ClusterFolder(home, "lab")
    folder.ensure_exists()
    folder.record("create", provider="local", template="big", overrides={"min_size": "2"}, nodes=["master"])
    parts = load_context("lab", config_file=None, report=Reporter(print))
    assert (parts.settings.template, parts.settings.cluster.min_size) == ("big", 2)
    assert parts.overrides == {"min_size": "2"}
    told = load_context("lab", config_file=None, report=Reporter(print), template="small", overrides={"min_size": "1"})
    assert (told.settings.template, told.settings.cluster.min_size) == ("small", 1)


def test_nodes_are_reached_over_ssh_with_the_clusters_own_key(home):
    folder = ClusterFolder(home, "lab")
    remote = make_connector(folder)(fake_node("node001"))
    assert isinstance(remote, SSHRemote)
    assert (remote._key, remote._known_hosts, remote._log) == (
        folder.private_key_file,
        folder.known_hosts_file,
        folder.log_file("node001"),
    )


def test_a_broken_config_is_an_error(fake, home):
    (home / "config").write_text("[cluster x]\nnonsense = 1\n")
    with pytest.raises(ConfigError):
        load_context("lab", config_file=None, report=Reporter(print))


def test_but_not_where_a_cluster_is_only_looked_at_or_ended(fake, home):
    (home / "config").write_text("[cluster x]\nnonsense = 1\n")
    parts, trouble = lenient_context("lab", config_file=None, report=Reporter(print))
    assert "NONSENSE" in trouble
    assert parts.provider is fake.provider
    (home / "config").unlink()
    assert lenient_context("lab", config_file=None, report=Reporter(print))[1] == ""


def test_a_cluster_whose_files_are_lost_is_that_of_the_provider_that_has_its_nodes(fake, home, monkeypatch):
    other = FakeProvider(name="docker")
    monkeypatch.setitem(providers._PROVIDERS, "docker", lambda _: other)
    monkeypatch.setitem(providers._PROVIDERS, "static", lambda _: FakeProvider())
    start_cluster(replace(fake.parts(name="lab", cluster_size=1), provider=other))
    shutil.rmtree(ClusterFolder(home, "lab").path)
    assert clusters.known_clusters()["lab"] == NodeState.RUNNING
    assert lenient_context("lab", config_file=None, report=Reporter(print))[0].provider is other
    assert lenient_context("new", config_file=None, report=Reporter(print))[0].provider is fake.provider
    (home / "config").write_text("[cluster x]\nnonsense = 1\n")
    assert lenient_context("lab", config_file=None, report=Reporter(print))[0].provider is other


def test_a_config_that_names_another_provider_by_now_hides_no_nodes(fake, home, monkeypatch):
    other = FakeProvider(name="docker")
    monkeypatch.setitem(providers._PROVIDERS, "docker", lambda _: other)
    (home / "config").write_text("[cluster a]\nprovider = docker\n")
    folder = ClusterFolder(home, "lab")
    folder.ensure_exists()
    folder.record("create", provider="docker", template="a", overrides={}, nodes=["master"])
    (home / "config").write_text("[cluster a]\nprovider = local\n")
    assert lenient_context("lab", config_file=None, report=Reporter(print))[0].provider is other
