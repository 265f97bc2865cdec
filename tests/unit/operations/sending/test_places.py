"""Nodes as somebody logs in to them, and paths as they are typed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from clusterctl.cluster_nodes import Cluster
from clusterctl.errors import UsageError
from clusterctl.model import NodeState
from clusterctl.operations.sending.places import absolute_path, choose_node, names_a_folder
from clusterctl.testing import fake_node


@pytest.fixture
def cluster():
    nodes = [fake_node(alias) for alias in ("master", "node001", "node002")]
    nodes[2] = replace(nodes[2], state=NodeState.STOPPED)
    made = Cluster.__new__(Cluster)
    made.name, made._nodes = "lab", {node.alias: node for node in nodes}
    made.machines = SimpleNamespace(user="ann")
    return made


def test_several_nodes_are_chosen_one_after_the_other(cluster):
    context = SimpleNamespace(name="lab")
    chosen = [choose_node(context, cluster, alias, user="ann") for alias in ("master", "1")]
    assert [(node.alias, node.user) for node in chosen] == [("master", "ann"), ("node001", "ann")]
    assert [node.alias for node in cluster.nodes] == ["master", "node001", "node002"]
    with pytest.raises(UsageError, match="node002 of lab is stopped"):
        choose_node(context, cluster, "node002", user="ann")


def test_paths_begin_in_the_home_and_a_slash_says_folder():
    node = fake_node()
    home = node.layout.home
    paths = ("a", "~/a", "/a", "~")
    assert [absolute_path(node, path) for path in paths] == [home / "a", home / "a", type(home)("/a"), home]
    assert [names_a_folder(path) for path in ("a", "a/", ".", "~", "a/..")] == [False, True, True, True, True]
