"""What plugins hold: nodes that one can talk to."""

from __future__ import annotations

import threading

import pytest

from clusterctl.errors import ClusterctlError, PluginError, RemoteError
from clusterctl.events import EventKind
from clusterctl.testing import fake_cluster, fake_node


@pytest.fixture
def cluster(tmp_path):
    return fake_cluster(tmp_path, notes={"kept": 1})


def test_nodes_are_found_by_alias_or_number(cluster):
    assert cluster.node("node001") is cluster.node("1") is cluster.node("001")
    assert cluster.master.alias == "master"
    assert [node.alias for node in cluster.workers] == ["node001", "node002"]
    with pytest.raises(ClusterctlError, match="cluster lab has no node 9") as caught:
        cluster.node("9")
    assert caught.value.remedy == "its nodes: master, node001, node002"


def test_one_connection_a_node_made_when_first_used(cluster):
    assert cluster.connector.remotes == []
    first = cluster.on(cluster.master)
    assert cluster.on(cluster.master) is first
    first.run("x")
    assert cluster.count_commands() == {"master": 1}
    cluster.close()
    assert first.closed
    assert cluster.on(cluster.master) is not first


def test_a_node_that_is_lost_stays_on_the_list_out_of_reach(cluster):
    cluster.mark_unreachable("node001")
    assert [(node.alias, node.reachable) for node in cluster.nodes] == [
        ("master", True),
        ("node001", False),
        ("node002", True),
    ]


def test_each_runs_side_by_side_and_returns_by_alias(cluster):
    together = threading.Barrier(3)
    assert cluster.each(lambda node: together.wait(10) >= 0 and node.alias) == {a: a for a in cluster._nodes}
    assert cluster.each(lambda node: node.alias, cluster.workers) == {"node001": "node001", "node002": "node002"}
    assert cluster.each(lambda node: node.alias, []) == {}


def test_each_names_every_node_that_failed_once_all_have_ended(cluster):
    ended = []

    def task(node):
        if node.alias != "node002":
            raise RemoteError(f"{node.alias} is broken", remedy=f"mend {node.alias}", node=node.alias, status=7)
        ended.append(node.alias)

    with pytest.raises(RemoteError) as caught:
        cluster.each(task)
    assert caught.value.message == "master is broken\nnode001 is broken"
    assert (caught.value.remedy, caught.value.node, caught.value.status) == ("mend master", "master,node001", 7)
    assert ended == ["node002"]


def test_each_keeps_the_kind_of_a_bug(cluster):
    def task(node):
        raise ZeroDivisionError if node.is_master else PluginError("x", remedy="y")

    with pytest.raises(ZeroDivisionError):
        cluster.each(task)


def test_what_is_remembered_is_kept_once(cluster):
    assert cluster.recall("kept") == 1
    assert cluster.recall("unknown") is None
    cluster.remember("kept", 1)
    cluster.remember("new", [1])
    assert cluster.recall("new") == [1]
    assert cluster.remembered == {"kept": 1, "new": [1]}


def test_a_value_that_did_not_change_is_not_written_again(tmp_path):
    cluster = fake_cluster(tmp_path, notes={"k": 1})
    cluster.remembered.clear()
    cluster.remember("k", 1)
    assert cluster.remembered == {}


def test_the_user_is_told_by_events(cluster):
    cluster.say("Doing")
    cluster.progress("Waiting", 1, 3)
    cluster.problem("Broken")
    assert [(e.kind, e.text, e.done, e.total) for e in cluster.events] == [
        (EventKind.STEP, "Doing", 0, 0),
        (EventKind.PROGRESS, "Waiting", 1, 3),
        (EventKind.WARNING, "Broken", 0, 0),
    ]
    assert cluster.problems == ["Broken"]


def test_more_nodes_than_threads_are_all_served(tmp_path):
    cluster = fake_cluster(tmp_path, nodes=[fake_node(f"n{i}") for i in range(100)])
    before, seen = threading.active_count(), []
    assert len(cluster.each(lambda node: seen.append(threading.active_count()))) == 100
    assert max(seen) <= before + 32


def test_a_machine_is_marked_with_the_clusters_name_and_id(tmp_path):
    cluster = fake_cluster(tmp_path)
    assert cluster.mark == f"lab {cluster.id}"


def test_the_public_key_is_that_of_the_folder(tmp_path):
    cluster = fake_cluster(tmp_path)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIuMAIR277VaqM6CGz8yqMqLHQ1eMye3/eWpKdpyBXML clusterctl-lab"
    (tmp_path / "id_ed25519.pub").write_text(f"{key}\n")
    assert cluster.public_key == key
