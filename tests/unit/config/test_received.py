"""A config that a node has sent: it decides how the cluster is, and on nothing of this computer."""

from __future__ import annotations

import pytest

from clusterctl.config import loading
from clusterctl.config.remembered import render_received
from clusterctl.plugin import loader


def find_options(plugin):
    if plugin not in loader.installed_names():
        return None
    return loader.options_model(loader.find_plugin_class(plugin))


def copy(**values):
    return {"format": 1, "sections": [{"kind": "cluster", "name": "lab", "values": {"provider": "local", **values}}]}


def render(document):
    return render_received(document, "lab", find_options)


def test_what_it_says_of_the_cluster_is_a_config_that_can_be_used(tmp_path):
    document = copy(cluster_size="3", plugins="ipcluster, users", cluster_user="me")
    document["sections"].append({"kind": "plugin", "name": "ipcluster", "values": {"engines_per_node": "2"}})
    text, dropped = render(document)
    assert dropped == []
    path = tmp_path / "attached.ini"
    path.write_text(text)
    settings = loading.read_config(path, template="lab", environ={}, find_plugin=loader.find_plugin_class)
    assert settings.cluster.cluster_size == 3
    assert [choice.name for choice in settings.plugins] == ["ipcluster", "users"]
    assert settings.plugins[0].options.engines_per_node == 2


@pytest.mark.parametrize(
    ("kind", "name", "key", "text"),
    [
        ("cluster", "lab", "userdata_scripts", "/home/me/.ssh/id_ed25519"),  # would be sent to the nodes
        ("cluster", "lab", "proxy_jump", "evil.example"),
        ("cluster", "lab", "keyname", "mine"),
        ("cluster", "lab", "extends", "other"),
        ("plugin", "packages", "requirements", "/etc/passwd"),
        ("plugin", "packages", "pyproject", "/etc/passwd"),
        ("plugin", "packages", "index_url", "https://evil.example"),
        ("plugin", "ipcluster", "setup_class", "/tmp/evil.py:Evil"),
        ("plugin", "base", "ca_certificates", "/home/me/x.pem"),
        ("aws", "", "aws_profile", "admin"),
        ("aws", "", "aws_secret_access_key", "x"),
        ("cluster", "lab", "cluster_user", "$(id)"),
        ("cluster", "lab", "cluster_user", "me\n[aws]\nAWS_PROFILE = admin"),
        ("cluster", "lab", "nonsense", "1"),
        ("cluster", "lab", "cluster_user", 7),
    ],
)
def test_what_names_files_programs_or_secrets_of_this_computer_is_left_out(kind, name, key, text):
    document = copy()
    if kind == "cluster":
        document["sections"][0]["values"][key] = text
    else:
        document["sections"].append({"kind": kind, "name": name, "values": {key: text}})
    said, dropped = render(document)
    assert f"{key.upper()} of [{f'{kind} {name}'.strip()}]" in dropped
    assert not [line for line in said.splitlines() if line.startswith(f"{key.upper()} =")]
    assert "admin" not in said


def test_a_plugin_that_is_not_installed_here_is_left_out_by_its_name():
    said, dropped = render(copy(plugins="ipcluster, evil_plugin"))
    assert "PLUGINS = ipcluster\n" in said
    assert dropped == ["plugin evil_plugin"]


@pytest.mark.parametrize(
    "document",
    [None, 1, [], {}, {"sections": 1}, {"sections": [1, None, {}]}, {"sections": [{"kind": "cluster", "name": "x"}]}],
)
def test_nonsense_makes_no_config(document):
    assert render(document)[0] == ""


@pytest.mark.parametrize(
    "section", [{"kind": "host"}, {"kind": "key"}, {"kind": "global"}, {"kind": "cluster", "name": "a]\n[x"}]
)
def test_sections_of_other_kinds_and_names_are_no_part_of_it(section):
    document = copy()
    document["sections"].append({"name": "x", "values": {"key_location": "/x"}, **section})
    assert "/x" not in render(document)[0]
