"""Plugin classes are found by name, module and file, and say what options they take."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest

from clusterctl.api import PluginError, Section, hookimpl
from clusterctl.plugin import loader
from clusterctl.plugin.base import NoOptions


class TestFind:
    @pytest.fixture
    def module(self, tmp_path, monkeypatch):
        def module(text, name="third_party"):
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, name, raising=False)
            return tmp_path / f"{name}.py"

        yield module
        for name in ("third_party", "clusterctl_plugin_third_party"):
            sys.modules.pop(name, None)

    PLUGIN = """
        from clusterctl.api import hookimpl
        class Mine:
            def __init__(self, options): pass
            @hookimpl
            def clusterctl_members(self, cluster): pass
        class NotOne: pass
        function = print
    """

    def test_bundled_plugins_are_found_by_their_name(self):
        assert loader.find_plugin_class("packages").__name__ == "Packages"
        assert loader.find_plugin_class("mine", "ipcluster").__name__ == "IPCluster"
        assert {"packages", "ipcluster", "ipclusterrestart", "ipclusterstop"} <= set(loader.installed_plugins())

    @pytest.mark.parametrize("setup_class", ["third_party:Mine", "third_party.Mine"])
    def test_one_of_somebody_elses_package(self, module, setup_class):
        module(self.PLUGIN)
        assert loader.find_plugin_class("x", setup_class).__name__ == "Mine"

    def test_one_of_a_file(self, module):
        path = module(self.PLUGIN)
        found = loader.find_plugin_class("x", f"{path}:Mine")
        assert found.__name__ == "Mine"
        assert sys.modules[found.__module__]

    @pytest.mark.parametrize(
        ("setup_class", "words"),
        [
            ("nothing.here:Mine", "No module named 'nothing'"),
            ("third_party:Nope", "Nope"),
            ("third_party:NotOne", "has no clusterctl_ hook"),
            ("third_party:function", "is not a plugin class"),
            ("/no/such/file.py:Mine", "FileNotFoundError"),
            ("nonsense", "cannot load nonsense"),
            ("", "cannot load"),
        ],
    )
    def test_what_cannot_be_loaded_is_an_error_that_names_the_plugin(self, module, setup_class, words):
        module(self.PLUGIN)
        with pytest.raises(PluginError) as caught:
            loader.find_plugin_class("mine", setup_class)
        assert caught.value.message.startswith("plugin mine: ")
        assert words in caught.value.message
        assert caught.value.remedy

    @pytest.mark.parametrize("error", ["SystemExit", "GeneratorExit", "BaseException"])
    def test_a_module_that_ends_when_it_is_imported(self, module, error):
        module(f"raise {error}(3)", "third_party")
        with pytest.raises(PluginError, match=f"plugin mine: cannot load third_party:X: {error}: 3"):
            loader.find_plugin_class("mine", "third_party:X")

    def test_a_module_that_raises_when_it_is_imported(self, module):
        module("raise ValueError('broken')", "third_party")
        with pytest.raises(PluginError, match="plugin mine: cannot load third_party:X: ValueError: broken"):
            loader.find_plugin_class("mine", "third_party:X")

    def test_an_unknown_name_is_answered_with_those_that_there_are(self):
        with pytest.raises(PluginError, match="unknown plugin ipclutser") as caught:
            loader.find_plugin_class("ipclutser")
        assert "ipcluster" in caught.value.remedy
        assert "setup_class" in caught.value.remedy


def test_options_are_of_the_plugins_model_or_none():
    class Options(Section):
        pass

    class With:
        @staticmethod
        @hookimpl
        def clusterctl_settings():
            return Options

    class Without:
        pass

    assert loader.options_model(With) is Options
    assert loader.options_model(Without) is NoOptions


def test_those_of_one_distribution_are_told_from_others():
    ours = set(loader.installed_plugins("clusterctl"))
    assert {"packages", "ipcluster"} <= ours <= set(loader.installed_plugins())
    assert loader.installed_plugins("somebody-elses") == {}


def test_of_two_of_one_name_the_first_is_taken_and_one_that_is_broken_is_named(monkeypatch):
    def entry(name, value):
        return EntryPoint(name, value, "clusterctl.plugins")

    twice = (entry("nfs", "clusterctl_plugins.nfs:Nfs"), entry("nfs", "no.such:Thing"))
    monkeypatch.setattr(loader, "_entry_points", loader._entry_points.__wrapped__)
    monkeypatch.setattr(loader, "entry_points", lambda group: twice)
    assert list(loader.installed_plugins()) == ["nfs"]
    monkeypatch.setattr(loader, "entry_points", lambda group: twice[1:])
    with pytest.raises(PluginError, match=r"plugin nfs: cannot load no\.such:Thing") as caught:
        loader.installed_plugins()
    assert caught.value.remedy == "reinstall or remove its package"
