"""Where concrete classes are chosen: folder, config, provider, plugins, and which cluster is meant."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import clusterctl
from clusterctl import config, wiring
from clusterctl.errors import ClusterctlError, ConfigError, ProviderError, StateError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.model import Facet, NodeState
from clusterctl.operations.launch import start
from clusterctl.plugin_host import find
from clusterctl.providers.docker import DockerProvider
from clusterctl.providers.local import LocalProvider
from clusterctl.ssh import SSHRemote
from clusterctl.testing import FakeProvider, fake_node


@pytest.fixture
def home():
    return wiring.home()


@pytest.fixture
def fake(lab, monkeypatch):
    """The only provider there is."""
    lab.provider.name = "local"
    lab.home = wiring.home()
    monkeypatch.setitem(wiring._PROVIDERS, "local", lambda _: lab.provider)
    return lab


def settings(text="", tmp_path=None, **overrides):
    path = None
    if text:
        path = tmp_path / "config"
        path.write_text(text)
    return config.load(path, overrides=overrides, environ={}, find_plugin=find)


class TestPlaces:
    def test_home_is_said_by_the_environment_or_is_the_users(self, monkeypatch, tmp_path):
        monkeypatch.setenv("CLUSTERCTL_HOME", "~/mine")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert wiring.home() == tmp_path / "mine"
        for value in (None, ""):
            monkeypatch.delenv("CLUSTERCTL_HOME") if value is None else monkeypatch.setenv("CLUSTERCTL_HOME", value)
            assert wiring.home() == tmp_path / ".clusterctl"

    def test_the_config_is_the_one_named_then_the_environments_then_ours_if_it_is_there(self, home, monkeypatch):
        assert wiring.config_path(None) is None
        (home / "config").touch()
        assert wiring.config_path(None) == home / "config"
        monkeypatch.setenv("CLUSTERCTL_CONFIG", "~/other")
        assert wiring.config_path(None) == Path("~/other").expanduser()
        assert wiring.config_path("/named") == Path("/named")


class TestProvider:
    def test_local_is_there(self):
        assert isinstance(wiring.provider("local"), LocalProvider)

    def test_one_that_is_not_in_this_version_says_which_are(self):
        with pytest.raises(UsageError, match="provider gce is not in this version") as caught:
            wiring.provider("gce")
        assert "local" in caught.value.remedy

    def test_docker_is_there_and_its_nodes_are_this_users(self, monkeypatch):
        assert isinstance(wiring.provider("docker"), DockerProvider)
        monkeypatch.setattr(wiring.getpass, "getuser", lambda: "DOMAIN\\ann")
        apart = wiring._owner()
        assert re.fullmatch(r"DOMAIN-ann-[0-9a-f]{8}", apart)
        monkeypatch.setenv("CLUSTERCTL_HOME", "/elsewhere")
        assert wiring._owner() not in {apart, "DOMAIN-ann"}
        monkeypatch.delenv("CLUSTERCTL_HOME")
        assert wiring._owner() == "DOMAIN-ann"

    def test_only_docker_has_images_and_builds_them(self):
        assert list(wiring.image_providers()) == ["docker"]
        assert isinstance(wiring.base_images(), DockerProvider)


class TestAccount:
    def test_it_is_what_the_aws_section_and_the_environment_say_whatever_else_is_in_the_file(self, home, monkeypatch):
        (home / "config").write_text("[aws]\naws_region_name = eu-west-3\n[cluster a]\nnonsense = 1\n[cluster b]\n")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        assert wiring.aws(None).region == "eu-west-3"
        assert wiring.aws(None, "us-west-2").region == "us-west-2"
        monkeypatch.setenv("AWS_REGION", "eu-north-1")
        assert wiring.aws(None).region == "eu-north-1"

    def test_without_a_file_the_environment_is_enough(self, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "eu-north-1")
        assert wiring.aws(None).region == "eu-north-1"

    def test_a_key_and_its_secret_go_to_the_session(self, home):
        (home / "config").write_text("[aws]\naws_access_key_id = AKIA\naws_secret_access_key = hunter2\n")
        known = wiring.aws(None)._credentials
        assert (known.access_key_id, known.secret_access_key.reveal()) == ("AKIA", "hunter2")
        assert "hunter2" not in repr(known)

    def test_what_is_wrong_in_its_own_section_is_told(self, home):
        (home / "config").write_text("[aws]\nregion = x\n")
        with pytest.raises(ConfigError, match="unknown option"):
            wiring.aws(None)

    def test_its_owner_is_the_user_at_this_computer_apart_for_a_folder_elsewhere(self, monkeypatch):
        monkeypatch.setattr(wiring.getpass, "getuser", lambda: "ann")
        monkeypatch.setattr(wiring.platform, "node", lambda: "desk.example.org")
        assert re.fullmatch(r"ann@desk-[0-9a-f]{8}", wiring.ec2_owner())
        monkeypatch.setattr(wiring.platform, "node", lambda: "x" * 300)
        assert len(wiring.ec2_owner()) == 128
        monkeypatch.delenv("CLUSTERCTL_HOME")
        monkeypatch.setattr(wiring.platform, "node", lambda: "")
        assert wiring.ec2_owner() == "ann@unknown"


class TestHost:
    def test_packages_act_first_named_or_not(self):
        assert wiring.host_of(settings(plugins="ipcluster"), frozenset()).names == ("packages", "ipcluster")
        assert wiring.host_of(settings(plugins=""), frozenset()).names == ("packages",)

    def test_on_machines_users_volumes_and_shared_folders_come_before_them(self):
        machine = frozenset({Facet.MACHINE, Facet.INIT})
        names = wiring.host_of(settings(plugins="ipcluster"), machine).names
        assert names == ("volumes", "base", "nfs", "packages", "spot", "ipcluster")
        shared = wiring.host_of(settings(plugins="ipcluster"), machine | {Facet.SHARED_HOME}).names
        assert shared == ("volumes", "base", "packages", "spot", "ipcluster")

    def test_but_where_it_is_named_it_stays_where_it_is(self):
        assert wiring.host_of(settings(plugins="ipcluster,packages"), frozenset()).names == ("ipcluster", "packages")

    def test_a_subclass_takes_its_place(self, tmp_path):
        (tmp_path / "mine.py").write_text(
            "from clusterctl_plugins.packages import Packages\nclass Mine(Packages):\n    pass\n"
        )
        made = settings(
            f"[cluster a]\nplugins = mine\n[plugin mine]\nsetup_class = {tmp_path}/mine.py:Mine\n", tmp_path
        )
        assert wiring.host_of(made, frozenset()).names == ("mine",)

    def test_its_section_counts_though_the_template_does_not_name_it(self, tmp_path):
        made = settings("[cluster a]\nplugins = ipcluster\n[plugin packages]\npackages = numpy\n", tmp_path)
        requests = dict(wiring.host_of(made, frozenset()).requests())
        assert requests["packages"].pip == ("numpy",)

    def test_one_more_comes_last_with_the_options_of_its_section(self, tmp_path):
        text = "[cluster a]\nplugins = ipcluster\n[plugin ipclusterrestart]\nrestart_timeout = 7\n"
        host = wiring.host_of(settings(text, tmp_path), frozenset(), "ipclusterrestart")
        assert host.names == ("packages", "ipcluster", "ipclusterrestart")
        assert host.plugins[-1].plugin._options.restart_timeout == 7
        assert wiring.host_of(settings(plugins="ipcluster"), frozenset(), "ipclusterstop").names[-1] == "ipclusterstop"
        named = wiring.host_of(settings(plugins="ipcluster"), frozenset(), "ipcluster")
        assert named.names == ("packages", "ipcluster")

    def test_an_unknown_one_is_a_fault_of_the_command_line(self):
        with pytest.raises(ClusterctlError, match="unknown plugin nope") as caught:
            wiring.host_of(settings(), frozenset(), "nope")
        assert caught.value.exit_code == 2


class TestParts:
    def test_a_cluster_keeps_its_template_and_what_its_start_said(self, fake, home):
        (home / "config").write_text(
            "[cluster small]\nprovider=local\n[cluster big]\nprovider=local\ncluster_size=7\n"
            "[global]\ndefault_template=small\n"
        )
        folder = ClusterFolder(home, "lab")
        folder.ensure()
        folder.record("create", provider="local", template="big", overrides={"min_size": "2"}, nodes=["master"])
        parts = wiring.parts("lab", config_file=None, report=print)
        assert (parts.settings.template, parts.settings.cluster.min_size) == ("big", 2)
        assert parts.overrides == {"min_size": "2"}
        told = wiring.parts("lab", config_file=None, report=print, template="small", overrides={"min_size": "1"})
        assert (told.settings.template, told.settings.cluster.min_size) == ("small", 1)

    def test_nodes_are_reached_over_ssh_with_the_clusters_own_key(self, home):
        folder = ClusterFolder(home, "lab")
        remote = wiring.connector(folder)(fake_node("node001"))
        assert isinstance(remote, SSHRemote)
        assert (remote._key, remote._known_hosts, remote._log) == (
            folder.key,
            folder.known_hosts,
            folder.log("node001"),
        )

    def test_a_broken_config_is_an_error(self, fake, home):
        (home / "config").write_text("[cluster x]\nnonsense = 1\n")
        with pytest.raises(ConfigError):
            wiring.parts("lab", config_file=None, report=print)

    def test_but_not_where_a_cluster_is_only_looked_at_or_ended(self, fake, home):
        (home / "config").write_text("[cluster x]\nnonsense = 1\n")
        parts, trouble = wiring.lenient_parts("lab", config_file=None, report=print)
        assert "NONSENSE" in trouble
        assert parts.provider is fake.provider
        (home / "config").unlink()
        assert wiring.lenient_parts("lab", config_file=None, report=print)[1] == ""

    def test_a_cluster_whose_files_are_lost_is_that_of_the_provider_that_has_its_nodes(self, fake, home, monkeypatch):
        other = FakeProvider(name="docker")
        monkeypatch.setitem(wiring._PROVIDERS, "docker", lambda _: other)
        monkeypatch.setitem(wiring._PROVIDERS, "static", lambda _: FakeProvider())
        start(replace(fake.parts(name="lab", cluster_size=1), provider=other))
        shutil.rmtree(ClusterFolder(home, "lab").path)
        assert wiring.known_clusters()["lab"] == NodeState.RUNNING
        assert wiring.lenient_parts("lab", config_file=None, report=print)[0].provider is other
        assert wiring.lenient_parts("new", config_file=None, report=print)[0].provider is fake.provider
        (home / "config").write_text("[cluster x]\nnonsense = 1\n")
        assert wiring.lenient_parts("lab", config_file=None, report=print)[0].provider is other

    def test_a_config_that_names_another_provider_by_now_hides_no_nodes(self, fake, home, monkeypatch):
        other = FakeProvider(name="docker")
        monkeypatch.setitem(wiring._PROVIDERS, "docker", lambda _: other)
        (home / "config").write_text("[cluster a]\nprovider = docker\n")
        folder = ClusterFolder(home, "lab")
        folder.ensure()
        folder.record("create", provider="docker", template="a", overrides={}, nodes=["master"])
        (home / "config").write_text("[cluster a]\nprovider = local\n")
        assert wiring.lenient_parts("lab", config_file=None, report=print)[0].provider is other


class TestWhichCluster:
    def test_a_provider_that_does_not_answer_hides_no_other(self, fake, monkeypatch):
        start(fake.parts(name="up", cluster_size=1))
        with pytest.raises(ProviderError, match="no Docker engine"):
            wiring.provider("docker").nodes()
        assert wiring.known_clusters() == {"up": NodeState.RUNNING}

    def test_those_of_the_provider_and_those_of_this_laptop(self, fake, home):
        start(fake.parts(name="up", cluster_size=2))
        start(fake.parts(name="off", cluster_size=1))
        fake.provider.stop("off")
        start(fake.parts(name="half", cluster_size=2))
        fake.provider.power_off("half", "master")
        start(fake.parts(name="vanished", cluster_size=1))
        fake.provider.lose("vanished", "master")
        (home / "clusters" / "no_journal").mkdir()
        assert wiring.known_clusters() == {
            "half": NodeState.RUNNING,
            "off": NodeState.STOPPED,
            "up": NodeState.RUNNING,
            "vanished": NodeState.GONE,
        }

    def test_the_only_one_that_is_up_need_not_be_named(self, fake):
        with pytest.raises(UsageError, match="no cluster is up"):
            wiring.the_cluster(None)
        start(fake.parts(name="one", cluster_size=1))
        start(fake.parts(name="off", cluster_size=1))
        fake.provider.stop("off")
        assert wiring.the_cluster(None) == "one"
        start(fake.parts(name="two", cluster_size=1))
        with pytest.raises(UsageError, match="2 clusters are up") as caught:
            wiring.the_cluster(None)
        assert "one, two" in caught.value.remedy

    def test_one_that_is_named_must_exist(self, fake):
        start(fake.parts(name="one", cluster_size=1))
        assert wiring.the_cluster("one") == "one"
        with pytest.raises(UsageError, match="there is no cluster tow") as caught:
            wiring.the_cluster("tow")
        assert "one" in caught.value.remedy


class TestClient:
    @pytest.fixture
    def published(self, fake):
        start(fake.parts(name="lab", cluster_size=1))
        folder = ClusterFolder(wiring.home(), "lab")
        folder.write("client.json", "{}")
        entry = {"name": "client", "file": "client.json", "url": None, "summary": ""}
        folder.write("connections.json", json.dumps([entry]))
        return folder

    def test_its_file_is_found(self, published):
        assert wiring.client_file("lab") == wiring.client_file(None) == published.path / "client.json"

    @pytest.mark.parametrize("lost", ["client.json", "connections.json"])
    def test_without_one_the_error_says_what_makes_it(self, published, lost):
        (published.path / lost).unlink()
        with pytest.raises(StateError, match="lab has no connection file") as caught:
            wiring.client_file("lab")
        assert "clusterctl start lab" in caught.value.remedy

    def test_another_python_over_there_is_said(self, published):
        assert wiring.other_python("lab") == ""
        published.record("note", key="python", value="2.7")
        assert "lab runs 2.7" in wiring.other_python("lab")

    def test_connect_without_a_cluster_is_an_error_and_no_traceback_of_ipyparallel(self, fake):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
            with pytest.raises(UsageError):
                clusterctl.connect("nope")
