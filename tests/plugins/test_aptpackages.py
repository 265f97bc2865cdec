"""System packages by name."""

from __future__ import annotations

import pytest

from clusterctl.api import Facet, PluginError, Request
from clusterctl.plugin.loader import find, not_needed, options_model
from clusterctl.testing import fake_cluster


def aptpackages(**options):
    plugin = find("aptpackages")
    return plugin(options_model(plugin)(**options))


def test_they_are_asked_for_and_base_installs_them():
    assert aptpackages(packages="htop, git=1:2.*").clusterctl_request() == Request(apt=("htop", "git=1:2.*"))
    assert not_needed(find("aptpackages"), frozenset())
    assert not_needed(find("aptpackages"), frozenset({Facet.MACHINE})) == ""


def test_run_by_name_it_says_what_installs_them(tmp_path):
    with pytest.raises(PluginError, match="when nodes join") as caught:
        aptpackages().clusterctl_run(fake_cluster(tmp_path))
    assert "clusterctl start lab" in caught.value.remedy
