"""Stop ipyparallel and leave the nodes up."""

from __future__ import annotations

from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.testing import fake_cluster


def test_engines_stop_before_their_controller_and_every_node_is_asked(tmp_path):
    plugin = find_plugin_class("ipclusterstop")
    cluster = fake_cluster(tmp_path)
    plugin(options_model(plugin)()).clusterctl_run(cluster)
    assert [ran.node for ran in cluster.ran][-1] == "master"
    assert sorted(ran.node for ran in cluster.ran) == ["master", "node001", "node002"]
    for ran in cluster.ran:
        assert ("controller" in ran.text) == (ran.node == "master")
        assert "engine" in ran.text
    assert cluster.said == ["Stopping ipyparallel on 3 nodes"]
