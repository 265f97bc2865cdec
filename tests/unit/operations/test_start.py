"""`start`, and all that is the same as `start`: completing, repairing, adding nodes."""

from __future__ import annotations

import json

import pytest

from clusterctl.api import Plugin, hookimpl
from clusterctl.errors import OwnerError, PluginError, StateError, UsageError
from clusterctl.model import NodeState
from clusterctl.operations import leave, status
from clusterctl.operations.start import start_cluster

from ...support.recording import of, recording


def test_the_order_of_the_whole_lifecycle(lab, log):
    parts = lab.parts(recording(log))
    started = start_cluster(parts)
    status.query_status(parts)
    leave.terminate_cluster(parts)

    joins = [entry for entry in log if entry[1] == "join"]
    first, last = log.index(joins[0]), log.index(joins[-1])
    # Before anything exists, plugin by plugin; then the joins; then once for all.
    assert log[:first] == [
        ("a", "settings"),
        ("b", "settings"),
        ("a", "request"),
        ("b", "request"),
        ("a", "prepare", "master", "node001", "node002"),
        ("b", "prepare", "master", "node001", "node002"),
    ]
    assert log[first : last + 1] == joins
    assert sorted(joins) == [(p, "join", n) for p in ("a", "b") for n in ("master", "node001", "node002")]
    for node in ("node001", "node002"):
        for plugin in ("a", "b"):
            assert joins.index((plugin, "join", "master")) < joins.index((plugin, "join", node))
        assert joins.index(("a", "join", node)) < joins.index(("b", "join", node))
    assert log[last + 1 : last + 7] == [
        ("a", "members", "master", "node001", "node002"),
        ("b", "members", "master", "node001", "node002"),
        ("a", "connect"),
        ("b", "connect"),
        ("a", "status"),
        ("b", "status"),
    ]
    # The workers leave side by side, each in reversed order; the master after them.
    goodbyes = log[last + 7 :]
    for node in ("node001", "node002"):
        assert [entry for entry in goodbyes if entry[2] == node] == [("b", "leave", node), ("a", "leave", node)]
    assert goodbyes[-2:] == [("b", "leave", "master"), ("a", "leave", "master")]
    assert len(goodbyes) == 6
    assert started.ok
    assert lab.provider.nodes() == []


def test_start_creates_what_was_asked_and_everybody_joins(lab, log):
    started = start_cluster(lab.parts(recording(log), cluster_size=2))
    assert lab.provider.calls == ["check lab", "create lab master node001"]
    assert (started.ok, sorted(started.joined), started.failed, started.problems) == (
        True,
        ["master", "node001"],
        (),
        (),
    )
    assert [c.name for c in started.published] == ["a", "b"]
    assert json.loads(started.published[0].file.read_text()) == {"who": "a", "web": 80}
    assert "Starting 2 nodes of lab (local): master, node001" in lab.said
    assert "Waiting for 2 nodes to join: a > b" in lab.said


def test_the_timings_say_who_waited_for_what(lab, log):
    parts = lab.parts(recording(log))
    started = start_cluster(parts)
    kept = json.loads((parts.folder.path / "timings.json").read_text())
    assert kept["commands"] == started.commands
    acts = [step["plugin"] for step in kept["steps"] if step["node"] == "laptop"]
    assert acts == ["plan", "create", "members", "connect", "publish"]
    worker = {s["plugin"]: s["waited_for"] for s in kept["steps"] if s["node"] == "node001"}
    assert worker["ssh"] == ""
    assert worker["a"] in {"master/a", "node001/ssh"}
    assert max(step["ended_s"] for step in kept["steps"]) <= started.seconds


def test_start_on_members_does_nothing_and_says_where_it_is(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert of(log, "join") == []
    assert of(log, "members") == []
    assert again.ok
    assert again.joined == ()
    assert [c.name for c in again.published] == ["a", "b"]
    assert len(lab.provider.machines) == 3


def test_a_service_that_is_not_well_makes_start_join_everybody_again(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log, a={"status": PluginError("no answer", remedy="none")})))
    assert sorted(again.joined) == ["master", "node001", "node002"]


def test_other_options_make_the_members_join_again(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    again = start_cluster(lab.parts(recording(log), options={"a.speed": "2"}))
    assert sorted(again.joined) == ["master", "node001", "node002"]
    assert of(log, "leave") == []


def test_a_start_that_was_killed_is_completed_by_the_next(lab, log):
    """Killed after two of three had joined: only the third joins."""
    parts = lab.parts(recording(log))
    start_cluster(parts)
    kept = parts.folder.journal_file.read_text().splitlines()
    parts.folder.journal_file.write_text(
        "".join(line + "\n" for line in kept if not ("joined" in line and "node002" in line))
    )
    del log[:]
    assert start_cluster(lab.parts(recording(log))).joined == ("node002",)
    assert of(log, "join") == [("a", "join", "node002"), ("b", "join", "node002")]
    assert of(log, "members") == [(p, "members", "master", "node001", "node002") for p in ("a", "b")]


def test_a_lost_node_is_replaced_after_plugins_said_goodbye_for_it(lab, log):
    start_cluster(lab.parts(recording(log)))
    lab.provider.lose("lab", "node001")
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert again.joined == ("node001",)
    assert of(log, "leave") == [("b", "leave", "node001", "unreachable"), ("a", "leave", "node001", "unreachable")]
    assert log.index(("a", "leave", "node001", "unreachable")) < log.index(("a", "join", "node001"))


def test_after_a_stop_all_join_again_without_goodbyes(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    leave.stop_cluster(parts)
    del log[:]
    again = start_cluster(lab.parts(recording(log)))
    assert sorted(again.joined) == ["master", "node001", "node002"]
    assert of(log, "leave") == []


def test_the_journal_may_be_lost_and_the_provider_still_knows_the_size(lab, log):
    parts = lab.parts(recording(log), cluster_size=2)
    start_cluster(parts)
    parts.folder.delete_folder()
    again = start_cluster(lab.parts(recording(log)))  # the template says 3
    assert [node.alias for node in again.nodes] == ["master", "node001"]
    assert sorted(again.joined) == ["master", "node001"]


def test_another_size_of_a_cluster_that_exists_is_refused_with_the_way_to_get_it(lab, log):
    start_cluster(lab.parts(recording(log)), explicit_size=3)
    assert start_cluster(lab.parts(recording(log)), explicit_size=3).ok
    with pytest.raises(UsageError, match="lab exists and has 3 nodes") as caught:
        start_cluster(lab.parts(recording(log)), explicit_size=5)
    assert "resize -s 5 lab" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        start_cluster(lab.parts(recording(log)), explicit_size=1)
    assert "resize -s 1 lab" in caught.value.remedy


def test_another_process_at_work_is_named_and_nothing_is_done(lab, log):
    parts = lab.parts(recording(log))
    with parts.folder.exclusive_lock(), pytest.raises(StateError, match="another clusterctl is at work on lab"):
        start_cluster(lab.parts(recording(log)))
    assert lab.provider.calls == []


def test_another_laptop_at_work_on_the_nodes_is_named(lab):
    class Sets(Plugin):
        @hookimpl
        def clusterctl_join(self, cluster, node):
            cluster.on(node).run_script("x", name="sets: up", sudo=True)

    lab.connector.owners["master"] = "ada@laptop, clusterctl start lab"
    with pytest.raises(
        OwnerError, match="master: another clusterctl is at work there: ada@laptop, clusterctl start lab"
    ):
        start_cluster(lab.parts({"sets": Sets}))
    lab.connector.owners = {"node001": "ada@laptop"}
    started = start_cluster(lab.parts({"sets": Sets}))
    assert started.joined == ("master", "node002")
    assert any("node001: another clusterctl is at work there: ada@laptop" in each for each in started.problems)


def test_members_that_fail_are_reported_and_the_others_are_told(lab, log):
    started = start_cluster(lab.parts(recording(log, a={"members": ValueError("boom")})))
    assert not started.ok
    assert any("plugin a: ValueError: boom" in problem for problem in started.problems)
    assert of(log, "members")[-1][0] == "b"


def test_a_status_that_says_nothing_is_a_healthy_one(lab):
    """A third party's plugin that forgets its return statement."""

    class Forgetful:
        def __init__(self, options):
            pass

        @hookimpl
        def clusterctl_status(self, cluster):
            pass

    start_cluster(lab.parts({"f": Forgetful}))
    assert start_cluster(lab.parts({"f": Forgetful})).joined == ()


def test_states_of_a_stopped_machine_are_seen(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    leave.stop_cluster(parts)
    assert {node.state for node in lab.provider.nodes("lab")} == {NodeState.STOPPED}
