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
from clusterctl.plugin.host import PluginHost
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


class TestAConfigFileThatWasNamed:
    """`-c FILE` of a start holds for the commands after it."""

    @pytest.fixture
    def start(self, fake):
        """Start the cluster of this context, with fake nodes and without plugins."""
        return lambda context: start_cluster(
            replace(context, connector=fake.connector, plugin_host=PluginHost(()), report=Reporter(print))
        )

    @pytest.fixture
    def started(self, start, home, tmp_path):
        """A cluster that was started with a file of another place, from a template that only this file has."""
        (home / "config").write_text("[cluster usual]\nprovider = local\n")
        file = tmp_path / "elsewhere.ini"
        file.write_text("[cluster special]\nprovider = local\ncluster_size = 1\n")
        start(load_context("lab", config_file=str(file), report=Reporter(print)))
        return file

    def test_is_read_by_every_later_command(self, start, started):
        context, trouble = lenient_context("lab", config_file=None, report=Reporter(print))
        assert (context.settings.path, context.settings.template, trouble) == (started, "special", "")
        start(context)
        assert load_context("lab", config_file=None, report=Reporter(print)).settings.path == started

    def test_comes_before_the_one_of_the_environment_and_after_one_that_is_named_now(self, started, home, monkeypatch):
        monkeypatch.setenv("CLUSTERCTL_CONFIG", str(home / "config"))
        assert load_context("lab", config_file=None, report=Reporter(print)).settings.path == started
        now = load_context("lab", config_file=str(home / "config"), report=Reporter(print), template="usual")
        assert now.settings.path == home / "config"
        assert load_context("other", config_file=None, report=Reporter(print)).settings.path == home / "config"

    def test_by_the_environment_is_remembered_too(self, start, tmp_path, monkeypatch):
        file = tmp_path / "elsewhere.ini"
        file.write_text("[cluster special]\nprovider = local\ncluster_size = 1\n")
        monkeypatch.setenv("CLUSTERCTL_CONFIG", str(file))
        start(load_context("lab", config_file=None, report=Reporter(print)))
        monkeypatch.delenv("CLUSTERCTL_CONFIG")
        assert load_context("lab", config_file=None, report=Reporter(print)).settings.template == "special"

    def test_with_a_relative_path_is_found_from_everywhere(self, start, started, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        start(load_context("lab", config_file="elsewhere.ini", report=Reporter(print)))
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        assert load_context("lab", config_file=None, report=Reporter(print)).settings.path == started

    def test_and_is_gone_is_said_and_ends_no_other_way(self, started):
        started.unlink()
        with pytest.raises(ConfigError, match=f"lab was started with the config file {started}, which is not there"):
            load_context("lab", config_file=None, report=Reporter(print))
        assert "is not there" in lenient_context("lab", config_file=None, report=Reporter(print))[1]

    def test_usual_one_is_not_remembered_and_may_move(self, start, home):
        (home / "config").write_text("[cluster usual]\nprovider = local\ncluster_size = 1\n")
        start(load_context("lab", config_file=None, report=Reporter(print)))
        assert ClusterFolder(home, "lab").last_config() is None


def test_what_the_last_start_said_and_no_longer_holds_is_not_called_a_command_line(fake, home):
    (home / "config").write_text("[cluster a]\nprovider = local\n")
    folder = ClusterFolder(home, "lab")
    folder.ensure_exists()
    overrides = {"cluster_size": "many", "ipcluster.enable_curve": "perhaps"}
    folder.record("create", provider="local", template="gone", overrides=overrides, nodes=["master"])
    with pytest.raises(ConfigError) as caught:
        load_context("lab", config_file=None, report=Reporter(print))
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["last start"] * 2
    assert "-c FILE" in caught.value.remedy
    with pytest.raises(ConfigError) as caught:
        load_context("lab", config_file=None, report=Reporter(print), template="a", overrides={"cluster_size": "x"})
    assert {problem.partition(":")[0] for problem in caught.value.problems} == {"command line", "last start"}
