"""MPI's plugin: what it asks for, and the list of hosts that nodes are given."""

from __future__ import annotations

import pytest

from clusterctl.api import Facet
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.testing import fake_cluster, fake_node

MACHINE = frozenset({Facet.MACHINE})


def plugin():
    made = find_plugin_class("mpi")
    return made(options_model(made)())


def lab(folder, *, nodes=3, facets=MACHINE, **about):
    return fake_cluster(folder, nodes=[a_node(number, facets=facets) for number in range(nodes)], **about)


def a_node(number, *, facets=MACHINE, **about):
    alias = f"node{number:03d}" if number else "master"
    return fake_node(alias, facets=facets, cores=2, private_address=f"10.0.0.{number + 1}", **about)


def test_engines_are_told_to_use_it():
    assert dict(plugin().clusterctl_request().environment) == {"ENGINE_GROUPS": "mpi"}


def test_each_node_gets_the_address_and_cores_of_all(tmp_path):
    cluster = lab(tmp_path)
    plugin().clusterctl_members(cluster)
    lines = [f"{node.private_address}:2" for node in cluster.nodes]
    assert len(set(lines)) == 3
    assert sorted(ran.node for ran in cluster.ran) == ["master", "node001", "node002"]
    assert all("\n".join(lines) in ran.text for ran in cluster.ran)


def test_local_nodes_are_one_machine_which_needs_no_ssh(tmp_path):
    cluster = lab(tmp_path, facets=frozenset({Facet.DIRECT}))
    plugin().clusterctl_members(cluster)
    assert "\nlocalhost:6\n" in cluster.ran[0].text


@pytest.mark.parametrize("change", ["nothing", "a node more", "a node less", "another machine"])
def test_only_who_has_another_list_is_written_to(tmp_path, change):
    cluster = lab(tmp_path)
    plugin().clusterctl_members(cluster)
    before = len(cluster.ran)
    nodes = list(cluster.nodes)
    if change == "a node more":
        nodes.append(a_node(3))
    elif change == "a node less":
        nodes.pop()
    elif change == "another machine":
        nodes[2] = a_node(2, id="new")
    cluster.set_nodes(nodes)
    plugin().clusterctl_members(cluster)
    told = {"nothing": [], "another machine": ["node002"]}.get(change, [node.alias for node in nodes])
    assert sorted(ran.node for ran in cluster.ran[before:]) == told


def test_who_cannot_be_reached_is_told_later(tmp_path):
    cluster = lab(tmp_path)
    cluster.mark_unreachable("node002")
    plugin().clusterctl_members(cluster)
    assert sorted(ran.node for ran in cluster.ran) == ["master", "node001"]
    assert set(cluster.remembered["mpi hosts"]) == {"master", "node001"}


def test_a_host_that_stays_loses_the_list(tmp_path):
    cluster = lab(tmp_path)
    plugin().clusterctl_undo(cluster, cluster.master)
    assert 'rm -f "$HOME/.clusterctl/mpi/hosts"' in cluster.ran[0].text
