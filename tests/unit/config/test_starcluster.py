"""StarCluster's files: mapped to today's words with a note, or refused with what to write instead."""

from pathlib import Path

import pytest

from clusterctl.config import ini, loading
from clusterctl.config.ini import Origin
from clusterctl.config.starcluster import IMAGES, INSTANCE_TYPES, NO_EFFECT, NO_PLUGIN, PLUGINS, translate_section
from clusterctl.errors import ConfigError
from clusterctl.options import CommaList, Section
from clusterctl.plugin.loader import find_plugin_class

from ...support.talk import SECTIONS

TALK = (
    SECTIONS
    + """
[cluster ip]
KEYNAME = mykey
CLUSTER_USER = iptest
NODE_IMAGE_ID = ami-999d49f0
NODE_INSTANCE_TYPE = c1.xlarge
DISABLE_QUEUE = True
SPOT_BID = 0.10
PLUGINS = ippackages, ipcluster
"""
)


class IPClusterOptions(Section):
    enable_notebook: bool = False
    notebook_directory: str = ""


class PackagesOptions(Section):
    packages: CommaList = ()


class IPCluster:
    clusterctl_settings = staticmethod(lambda: IPClusterOptions)


class Packages:
    clusterctl_settings = staticmethod(lambda: PackagesOptions)


class Restart:
    pass


def find_plugin(name: str, setup_class: str | None) -> type:
    assert setup_class is None, "StarCluster's class paths must not get here"
    return {"ipcluster": IPCluster, "packages": Packages, "ipclusterrestart": Restart}[name]


def modern(kind: str, name: str = "x", **texts: str):
    origin = Origin("file", "f", f"{kind} {name}")
    return translate_section(ini.RawSection(kind, name, origin, values=ini.raw_values(texts, origin)))


def test_the_talks_file_loads_and_each_mapped_thing_has_its_note(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "mykey.rsa").touch()
    file = tmp_path / "config"
    file.write_text(TALK)
    settings = loading.read_config(file, environ={}, find_plugin=find_plugin)
    assert (settings.template, settings.cluster.provider_name) == ("ip", "ec2")
    assert [(choice.name, choice.plugin) for choice in settings.plugins] == [
        ("ippackages", Packages),
        ("ipcluster", IPCluster),
    ]
    assert settings.plugins[0].options == PackagesOptions(packages=("msgpack", "ipython", "scikit-learn"))
    assert settings.plugins[1].options == IPClusterOptions(enable_notebook=True, notebook_directory="notebooks")
    assert settings.all_plugins["ipclusterrestart"].plugin is Restart
    assert settings.cluster.node_instance_type == ("c7i.2xlarge",)
    assert settings.cluster.node_image_id == "ubuntu-24.04"
    assert settings.keys["mykey"].key_location == tmp_path / ".ssh/mykey.rsa"
    ours = "the plugin that comes with clusterctl"
    engines = "starcluster.plugins.ipcluster.IPCluster"
    restart = "starcluster.plugins.ipcluster.IPClusterRestartEngines"
    assert [note.removeprefix(f"{file}: ") for note in settings.notes] == [
        f"[plugin ipcluster] SETUP_CLASS: {engines} is read as ipcluster, {ours}",
        f"[plugin ipclusterrestart] SETUP_CLASS: {restart} is read as ipclusterrestart, {ours}",
        f"[plugin ippackages] SETUP_CLASS: pypackage.PyPackageSetup is read as packages, {ours}",
        "[plugin ippackages] PACKAGES: msgpack-python, a package since renamed, is read as msgpack",
        "[cluster ip] NODE_IMAGE_ID: ami-999d49f0, an image of StarCluster, is read as ubuntu-24.04",
        "[cluster ip] NODE_INSTANCE_TYPE: c1.xlarge, a retired type, is read as c7i.2xlarge",
        "[cluster ip] DISABLE_QUEUE: True has no effect any more: there is no queue to disable",
    ]


def test_todays_words_come_back_as_they_are():
    for section in (
        modern("cluster", node_image_id="ami-0123456789abcdef0", node_instance_type="c7i.large, c7a.large"),
        modern("plugin", setup_class="package.module:Class", packages="sklearn", log_level="x"),
        modern("plugin", "packages", packages="numpy>=2, git+https://example.org/x.git"),
    ):
        assert (section.notes, section.problems) == ((), ())
    assert section.section.values["packages"].text == "numpy>=2, git+https://example.org/x.git"


@pytest.mark.parametrize("start", NO_PLUGIN)
def test_a_plugin_we_do_not_have_is_refused_with_what_to_do_instead(start):
    assert NO_PLUGIN[start] in modern("plugin", setup_class=f"{start}Thing").problems[0].text


def test_a_refused_plugin_is_reported_once(tmp_path: Path):
    file = tmp_path / "config"
    file.write_text("[plugin q]\nsetup_class=starcluster.plugins.sge.SGEPlugin\nx=1\n[cluster a]\nplugins=q\n")
    with pytest.raises(ConfigError) as caught:
        loading.read_config(file, environ={}, find_plugin=find_plugin)
    assert len(caught.value.problems) == 1


def test_the_device_of_a_volume_with_an_id_is_all_that_is_noted_of_it():
    section = modern("volume", volume_id="vol-0123456789abcdef0", device="/dev/sdj", mount_path="/data")
    assert section.notes == ("f: [volume x] DEVICE: has no effect where the volume is found by its id",)
    assert modern("volume", device="/dev/sdj", mount_path="/data").notes == ()


def test_wanting_the_queue_is_refused():
    assert "Grid Engine" in modern("cluster", disable_queue="False").problems[0].text
    assert modern("cluster", disable_queue="yes").section.values == {}


def test_every_retired_type_is_replaced_and_one_for_each_node_is_refused():
    for old, new in INSTANCE_TYPES.items():
        changed = modern("cluster", node_instance_type=f"{old}, c7i.large", master_instance_type=old)
        assert changed.section.values["node_instance_type"].text == f"{new}, c7i.large"
        assert len(changed.notes) == 2
        assert new not in INSTANCE_TYPES
    assert "not supported" in modern("cluster", node_instance_type="m1.large:ami-1:2, c1.xlarge").problems[0].text


@pytest.mark.parametrize(("kind", "key"), NO_EFFECT)
def test_a_line_without_effect_goes_with_a_note_that_does_not_show_it(kind, key):
    kind, _, name = kind.partition(":")
    changed = modern(kind, name, **{key: "hunter2"})
    assert changed.section.values == {}
    assert NO_EFFECT[(f"{kind}:{name}" if name else kind), key] in changed.notes[0]
    assert "hunter2" not in changed.notes[0]


@pytest.mark.parametrize("text", ["tcp", "udp", "icmp"])
def test_the_protocol_of_starclusters_own_template_is_read_with_a_note(text):
    changed = modern("permission", protocol=text, from_port="80")
    assert changed.section.values["ip_protocol"].text == text
    assert changed.notes == ("f: [permission x] PROTOCOL: is read as IP_PROTOCOL",)
    both = modern("permission", protocol=text, ip_protocol="udp")
    assert {key: value.text for key, value in both.section.values.items()} == {"ip_protocol": "udp"}
    assert both.notes == ("f: [permission x] PROTOCOL: has no effect beside IP_PROTOCOL",)


def test_a_wrong_protocol_is_reported_under_the_name_that_was_written(tmp_path: Path):
    file = tmp_path / "config"
    file.write_text("[permission p]\nPROTOCOL = tpc\nFROM_PORT = 1\nTO_PORT = 1\nCIDR_IP = 192.0.2.0/24\n[cluster a]\n")
    with pytest.raises(ConfigError, match=r"\[permission p\] PROTOCOL: expected one of tcp, udp, icmp, got 'tpc'"):
        loading.check_config(file, environ={}, find_plugin=find_plugin)


def test_users_and_system_packages_are_read_as_ours(tmp_path: Path):
    file = tmp_path / "config"
    file.write_text(
        "[plugin more]\nsetup_class = starcluster.plugins.users.CreateUsers\nnum_users = 30\n"
        "usernames = linus, tux\ndownload_keys = True\n"
        "[plugin system]\nsetup_class = starcluster.plugins.pkginstaller.PackageInstaller\npackages = htop, git\n"
        "[cluster a]\ncluster_user = me\nplugins = more, system\n"
    )
    settings = loading.read_config(file, environ={}, find_plugin=find_plugin_class)
    users, system = (choice.options for choice in settings.plugins)
    assert (users.num_users, users.usernames, users.download_keys) == (30, ("linus", "tux"), True)
    assert system.packages == ("htop", "git")


def test_a_plugins_options_are_looked_up_by_the_plugin_and_not_by_the_section():
    for path, name in PLUGINS.items():
        changed = modern("plugin", "mine", setup_class=path, packages="sklearn==1.5", packer="json")
        renamed = changed.section.values["packages"].text == "scikit-learn==1.5"
        assert renamed == (name == "packages")
        assert ("packer" in changed.section.values) == (name != "ipcluster")


def test_a_cloud_that_is_not_aws_is_refused_rather_than_left_for_aws():
    assert modern("aws", aws_region_host="cloud.example.org").problems
    assert modern("aws", aws_region_host="ec2.us-west-2.amazonaws.com").notes


def test_the_command_line_is_brought_up_to_date_too(tmp_path: Path):
    file = tmp_path / "config"
    file.write_text("[cluster a]\ncluster_user=me\nplugins=\n")
    settings = loading.read_config(
        file, overrides={"node_instance_type": "c1.xlarge"}, environ={}, find_plugin=find_plugin
    )
    assert settings.cluster.node_instance_type == ("c7i.2xlarge",)
    assert settings.notes == ("command line: NODE_INSTANCE_TYPE: c1.xlarge, a retired type, is read as c7i.2xlarge",)


@pytest.mark.parametrize("image", ["ami-4583572c", "ami-a5c42dcc", "ami-d1c42db8", "ami-12b6477b", "ami-0330d16a"])
def test_images_of_all_its_releases_are_known(image):
    assert image in IMAGES
