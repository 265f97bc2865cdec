"""What is there, from the provider and the plugins; a plugin that fails is shown as unknown."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from clusterctl.api import Connection, hookimpl
from clusterctl.errors import PluginError, ProviderError, RemoteError
from clusterctl.model import StatusRow
from clusterctl.node import health
from clusterctl.operations.leave import stop_cluster
from clusterctl.operations.start import start_cluster
from clusterctl.operations.status import ClusterStatus, list_clusters, query_health, query_status

from ...support.recording import recording


def test_every_plugin_is_asked_in_order_and_nothing_is_changed(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=2))
    before = lab.provider.calls[:]
    found = query_status(lab.parts(recording(log)))
    assert [(row.item, row.node) for row in found.rows] == [
        ("a", "master"),
        ("a", "node001"),
        ("b", "master"),
        ("b", "node001"),
    ]
    assert (found.name, found.provider, found.state) == ("lab", "fake", "running")
    assert [connection.name for connection in found.published] == ["a", "b"]
    assert lab.provider.calls == before


def test_a_second_connection_of_one_name_is_a_problem_that_names_the_plugin(lab, log):
    class Other:
        @hookimpl
        def clusterctl_connect(self):
            return Connection("a", host="127.0.0.1", ports={})

    started = start_cluster(lab.parts({**recording(log), "c": Other}))
    assert [endpoint.name for endpoint in started.published] == ["a", "b"]
    assert started.problems == ("plugin c: there is a connection a already, of another plugin",)


def test_a_plugin_that_returns_no_rows_is_unknown_too(lab, log):
    class Wrong:
        @hookimpl
        def clusterctl_status(self):
            return [1]

    start_cluster(lab.parts(recording(log)))
    rows = query_status(lab.parts({"wrong": Wrong, **recording(log)})).rows
    assert rows[0].value.startswith(
        "unknown: plugin wrong: clusterctl_status returned [1], and shall return a sequence"
    )
    assert {row.item for row in rows[1:]} == {"a", "b"}


def test_a_plugin_that_fails_is_unknown_and_the_others_are_asked(lab, log):
    start_cluster(lab.parts(recording(log)))
    found = query_status(lab.parts(recording(log, a={"status": PluginError("no answer", remedy="none")})))
    assert found.rows[0] == StatusRow("master", "a", "unknown: plugin a: no answer", healthy=False)
    assert {row.item for row in found.rows[1:]} == {"b"}


def test_without_a_master_no_plugin_is_asked(lab, log):
    start_cluster(lab.parts(recording(log)))
    lab.provider.power_off("lab", "master")
    del log[:]
    found = query_status(lab.parts(recording(log)))
    assert (found.state, found.rows) == ("partial", ())
    assert not [entry for entry in log if entry[1] == "status"]


def faults(found):
    return {condition.alias: condition.fault.value for condition in found.conditions}


def test_a_node_that_is_wanted_and_gone_makes_the_cluster_partial(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=3))
    assert query_status(lab.parts(recording(log))).state == "running"
    lab.provider.lose("lab", "node002")
    found = query_status(lab.parts(recording(log)))
    assert (found.state, faults(found)) == ("partial", {"node002": "gone"})


def test_a_node_that_no_join_was_completed_on_is_half_joined_and_one_that_was_booted_anew_is_not(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=3))
    machine = lab.provider.machines
    machine["lab", "node001"] = replace(machine["lab", "node001"], id="lab-node001-1@later", machine_id="lab-node001-1")
    machine["lab", "node002"] = replace(machine["lab", "node002"], id="other@1", machine_id="other")
    folder = lab.parts().folder
    folder.record("joined", node="node001", id="lab-node001-1@before", digest="")
    assert faults(query_status(lab.parts(recording(log)))) == {"node002": "half joined"}


def test_a_cluster_that_was_told_to_stop_says_when(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=2))
    stop_cluster(lab.parts(recording(log)))
    found = query_status(lab.parts(recording(log)))
    assert (found.state, faults(found)) == ("stopped", {"master": "stopped", "node001": "stopped"})
    assert all(condition.since and condition.why == "clusterctl was told so" for condition in found.conditions)


def test_a_cluster_without_any_node_has_ended(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=1))
    lab.provider.lose("lab", "master")
    assert query_status(lab.parts(recording(log))).state == "ended"


def test_a_cluster_is_starting_while_another_process_brings_it_up(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=1))
    context = lab.parts(recording(log))
    context.folder.record("create", provider="fake", template="", nodes=["master", "node001"], adding=[])
    assert query_status(context).state == "partial"  # nobody is at work: that start was killed
    with context.folder.exclusive_lock():
        assert query_status(context).state == "starting"
        context.folder.record("completed")
        assert query_status(context).state == "partial"


def test_a_master_that_does_not_answer_is_silent(lab, log, monkeypatch):
    def ask(*_):
        raise RemoteError("no answer", remedy="none", node="master")

    start_cluster(lab.parts(recording(log), cluster_size=1))
    monkeypatch.setattr(health, "ask", ask)
    assert query_status(lab.parts(recording(log))).state == "running"  # it lets in who asks once more
    lab.connector.down.add("master")
    found = query_status(lab.parts(recording(log)))
    assert (found.state, faults(found)) == ("partial", {"master": "silent"})
    assert found.conditions[0].why == "does not answer"
    shutil.rmtree(lab.parts().folder.path)  # without its files this computer cannot know
    assert query_status(lab.parts(recording(log))).state == "running"


def test_a_provider_that_does_not_answer_leaves_the_rest(lab, log):
    def refuse(_):
        raise ProviderError("no answer", remedy="none")

    start_cluster(lab.parts(recording(log), cluster_size=2))
    lab.provider.lose("lab", "node001")
    lab.provider.find_losses = refuse
    assert faults(query_status(lab.parts(recording(log)))) == {"node001": "gone"}


def test_engines_are_a_count_or_unknown():
    rows = (StatusRow("master", "engines", "2 of 2", count=2), StatusRow("node001", "disk", "full", count=9))
    found = ClusterStatus("lab", "fake", (), rows, ())
    assert (found.engine_count("master"), found.engine_count("node001")) == (2, None)


def test_many_clusters_are_listed_in_their_order(lab, log):
    names = ["x", "a", "m"]
    for name in names:
        start_cluster(lab.parts(recording(log), name=name, cluster_size=1))
    assert [found.name for found in list_clusters([lab.parts(recording(log), name=name) for name in names])] == names
    assert list_clusters([]) == []


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_description_of_a_tunnel_that_is_not_whole_is_no_tunnel_that_is_not_needed(lab, log, text):
    start_cluster(lab.parts(recording(log)))
    context = lab.parts(recording(log))
    (context.folder.path / "tunnel.json").unlink(missing_ok=True)
    assert query_health(context).tunnel == "not needed"
    context.folder.write_file("tunnel.json", text)
    assert query_health(context).tunnel == "down"
