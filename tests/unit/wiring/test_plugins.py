"""Which plugins act on a cluster's nodes, and in which order."""

from __future__ import annotations

import pytest

from clusterctl.config import loading
from clusterctl.errors import ClusterctlError
from clusterctl.model import Facet
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
    assert host.plugins[-1].plugin._options.restart_timeout == 7
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
