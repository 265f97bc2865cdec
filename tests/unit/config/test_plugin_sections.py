"""[plugin NAME] sections and the names in PLUGINS -> plugins with their options."""

import sys

import pytest

from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.options import CommaList, SecretText, Section
from clusterctl.plugin.loader import find_plugin_class


class Options(Section):
    packages: CommaList = ()
    token: SecretText | None = None


class Packages:
    clusterctl_settings = staticmethod(lambda: Options)


@pytest.fixture
def load(tmp_path):
    file = tmp_path / "config"

    def load(text, **overrides):
        file.write_text(text)
        return loading.read_config(file, overrides=overrides, environ={}, find_plugin=lambda *_: Packages)

    return load


def test_every_plugin_section_can_be_run_though_no_template_names_it(load):
    settings = load("[plugin mine]\nsetup_class=packages\npackages=a,\n  b==2\n[cluster a]\nplugins=ipcluster, plain\n")
    assert [choice.name for choice in settings.plugins] == ["ipcluster", "plain"]
    assert settings.all_plugins["mine"].plugin is Packages
    assert settings.all_plugins["mine"].options == Options(packages=("a", "b==2"))
    assert settings.origins["plugin.mine.packages"].section == "plugin mine"


def test_a_secret_is_refused_on_the_command_line_and_not_repeated(load):
    text = "[cluster a]\ncluster_user=me\nplugins=ipcluster\n[plugin ipcluster]\ntoken=fine\n"
    assert load(text).plugins[0].options.token.reveal() == "fine"
    with pytest.raises(ConfigError) as caught:
        load(text, **{"ipcluster.token": "hunter2"})
    (found,) = caught.value.problems
    assert "ipcluster.token: is a secret" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("written", "meant"), [("packges", "packages"), ("Ipcluster", "ipcluster"), ("nsf", "nfs"), ("mine2", "mine")]
)
def test_a_misspelt_section_is_answered_with_the_plugin_that_is_meant(tmp_path, written, meant):
    """Whether that one is installed, or has a section of its own."""
    (tmp_path / "mine.py").write_text(
        "from clusterctl.api import hookimpl\n\n"
        "class Mine:\n    def __init__(self, options):\n        pass\n\n"
        "    @hookimpl\n    def clusterctl_join(self):\n        pass\n"
    )
    file = tmp_path / "config"
    file.write_text(
        "[cluster a]\nprovider = local\nplugins = ipcluster\n"
        f"[plugin mine]\nsetup_class = {tmp_path}/mine.py:Mine\n[plugin {written}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        loading.check_config(file, environ={}, find_plugin=find_plugin_class)
    (problem,) = caught.value.problems
    assert f"[plugin {written}]: unknown plugin {written} (did you mean {meant}?)" in problem


def fail():
    raise ValueError("not today")


def leave():
    sys.exit(0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (lambda: 3, "must return a Section class"),
        (fail, "failed: ValueError: not today"),
        (leave, "failed: SystemExit: 0"),
    ],
)
def test_a_plugin_whose_options_cannot_be_had_is_named(tmp_path, settings, words):
    class Odd:
        clusterctl_settings = staticmethod(settings)

    file = tmp_path / "config"
    file.write_text("[plugin odd]\nx = 1\n[cluster a]\nplugins = odd\n")
    with pytest.raises(ConfigError) as caught:
        loading.read_config(file, environ={}, find_plugin=lambda *_: Odd)
    (found,) = caught.value.problems
    assert found.startswith(f"{file}: [plugin odd]: clusterctl_settings() of ")
    assert words in found
