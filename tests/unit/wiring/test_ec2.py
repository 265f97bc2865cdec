"""The account that the config and the environment say, and whose resources are ours in it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from clusterctl.config.cluster_section import ClusterSection
from clusterctl.errors import ConfigError
from clusterctl.options import read_section
from clusterctl.wiring import ec2, local_paths


def test_it_is_what_the_aws_section_and_the_environment_say_whatever_else_is_in_the_file(home, monkeypatch):
    (home / "config").write_text("[aws]\naws_region_name = eu-west-3\n[cluster a]\nnonsense = 1\n[cluster b]\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert ec2.open_account(None).region == "eu-west-3"
    assert ec2.open_account(None, "us-west-2").region == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert ec2.open_account(None).region == "eu-north-1"


def test_without_a_file_the_environment_is_enough(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert ec2.open_account(None).region == "eu-north-1"


@pytest.mark.parametrize(
    ("said", "master", "worker"),
    [("yes", True, True), ("no", False, False), ("master", True, False), ("True", True, True)],
)
def test_public_addresses_are_for_all_for_none_or_for_the_master(said, master, worker):
    section, faults = read_section(ClusterSection, {"public_ips": said, "cluster_user": "me"})
    options = ec2._provider_options(SimpleNamespace(cluster=section, permissions={}))
    assert not faults
    assert (options.has_public_ip("master"), options.has_public_ip("node001")) == (master, worker)


def test_another_value_is_refused():
    _, ((key, told),) = read_section(ClusterSection, {"public_ips": "workers", "cluster_user": "me"})
    assert key == "public_ips"
    assert "yes or no" in told
    assert "master" in told


@pytest.fixture
def aws_files(tmp_path, monkeypatch):
    """AWS's own config file, and nothing else that names a region or a profile."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "aws-config"
    file.write_text(
        "[default]\nregion = eu-west-1\n[profile lab]\nregion = eu-central-1\n[profile bare]\noutput = json\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    return file


def test_where_nothing_else_says_the_region_is_the_profiles(home, aws_files, monkeypatch):
    assert ec2.open_account(None).region == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert ec2.open_account(None).region == "eu-central-1"
    monkeypatch.delenv("AWS_PROFILE")
    (home / "config").write_text("[aws]\naws_profile = bare\n")
    assert ec2.open_account(None).region == "us-east-1"
    (home / "config").write_text("[aws]\naws_profile = lab\naws_region_name = us-west-2\n")
    assert ec2.open_account(None).region == "us-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert ec2.open_account(None).region == "eu-north-1"


@pytest.mark.parametrize("text", ["", "region = x", "[default\n", "\x00", "[default]\nregion\n"])
def test_a_config_of_aws_that_cannot_be_read_names_none(aws_files, text):
    aws_files.write_text(text)
    assert ec2.open_account(None).region == "us-east-1"
    aws_files.unlink()
    assert ec2.open_account(None).region == "us-east-1"


def test_a_key_and_its_secret_go_to_the_session(home):
    (home / "config").write_text("[aws]\naws_access_key_id = AKIA\naws_secret_access_key = hunter2\n")
    known = ec2.open_account(None)._credentials
    assert (known.access_key_id, known.secret_access_key.reveal()) == ("AKIA", "hunter2")
    assert "hunter2" not in repr(known)


def test_what_is_wrong_in_its_own_section_is_told(home):
    (home / "config").write_text("[aws]\nregion = x\n")
    with pytest.raises(ConfigError, match="unknown option"):
        ec2.open_account(None)


def test_its_owner_is_the_user_at_this_computer_apart_for_a_folder_elsewhere(monkeypatch):
    monkeypatch.setattr(local_paths.getpass, "getuser", lambda: "ann")
    monkeypatch.setattr(ec2.platform, "node", lambda: "desk.example.org")
    assert re.fullmatch(r"ann@desk-[0-9a-f]{8}", ec2.owner_tag())
    monkeypatch.setattr(ec2.platform, "node", lambda: "x" * 300)
    assert len(ec2.owner_tag()) == 128
    monkeypatch.delenv("CLUSTERCTL_HOME")
    monkeypatch.setattr(ec2.platform, "node", lambda: "")
    assert ec2.owner_tag() == "ann@unknown"
