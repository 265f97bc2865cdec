"""A cluster without machines, for the tests of plugins and of clusterctl itself.

Pass `fake_cluster(tmp_path)` to a plugin's hook, and look at `cluster.ran` afterwards::

    def test_my_plugin_writes_its_file_on_the_master(tmp_path):
        cluster = fake_cluster(tmp_path, answers={"my plugin: *": "done"})
        MyPlugin(Options()).clusterctl_join(cluster, cluster.master)
        assert "my.conf" in cluster.ran[0].text
"""

from __future__ import annotations

from clusterctl.testing.clock import FakeClock
from clusterctl.testing.cluster import FakeCluster, fake_cluster
from clusterctl.testing.nodes import fake_node
from clusterctl.testing.providers import FakeImageProvider, FakeProvider
from clusterctl.testing.remotes import Answer, Answers, FakeConnector, FakeRemote, Ran

__all__ = [
    "Answer",
    "Answers",
    "FakeClock",
    "FakeCluster",
    "FakeConnector",
    "FakeImageProvider",
    "FakeProvider",
    "FakeRemote",
    "Ran",
    "fake_cluster",
    "fake_node",
]
