"""Restart every engine at once, and return when the controller has the new ones."""

from __future__ import annotations

import json

import pytest

from clusterctl.api import PluginError
from clusterctl.plugin.host import PluginHost
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.remote.base import Result
from clusterctl.testing import fake_cluster

IDS = {"engine_ids": {"master": [0, 2], "node001": [2, 2], "node002": [4, 2]}}
RESTART = "ipcluster: restart engines"


class Controller:
    """Engines get new uuids when they are restarted, but for those that do not come back."""

    def __init__(self, lost=()):
        self.engines = {str(number): "old" for number in range(6)}
        self.lost = {str(number) for number in lost}
        self.restarts = 0

    def __call__(self, ran):
        if ran.name == RESTART:
            self.restarts += 1
            if self.restarts == 3:
                self.engines = {n: "old" if n in self.lost else "new" for n in self.engines}
        return json.dumps({"answered": True, "engines": self.engines, "client": {}, "notebook": {}})


def run(cluster):
    plugin = find_plugin_class("ipclusterrestart")
    PluginHost([("r", plugin, options_model(plugin)())]).call_hook("r", "clusterctl_run", cluster=cluster)


def test_it_says_what_it_does_restarts_all_nodes_and_ends_when_all_are_back(tmp_path):
    cluster = fake_cluster(tmp_path, answers=Controller(), notes=IDS)
    run(cluster)
    assert cluster.said[0] == "Restarting 6 engines on 3 nodes"
    assert cluster.said[-1] == "6 engines on 3 nodes are back"
    assert sorted(ran.node for ran in cluster.ran if ran.name == RESTART) == ["master", "node001", "node002"]
    assert cluster.recall("engine_ids") == IDS["engine_ids"]


def test_only_engines_are_restarted(tmp_path):
    cluster = fake_cluster(tmp_path, answers=Controller(), notes=IDS)
    run(cluster)
    for ran in cluster.ran:
        if ran.name == RESTART:
            assert "'engine:*'" in ran.text
            assert "controller" not in ran.text


def test_the_old_ones_do_not_count_as_back(tmp_path):
    cluster = fake_cluster(tmp_path, answers=Controller(), notes=IDS)
    run(cluster)
    assert '"but_not": {"0": "old"' in cluster.ran[-1].text
    assert '"wait_for": [0, 1, 2, 3, 4, 5]' in cluster.ran[-1].text


def test_one_that_does_not_come_back_is_named_by_its_node(tmp_path):
    cluster = fake_cluster(tmp_path, answers=Controller(lost=[3]), notes=IDS)
    with pytest.raises(PluginError, match="1 engine did not come back, on node001") as caught:
        run(cluster)
    assert "clusterctl logs lab node001" in caught.value.remedy


def test_without_engines_it_says_how_to_get_some(tmp_path):
    with pytest.raises(PluginError, match="no engines were set up on lab") as caught:
        run(fake_cluster(tmp_path, answers=Controller()))
    assert "clusterctl start lab" in caught.value.remedy


def test_where_no_service_manager_runs_it_says_so(tmp_path):
    def answers(ran):
        return Result(69, "", "no service manager runs here") if ran.name == RESTART else Controller()(ran)

    with pytest.raises(PluginError, match="no engines run on master,node001,node002"):
        run(fake_cluster(tmp_path, answers=answers, notes=IDS))


def test_any_other_failure_is_told_as_it_is(tmp_path):
    def answers(ran):
        return Result(1, "", "disk on fire") if ran.name == RESTART else Controller()(ran)

    with pytest.raises(PluginError, match="disk on fire"):
        run(fake_cluster(tmp_path, answers=answers, notes=IDS))
