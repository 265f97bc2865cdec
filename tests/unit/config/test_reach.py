"""What a template uses must be right. The rest of the file may be wrong, and only `config check` refuses it."""

import json

import pytest

from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.plugin.loader import find_plugin_class

GOOD = """\
[cluster small]
PROVIDER = local
CLUSTER_USER = me
PLUGINS = ipcluster
VOLUMES = data
[volume data]
VOLUME_ID = vol-0123456789abcdef0
MOUNT_PATH = /data
[cluster child]
EXTENDS = small
PROVIDER = docker
"""
UNUSED = {
    "a value in another template": "[cluster bad]\nCLUSTER_SIZE = x\n",
    "an option in another template": "[cluster bad]\nNONSENSE = 1\n",
    "another template that extends nothing": "[cluster bad]\nEXTENDS = nobody\n",
    "another template without its hosts": "[cluster bad]\nPROVIDER = static\n",
    "a plugin of another template": "[cluster bad]\nPLUGINS = nobodys\n",
    "a permission": "[permission web]\nFROM_PORT = 80\nTO_PORT = 80\n",
    "a volume": "[volume v]\nMOUNT_PATH = x\n",
    "a host": "[host h]\nPORT = abc\n",
    "a key": "[key k]\nNONSENSE = 1\n",
    "the account": "[aws]\nNONSENSE = 1\n",
    "a plugin of StarCluster": "[plugin hadoop]\nSETUP_CLASS = starcluster.plugins.hadoop.Hadoop\n",
    "a plugin whose file is missing": "[plugin gone]\nSETUP_CLASS = /nowhere/gone.py:Gone\n",
    "a plugin that fails to import": "[plugin fails]\nSETUP_CLASS = {folder}/fails.py:Fails\n",
    "a plugin that ends Python": "[plugin ends]\nSETUP_CLASS = {folder}/ends.py:Ends\n",
    "an option of a plugin": "[plugin users]\nNONSENSE = 1\n",
    "a kind of section": "[webserver x]\nPORT = 80\n",
    "a header": "[volume v\nMOUNT_PATH = /data\n",
    "a line": "[volume v]\nVOLUME_ID = vol-1\nMOUNT_PATH = /data\nnonsense\n",
    "a section that is there twice": "[host h]\n[host h]\n",
    "an option that is there twice": "[host h]\nPORT = 1\nPORT = 1\n",
}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "fails.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n")
    return tmp_path / "config"


def read(file, text, template="small", **more):
    file.write_text(text.replace("{folder}", str(file.parent)))
    return loading.read_config(file, template=template, environ={}, find_plugin=find_plugin_class, **more)


def check(file):
    with pytest.raises(ConfigError) as caught:
        loading.check_config(file, environ={}, find_plugin=find_plugin_class)
    return caught.value.problems


@pytest.mark.parametrize("what", UNUSED)
def test_what_is_not_used_is_a_warning_and_an_error_of_config_check(file, what):
    settings = read(file, GOOD + UNUSED[what])
    assert settings.warnings
    assert list(settings.warnings) == [f"{p}; the template small does not use it" for p in check(file)]


@pytest.mark.parametrize(
    ("template", "changes", "wrong"),
    [
        ("small", {"VOLUME_ID = vol-": "VOLUME_ID = /"}, "[volume data] VOLUME_ID"),
        ("small", {"[volume data]": "[volum data"}, "[volum data"),
        ("small", {"CLUSTER_USER = me": "CLUSTER_USER = me\nnonsense"}, "[cluster small]: line 4"),
        ("child", {"CLUSTER_USER = me": "CLUSTER_USER = me\nnonsense"}, "[cluster small]: line 4"),
        ("child", {"CLUSTER_USER = me": "CLUSTER_USER = a b"}, "[cluster small] CLUSTER_USER"),
        ("child", {"CLUSTER_USER = me": "CLUSTER_USER = me\nDISABLE_QUEUE = no"}, "[cluster small] DISABLE_QUEUE"),
        ("small", {"[cluster child]": "[plugin nfs]\nNONSENSE = 1\n[cluster child]"}, "[plugin nfs] NONSENSE"),
        ("small", {"[cluster child]": "[plugn packages]\n[cluster child]"}, "[plugn packages]"),
        ("small", {"PROVIDER = local": "PROVIDER = ec2\n[aws]\nNONSENSE = 1\n[cluster x]"}, "[aws] NONSENSE"),
    ],
)
def test_what_is_used_is_an_error_wherever_it_stands(file, template, changes, wrong):
    text = GOOD
    for old, new in changes.items():
        text = text.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        read(file, text, template)
    assert any(wrong in problem for problem in caught.value.problems)


def test_what_a_section_says_anew_may_be_wrong_in_the_one_it_extends(file):
    assert read(file, GOOD.replace("PROVIDER = local", "PROVIDER = nowhere"), "child").cluster.provider == "docker"


def test_a_plugin_that_is_run_by_name_is_used(file):
    text = GOOD + "[plugin users]\nNONSENSE = 1\n"
    assert read(file, text).warnings
    with pytest.raises(ConfigError, match="NONSENSE"):
        read(file, text, plugin="users")


def test_a_template_that_others_extend_need_not_be_complete(file):
    text = "[cluster base]\nPROVIDER = static\n[cluster a]\nEXTENDS = base\nHOSTS = x\n[global]\nDEFAULT_TEMPLATE = a\n"
    file.write_text(text.replace("PROVIDER", "CLUSTER_USER = me\nPROVIDER"))
    assert loading.check_config(file, environ={}, find_plugin=find_plugin_class).template == "a"


def test_a_copy_keeps_the_region_in_which_the_nodes_are_and_no_key_of_the_account(file):
    text = "[aws]\nAWS_ACCESS_KEY_ID = AKIA\nAWS_SECRET_ACCESS_KEY = hunter2\n[cluster a]\nPROVIDER = ec2\n"
    file.write_text(text)
    start = {"AWS_REGION": "eu-west-1"}
    settings = loading.read_config(file, environ=start, find_plugin=find_plugin_class)
    assert "hunter2" not in settings.copy
    assert "AKIA" not in settings.copy
    now = {"AWS_REGION": "us-west-2", "AWS_PROFILE": "mine"}
    again = loading.read_copy(json.loads(settings.copy), file, environ=now, find_plugin=find_plugin_class)
    assert (again.aws.aws_region_name, again.aws.aws_profile) == ("eu-west-1", "mine")


def test_a_copy_has_what_the_template_uses_and_nothing_else(file):
    settings = read(
        file,
        GOOD + "[volume other]\nVOLUME_ID = vol-1\nMOUNT_PATH = /other\n[plugin users]\nUSERNAMES = tux\n",
        "child",
        overrides={"cluster_size": "2", "packages.packages": "six; python_version > '3'"},
    )
    again = loading.read_copy(json.loads(settings.copy), file, environ={}, find_plugin=find_plugin_class)
    assert again.warnings == ()
    assert (again.template, again.cluster) == ("child", settings.cluster.model_copy(update={"extends": None}))
    assert (again.plugins, again.volumes["data"]) == (settings.plugins, settings.volumes["data"])
    assert again.all_plugins["packages"] == settings.all_plugins["packages"]
    assert set(again.volumes) == {"data"}
    assert "users" not in again.all_plugins
