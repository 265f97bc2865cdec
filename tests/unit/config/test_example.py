"""config.example.ini and `clusterctl config`: what the example says works, and it says all there is."""

import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from clusterctl.config import loading as config
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.config.example import render_example
from clusterctl.errors import ConfigError, PluginError
from clusterctl.options import CommaList, Field, SecretText, Section
from clusterctl.plugin import loader

EXAMPLE = Path(__file__).parents[3] / "config.example.ini"


class Options(Section):
    """Options of a plugin with one of each kind."""

    size: int = Field(3, description="how many")
    names: CommaList = Field(("a", "b"), description="which", examples=["c, d"])
    fast: bool = Field(default=True, description="whether it hurries")
    token: SecretText | None = Field(None, description="never shown", examples=["hunter2"])
    folder: str = Field(description="where", examples=["/data"])


class Mine:
    """What it does. In one line.

    And more.
    """

    clusterctl_settings = staticmethod(lambda: Options)


class IPCluster:
    """Engines."""


def find_plugin(name: str, setup_class: str | None) -> type:
    found = {"mine": Mine, "ipcluster": IPCluster, "packages": IPCluster}.get(name)
    if found is None or setup_class:
        raise PluginError(f"unknown plugin {name}", remedy="none")
    return found


def test_the_example_in_the_sources_is_the_one_the_declarations_give():
    text = render_example(loader.installed_plugins("clusterctl"))
    refresh = "run: python -m clusterctl.config.example > config.example.ini"
    assert EXAMPLE.read_text(encoding="utf-8") == text, refresh


def test_the_example_makes_a_local_cluster_as_it_is(tmp_path):
    file = tmp_path / "config"
    file.write_text(render_example({"mine": Mine}))
    settings = config.read_config(file, environ={}, find_plugin=find_plugin)
    assert (settings.template, settings.cluster.provider, settings.notes) == ("local", "local", ())


def test_every_line_of_the_example_is_valid_once_it_is_not_a_comment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (".ssh/mykey.rsa", "setup.sh", ".clusterctl/aws.ini", "data.csv", "models"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    file = tmp_path / "config"
    file.write_text(re.sub(r"(?m)^#(?=\[|[A-Z_]+ =)", "", render_example({"mine": Mine})))
    settings = config.read_config(file, template="big", environ={}, find_plugin=find_plugin)
    assert settings.cluster.provider == "ec2"
    assert {key for key, origin in settings.origins.items() if origin.where == "default"} == set()


def test_every_option_is_there_with_its_description():
    text = " ".join(render_example({}).replace("\n# ", " ").split())
    for key, field in ClusterSection.model_fields.items():
        assert f"#{key.upper()} =" in text
        assert field.description
        assert field.description in text


def test_a_plugins_section_is_made_of_its_declarations():
    assert render_example({"mine": Mine}).endswith(
        """
# What it does. In one line.
#[plugin mine]
# how many
#SIZE = 3
# which (default: a, b)
#NAMES = c, d
# whether it hurries
#FAST = yes
# never shown
#TOKEN =
# where (required)
#FOLDER = /data
"""
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `clusterctl config ...` with the file of the test."""
    cli = importlib.import_module("clusterctl.cli.setup.config")
    monkeypatch.delenv("CLUSTERCTL_CONFIG", raising=False)
    monkeypatch.setattr(cli, "home_folder", lambda: tmp_path / "home", raising=False)
    monkeypatch.setattr(cli, "config_path", Path, raising=False)
    monkeypatch.setattr(
        cli,
        "load_settings",
        lambda path, template=None: config.read_config(path, template=template, environ={}, find_plugin=find_plugin),
        raising=False,
    )

    def run(*args: str, config: str | None = str(tmp_path / "config")):
        return CliRunner().invoke(cli.config, args, obj=SimpleNamespace(config=config))

    return run


def test_config_init_writes_a_private_file_that_loads_and_is_never_overwritten(run, tmp_path):
    assert run("init", config=None).exit_code == 0
    written = tmp_path / "home" / "config"
    assert written.stat().st_mode & 0o777 == 0o600
    assert "ok: 1 cluster template, default local" in run("check", str(written)).output
    assert "is there already" in str(run("init", config=None).exception)
    assert run("init", "--force", config=None).exit_code == 0


def test_config_show_says_where_each_value_is_from_and_hides_secrets(run, tmp_path):
    file = tmp_path / "config"
    file.write_text("[aws]\naws_secret_access_key=hunter2\n[cluster a]\ncluster_size=4\n[cluster b]\n")
    output = run("show", "a").output
    assert f"4  ({file} [cluster a])" in output
    document = json.loads(run("show", "a", "--json").output)
    assert document["options"]["cluster.cluster_size"]["value"] == 4
    assert document["options"]["aws.aws_secret_access_key"]["value"] == "***"
    assert "hunter2" not in output + json.dumps(document)


def test_config_check_reports_what_config_load_reports(run, tmp_path):
    (tmp_path / "config").write_text("[cluster a]\ncluster_size=x\n")
    assert isinstance(run("check").exception, ConfigError)
