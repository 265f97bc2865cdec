"""Which plugins act on a cluster's nodes, and in which order."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest

from clusterctl.config import loading
from clusterctl.errors import ClusterctlError
from clusterctl.model import Facet
from clusterctl.plugin import loader
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.wiring import plugins


def settings(text="", tmp_path=None, **overrides):
    path = None
    if text:
        path = tmp_path / "config"
        path.write_text(text)
    return loading.read_config(path, overrides=overrides, environ={}, find_plugin=find_plugin_class)


def test_packages_act_first_named_or_not():
    assert plugins.make_plugin_host(settings(plugins="ipcluster"), frozenset()).plugin_names == (
        "packages",
        "ipcluster",
    )
    assert plugins.make_plugin_host(settings(plugins=""), frozenset()).plugin_names == ("packages",)


def test_on_machines_users_volumes_and_shared_folders_come_before_them():
    machine = frozenset({Facet.MACHINE, Facet.INIT})
    names = plugins.make_plugin_host(settings(plugins="ipcluster"), machine).plugin_names
    assert names == ("volumes", "base", "nfs", "packages", "spot", "ipcluster")
    shared = plugins.make_plugin_host(settings(plugins="ipcluster"), machine | {Facet.SHARED_HOME}).plugin_names
    assert shared == ("volumes", "base", "packages", "spot", "ipcluster")


def test_but_where_it_is_named_it_stays_where_it_is():
    assert plugins.make_plugin_host(settings(plugins="ipcluster,packages"), frozenset()).plugin_names == (
        "ipcluster",
        "packages",
    )


def test_a_subclass_takes_its_place(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from clusterctl_plugins.packages import Packages\nclass Mine(Packages):\n    pass\n"
    )
    made = settings(f"[cluster a]\nplugins = mine\n[plugin mine]\nsetup_class = {tmp_path}/mine.py:Mine\n", tmp_path)
    assert plugins.make_plugin_host(made, frozenset()).plugin_names == ("mine",)


def test_its_section_counts_though_the_template_does_not_name_it(tmp_path):
    made = settings("[cluster a]\nplugins = ipcluster\n[plugin packages]\npackages = numpy\n", tmp_path)
    requests = dict(plugins.make_plugin_host(made, frozenset()).collect_requests())
    assert requests["packages"].pip == ("numpy",)


def test_one_more_comes_last_with_the_options_of_its_section(tmp_path):
    text = "[cluster a]\nplugins = ipcluster\n[plugin ipclusterrestart]\nrestart_timeout = 7\n"
    host = plugins.make_plugin_host(settings(text, tmp_path), frozenset(), "ipclusterrestart")
    assert host.plugin_names == ("packages", "ipcluster", "ipclusterrestart")
    assert host.plugins[-1].plugin.options.restart_timeout == 7
    assert (
        plugins.make_plugin_host(settings(plugins="ipcluster"), frozenset(), "ipclusterstop").plugin_names[-1]
        == "ipclusterstop"
    )
    named = plugins.make_plugin_host(settings(plugins="ipcluster"), frozenset(), "ipcluster")
    assert named.plugin_names == ("packages", "ipcluster")


def test_an_unknown_one_is_a_fault_of_the_command_line():
    with pytest.raises(ClusterctlError, match="unknown plugin nope") as caught:
        plugins.make_plugin_host(settings(), frozenset(), "nope")
    assert caught.value.exit_code == 2


class TestEveryCluster:
    """An installed plugin of anybody's may do what the bundled ones do: act on every cluster, in its place."""

    LUSTRE = """
        from clusterctl.api import Facet, Order, Plugin, hookimpl
        class Lustre(Plugin):
            on_every_cluster = True
            order = Order.SHARES
            @hookimpl
            def clusterctl_join(self, cluster, node): pass
        class InPlaceOfNfs(Plugin):
            needs = frozenset({Facet.INIT})
            replaces = frozenset({"nfs"})
            @hookimpl
            def clusterctl_join(self, cluster, node): pass
    """

    @pytest.fixture
    def install(self, tmp_path, monkeypatch):
        def install(name, value):
            own = loader._entry_points()
            entry = EntryPoint(name, value, "clusterctl.plugins")
            monkeypatch.setattr(loader, "_entry_points", lambda: {**own, name: entry})

        (tmp_path / "of_somebody.py").write_text(textwrap.dedent(self.LUSTRE))
        monkeypatch.syspath_prepend(tmp_path)
        yield install
        sys.modules.pop("of_somebody", None)

    def names(self, chosen, *facets):
        return plugins.make_plugin_host(chosen, frozenset({Facet.MACHINE, *facets})).plugin_names

    def test_one_that_says_so_acts_in_its_place_named_or_not(self, install):
        install("lustre", "of_somebody:Lustre")
        expected = ("volumes", "base", "lustre", "nfs", "packages", "spot", "ipcluster")
        assert self.names(settings(plugins="ipcluster")) == expected
        assert self.names(settings(plugins="ipcluster,lustre"))[-2:] == ("ipcluster", "lustre")

    def test_one_takes_anothers_place_where_it_is_named(self, install):
        install("lustre", "of_somebody:InPlaceOfNfs")
        assert "nfs" in self.names(settings(plugins="ipcluster"))
        named = settings(plugins="lustre,ipcluster")
        assert self.names(named, Facet.INIT) == ("volumes", "base", "packages", "spot", "lustre", "ipcluster")
        assert self.names(named) == ("volumes", "base", "nfs", "packages", "spot", "ipcluster"), (
            "it is not needed there"
        )

    @pytest.mark.parametrize("value", ["no.such:Thing", "of_somebody:Nothing", "broken_module:Thing"])
    def test_a_broken_one_stops_no_cluster_that_does_not_name_it_and_is_noted(self, install, tmp_path, value):
        (tmp_path / "broken_module.py").write_text("raise SystemExit(3)")
        install("lustre", value)
        chosen = settings(plugins="ipcluster")
        assert "lustre" not in self.names(chosen)
        (note,) = plugins.idle_plugins(chosen, frozenset({Facet.MACHINE}))
        assert note.startswith(f"plugin lustre: cannot load {value}: ")
        assert note.endswith("; it is installed, and left out")
        with pytest.raises(ClusterctlError, match="plugin lustre: cannot load"):
            settings(plugins="lustre")

    def test_a_broken_one_of_our_own_is_an_error(self, monkeypatch):
        (entry,) = [e for e in loader._entry_points.__wrapped__().values() if e.name == "nfs"]
        broken = EntryPoint("nfs", "no.such:Thing", "clusterctl.plugins")._for(entry.dist)
        monkeypatch.setattr(loader, "_entry_points", lambda: {"nfs": broken})
        with pytest.raises(ClusterctlError, match="plugin nfs: cannot load"):
            loader.find_every_cluster_plugins()
