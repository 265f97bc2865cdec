"""What a client is made of goes to each node, in the script that joins it."""

from __future__ import annotations

import json

import pytest
from clusterctl_plugins.ipcluster import IPCluster
from clusterctl_plugins.ipcluster.options import Options

from clusterctl import hub
from clusterctl.api import Facet
from clusterctl.node import library
from clusterctl.testing import fake_cluster, fake_node


def test_other_modules_make_all_nodes_join_again(monkeypatch):
    (before,) = IPCluster(Options()).clusterctl_request().stamps
    monkeypatch.setattr(library, "_pack", lambda: "others")
    assert IPCluster(Options()).clusterctl_request().stamps not in {(), (before,)}


@pytest.mark.parametrize(
    ("facet", "reaches"),
    [(Facet.DIRECT, ["master", "node001"]), (Facet.MACHINE, ["master"])],
    ids=["direct", "machine"],
)
def test_each_node_gets_them_and_the_way_to_the_controller_if_it_has_one(tmp_path, facet, reaches):
    nodes = [
        fake_node(alias, facets=frozenset({facet}), cores=2, private_address="10.0.0.1")
        for alias in ("master", "node001")
    ]
    cluster = fake_cluster(
        tmp_path,
        nodes=nodes,
        answers=lambda ran: '{"engine": "file"}' if ran.node == "master" else "",
        notes={"python": "3.11"},
    )
    one = IPCluster(Options())
    for node in cluster.nodes:
        one.clusterctl_join(cluster, node)
        path = hub.profile(cluster.master) / "security" / "ipcontroller-client.json"
        master = "" if node.alias in reaches else "10.0.0.1"
        word = json.dumps(f'{{"cluster": "lab", "node": "{node.alias}", "file": "{path}", "master": "{master}"}}')
        assert repr(f'"word": {word}')[1:-1] in cluster.ran[-1].text
    assert cluster.count_commands() == {"master": 1, "node001": 1}
