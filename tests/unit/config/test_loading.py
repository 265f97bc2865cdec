"""config.load: INI text and section models -> Settings."""

import getpass
from decimal import Decimal
from pathlib import Path

import pytest

from clusterctl.config import draft, loading
from clusterctl.config.settings import PermissionSection, Settings, VolumeSection
from clusterctl.errors import ConfigError, PluginError
from clusterctl.model import Market
from clusterctl.options import CommaList, Field, SecretText, Section
from clusterctl.secret import Secret
from clusterctl.text import comma_list


class IPClusterOptions(Section):
    enable_notebook: bool = False
    notebook_directory: str = ""
    token: SecretText | None = None


class PackagesOptions(Section):
    packages: CommaList = Field((), description="requirements")


class IPCluster:
    clusterctl_settings = staticmethod(lambda: IPClusterOptions)


class Packages:
    clusterctl_settings = staticmethod(lambda: PackagesOptions)


class Plain:
    """A plugin without options."""


PLUGINS = {"ipcluster": IPCluster, "packages": Packages, "plain": Plain}
INSTALLED = "installed: ipcluster, packages, plain"


def find_plugin(name: str, setup_class: str | None) -> type:
    if setup_class or name not in PLUGINS:
        raise PluginError(f"unknown plugin {setup_class or name}", remedy=INSTALLED)
    return PLUGINS[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config"


def load(file: Path, text: str, **options: object) -> Settings:
    file.write_text(text)
    return loading.read_config(file, **{"environ": {}, "find_plugin": find_plugin, **options})


def problems(file: Path, text: str, **options: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(file, text, **options)
    assert caught.value.exit_code == 2
    return tuple(problem.replace(f"{file}: ", "") for problem in caught.value.problems)


def test_without_a_file_there_is_a_local_template_with_ipcluster():
    settings = loading.read_config(None, environ={}, find_plugin=find_plugin)
    assert (settings.template, settings.cluster.provider_name) == ("local", "local")
    assert [choice.name for choice in settings.plugins] == ["ipcluster"]
    assert settings.cluster.cluster_size == 3
    assert settings.cluster.cluster_user == getpass.getuser()


def test_a_missing_file_names_the_command_that_writes_one(file):
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        loading.read_config(file, environ={}, find_plugin=find_plugin)
    assert "config init" in caught.value.remedy


def test_a_child_overrides_its_parents_key_by_key(file):
    text = """
[cluster c]
EXTENDS = b
PLUGINS =
[cluster b]
extends = a
CLUSTER_SIZE = 5
SPOT_BID =
[cluster a]
cluster_size = 4
min_size = 2
spot_bid = 0.1
plugins = ipcluster
"""
    settings = load(file, text, template="c")
    assert (settings.cluster.cluster_size, settings.cluster.min_size) == (5, 2)
    assert settings.cluster.spot_bid is None
    assert settings.cluster.plugins == ()
    assert settings.origins["cluster.cluster_size"].section == "cluster b"
    assert settings.templates == ("c", "b", "a")


def test_sections_that_extend_each_other_are_named(file):
    found = problems(file, "[cluster a]\nextends=b\n[cluster b]\nextends=c\n[cluster c]\nextends=a\n", template="a")
    assert "[cluster a] EXTENDS: the sections extend each other: a -> b -> c -> a" in found


def test_an_unknown_parent_names_the_nearest(file):
    found = problems(file, "[cluster a]\nextends=bigg\n[cluster big]\n", template="a")
    assert found == ("[cluster a] EXTENDS: there is no section [cluster bigg] (did you mean big?)",)


def test_command_line_beats_environment_beats_section_beats_parent_beats_default(file):
    text = "[cluster p]\ncluster_user=me\ncluster_size=4\nstart_timeout=5\nmin_size=1\nspot_bid=1\n"
    text += "[cluster a]\nextends=p\nstart_timeout=6\nmin_size=2\nspot_bid=2\n"
    environ = {"CLUSTERCTL_MIN_SIZE": "3", "CLUSTERCTL_SPOT_BID": "3", "CLUSTERCTL_HOME": "/x"}
    settings = load(file, text, template="a", environ=environ, overrides={"spot_bid": "4"})
    cluster, origins = settings.cluster, settings.origins
    assert (cluster.cluster_size, cluster.start_timeout, cluster.min_size) == (4, 6.0, 3)
    assert cluster.spot_bid == Decimal(4)
    keys = ("cluster_size", "start_timeout", "min_size", "spot_bid", "tunnel")
    assert [origins[f"cluster.{key}"].where for key in keys] == [
        "file",
        "file",
        "environment",
        "command line",
        "default",
    ]
    assert str(origins["cluster.min_size"]) == "environment: CLUSTERCTL_MIN_SIZE"


def test_the_template_is_the_named_or_the_default_or_the_only_one(file):
    two = "[cluster a]\n[cluster b]\n"
    assert load(file, "[cluster a]\n").template == "a"
    assert load(file, "[global]\ndefault_template=b\n" + two).template == "b"
    assert load(file, "[global]\ndefault_template=b\n" + two, template="a").template == "a"
    assert load(file, two, environ={"CLUSTERCTL_DEFAULT_TEMPLATE": "b"}).template == "b"
    assert "a, b" in problems(file, two)[0]
    assert "did you mean a?" in problems(file, "[global]\ndefault_template=aa\n" + two)[0]
    assert problems(file, two, template="zzz") == (
        "command line: --cluster-template: there is no section [cluster zzz]; there are: a, b",
    )


def test_all_problems_come_at_once_with_file_section_and_key(file):
    text = """
[cluster a]
CLUSTER_SIZE = x
MIN_SIZE = 0
KEYNMAE = k
VOLUMES = dta
PLUGINS = ipclster, nothing
SPOT_BID = -1
PUBLIC_IPS = maybe
TUNNEL = sometimes
PROVIDER = ec3
CLUSTER_USER = a b
[cluster unused]
CLUSTER_SIZE = 0
[plugin ipcluster]
enable_notebok = yes
[volume data]
volume_id = v
mount_path = data
[permission web]
from_port = 0
to_port = 70000
[permission icmp]
ip_protocol = icmp
from_port = 8
to_port = -1
cidr_ip = here
[clutser b]
"""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        loading.check_config(file, environ={}, find_plugin=find_plugin)
    assert {problem.replace(f"{file}: ", "") for problem in caught.value.problems} == {
        "line 28: [clutser b]: unknown kind of section (did you mean cluster?)",
        "[cluster a] CLUSTER_SIZE: expected a whole number, got 'x'",
        "[cluster a] MIN_SIZE: expected at least 1, got '0'",
        "[cluster a] KEYNMAE: unknown option (did you mean KEYNAME?)",
        "[cluster a] VOLUMES: there is no section [volume dta] (did you mean data?)",
        f"[cluster a] PLUGINS: unknown plugin ipclster (did you mean ipcluster?); {INSTALLED}",
        f"[cluster a] PLUGINS: unknown plugin nothing; {INSTALLED}",
        "[cluster a] SPOT_BID: expected a number greater than 0, got '-1'",
        "[cluster a] PUBLIC_IPS: expected yes or no, got 'maybe', or expected master, got 'maybe'",
        "[cluster a] TUNNEL: expected one of auto, always, never, got 'sometimes'",
        "[cluster a] PROVIDER: expected one of local, docker, static, ec2, got 'ec3' (did you mean ec2?)",
        "[cluster a] CLUSTER_USER: expected something like me, got 'a b'",
        "[cluster unused] CLUSTER_SIZE: expected at least 1, got '0'",
        "[plugin ipcluster] ENABLE_NOTEBOK: unknown option (did you mean ENABLE_NOTEBOOK?)",
        "[volume data] VOLUME_ID: expected something like vol-0123456789abcdef0, got 'v'",
        "[volume data] MOUNT_PATH: expected an absolute path below /, got 'data'",
        "[permission web] FROM_PORT: expected a port from 1 to 65535, got 0",
        "[permission web] TO_PORT: expected at most 65535, got '70000'",
        f"[permission web] CIDR_IP: is required: {PermissionSection.model_fields['cidr_ip'].description}",
        "[permission icmp] FROM_PORT: expected -1, as icmp has no ports, got 8",
        "[permission icmp] CIDR_IP: expected addresses such as 192.0.2.0/24, got 'here'",
    }


def test_a_line_indented_by_mistake_is_found_and_not_part_of_the_value_above(file):
    found = problems(file, "[cluster a]\ncluster_user = me\n  CLUSTER_SIZE = 4\n")
    assert found == (
        "[cluster a] CLUSTER_USER: the line CLUSTER_SIZE below it is indented and so part of it; unindent it",
    )


def test_values_out_of_bounds_of_each_other_are_refused(file):
    assert problems(file, "[cluster a]\nmin_size=3\n", overrides={"cluster_size": "2"}) == (
        "[cluster a] MIN_SIZE: expected at most CLUSTER_SIZE (2), got 3",
    )
    assert "named twice" in problems(file, "[cluster a]\nplugins=plain, plain\n")[0]


@pytest.mark.parametrize("provider", ["ec2", "docker", "local", "static\nhosts=x"])
def test_a_key_file_that_nothing_reads_may_be_elsewhere(file, tmp_path, provider):
    text = f"[key k]\nkey_location={tmp_path}/k\n[cluster a]\nkeyname=k\ncluster_user=me\nprovider={provider}\n"
    missing = f"{file}: [key k] KEY_LOCATION: there is no file {tmp_path}/k; clusterctl does not need it"
    assert any(note.startswith(missing) for note in load(file, text).notes)
    (tmp_path / "k").touch()
    assert not any("KEY_LOCATION" in note for note in load(file, text).notes)
    nowhere = load(file, text.replace(f"key_location={tmp_path}/k\n", ""))
    assert nowhere.keys["k"].key_location is None
    assert not any("KEY_LOCATION" in note for note in nowhere.notes)


def test_what_has_no_effect_is_noted(file):
    notes = load(file, "[key k]\n[cluster a]\nkeyname=k\ncluster_user=me\nprovider=local\n").notes
    assert any(note.startswith("CLUSTER_USER, KEYNAME: no effect") for note in notes)


def test_a_template_that_names_no_plugin_is_noted_as_one_without_engines(file):
    without = "[cluster a] has no PLUGINS, so no engines: ipcluster sets them up"
    assert without in load(file, "[cluster a]\n").notes
    assert without not in load(file, "[cluster a]\nplugins=\n").notes
    inherited = "[cluster b]\nplugins=ipcluster\n[cluster a]\nextends=b\n[global]\ndefault_template=a\n"
    assert load(file, inherited).notes == ()


def test_root_is_the_cluster_user_only_of_root_on_this_computer(file, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert load(file, "[cluster a]\n").cluster.cluster_user == "root"
    assert load(file, "[cluster a]\nprovider=docker\n").cluster.cluster_user == "cluster"
    refused = problems(file, "[cluster a]\nprovider=docker\ncluster_user=root\n")[0]
    assert "CLUSTER_USER: work does not run as root" in refused
    monkeypatch.setattr(getpass, "getuser", lambda: "me")
    assert "CLUSTER_USER" in problems(file, "[cluster a]\ncluster_user=root\n")[0]


def test_any_option_of_ec2_means_the_provider_ec2(file):
    for line in ("node_image_id=x", "node_instance_type=a, b", "spot_bid=1"):
        assert load(file, f"[cluster a]\ncluster_user=me\n{line}\n").cluster.provider_name == "ec2"
    assert load(file, "[cluster a]\nspot_bid=1\nprovider=docker\ncluster_user=me\n").cluster.provider_name == "docker"


def test_the_environment_gives_the_whole_aws_key_or_none_of_it(file):
    text = "[aws info]\naws_access_key_id=f\naws_secret_access_key=s\naws_session_token=t\naws_region_name=r\n"
    text += "[cluster a]\n"
    environ = {
        "AWS_ACCESS_KEY_ID": "e",
        "AWS_SECRET_ACCESS_KEY": "z",
        "AWS_DEFAULT_REGION": "q",
        "AWS_PROFILE": "p",
    }
    aws = load(file, text, environ=environ).aws
    assert (aws.aws_access_key_id, aws.aws_session_token, aws.aws_region_name, aws.aws_profile) == (
        "e",
        None,
        "q",
        "p",
    )
    assert aws.aws_secret_access_key.reveal() == "z"
    assert load(file, text).aws.aws_session_token.reveal() == "t"


def test_a_region_of_the_environment_that_wins_over_another_one_is_noted(file):
    text = "[aws]\naws_region_name=eu-west-1\n[cluster a]\nplugins=ipcluster\n"
    (note,) = load(file, text, environ={"AWS_DEFAULT_REGION": "us-east-1"}).notes
    assert "AWS_DEFAULT_REGION is us-east-1, and wins over AWS_REGION_NAME = eu-west-1" in note
    assert load(file, text, environ={"AWS_REGION": "eu-west-1"}).notes == ()
    assert load(file, "[cluster a]\nplugins=ipcluster\n", environ={"AWS_REGION": "eu-west-1"}).notes == ()


def test_an_unknown_variable_names_the_nearest_and_reserved_ones_pass(file):
    environ = {f"CLUSTERCTL_{name}": "x" for name in draft.RESERVED_VARIABLES} | {"CLUSTERCTL_CLUSTER_SZE": "3"}
    near = "(did you mean CLUSTERCTL_CLUSTER_SIZE?)"
    assert problems(file, "[cluster a]\n", environ=environ) == (
        f"environment: CLUSTERCTL_CLUSTER_SZE: unknown option {near}; unset it",
    )


def test_no_message_holds_a_secret(file):
    text = "[aws]\naws_secret_access_key = hunter2\n  aws_profile = x\nhunter2\n"
    text += "[plugin ipcluster]\ntoken=hunter2\n  enable_notebook=hunter2\n[cluster a]\nclster_size=1\n"
    assert "hunter2" not in "".join(problems(file, text))
    good = load(file, "[aws]\naws_secret_access_key = hunter2\n[cluster a]\n")
    assert "hunter2" not in repr(good)
    assert isinstance(good.aws.aws_secret_access_key, Secret)


def test_lists_split_at_commas_and_line_ends():
    assert comma_list(" a, b,\n c\n,") == ("a", "b", "c")


def test_a_market_is_one_of_three_words(file):
    assert load(file, "[cluster a]\nMARKET = spot\n", template="a").cluster.market is Market.SPOT
    assert load(file, "[cluster a]\nMARKET =\n", template="a").cluster.market is None
    assert problems(file, "[cluster a]\nMARKET = sopt\n", template="a") == (
        "[cluster a] MARKET: expected one of spot, spot-with-fallback, on-demand, got 'sopt' (did you mean spot?)",
    )


@pytest.mark.parametrize("path", ["/etc", "/etc/x", "/proc", "/usr", "/usr/lib/x", "/var", "/opt/clusterctl/env"])
def test_a_disk_is_not_mounted_over_the_system(path):
    with pytest.raises(ValueError, match="the system of the nodes has its files there"):
        VolumeSection(volume_id="vol-1", mount_path=path)


@pytest.mark.parametrize("path", ["/data", "/home", "/home/me", "/opt", "/usr/local/data", "/var/data", "/scratch/etc"])
def test_a_disk_is_mounted_where_there_is_room(path):
    assert str(VolumeSection(volume_id="vol-1", mount_path=path).mount_path) == path


def test_a_path_with_a_blank_is_refused_before_anything_is_bought():
    with pytest.raises(ValueError, match="without blanks"):
        VolumeSection(volume_id="vol-1", mount_path="/data with space")
