"""System packages by name."""

from __future__ import annotations

import pytest

from clusterctl.api import Facet, PluginError, Request
from clusterctl.plugin.loader import find_plugin_class, options_model, why_not_needed
from clusterctl.testing import fake_cluster


def aptpackages(**options):
    plugin = find_plugin_class("aptpackages")
    return plugin(options_model(plugin)(**options))


def test_they_are_asked_for_and_base_installs_them():
    assert aptpackages(packages="htop, git=1:2.*").clusterctl_request() == Request(apt=("htop", "git=1:2.*"))
    assert why_not_needed(find_plugin_class("aptpackages"), frozenset())
    assert why_not_needed(find_plugin_class("aptpackages"), frozenset({Facet.MACHINE})) == ""


def test_run_by_name_it_says_what_installs_them(tmp_path):
    with pytest.raises(PluginError, match="when nodes join") as caught:
        aptpackages().clusterctl_run(fake_cluster(tmp_path))
    assert "clusterctl start lab" in caught.value.remedy
