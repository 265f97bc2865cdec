"""Leaving mirrors joining, and nothing stops it."""

from __future__ import annotations

import pytest

from clusterctl.errors import ProviderError, UsageError
from clusterctl.model import Facet, NodeState
from clusterctl.operations import leave
from clusterctl.operations.start import start_cluster

from ...support.recording import KilledError, of, recording


@pytest.fixture
def up(lab, log):
    """A cluster of three that is up; returns its parts, with the faults that its plugins shall have from now on."""

    def up(**faults):
        start_cluster(lab.parts(recording(log)))
        del log[:], lab.events[:], lab.provider.calls[:]
        return lab.parts(recording(log, **faults))

    return up


def goodbyes(log, node):
    return [entry for entry in of(log, "leave") if entry[2] == node]


def test_stop_runs_in_reverse_and_never_blocks_destroy(lab, log, up):
    faults = {"leave node001": ValueError("oh"), "leave master": ZeroDivisionError()}
    parts = up(b=faults)
    stopped = leave.stop_cluster(parts)
    assert [node.alias for node in stopped] == ["master", "node001", "node002"]
    for node in ("master", "node001", "node002"):
        assert goodbyes(log, node) == [("b", "leave", node), ("a", "leave", node)]
    assert [entry[2] for entry in of(log, "leave")][-2:] == ["master", "master"]
    assert lab.provider.calls == ["stop lab"]
    assert "node001: plugin b: ValueError: oh" in lab.warnings
    assert any("master: plugin b: ZeroDivisionError" in warning for warning in lab.warnings)
    leave.terminate_cluster(parts)
    assert lab.provider.nodes() == []


def test_stop_keeps_what_start_needs_and_takes_the_connection_files(lab, up):
    parts = up()
    assert (parts.folder.path / "a.json").exists()
    leave.stop_cluster(parts)
    assert parts.folder.wanted_nodes() == ("master", "node001", "node002")
    assert not (parts.folder.path / "a.json").exists()


def test_stop_again_has_nobody_to_say_goodbye_to(lab, log, up):
    parts = up()
    leave.stop_cluster(parts)
    del log[:]
    assert leave.stop_cluster(parts) == []
    assert of(log, "leave") == []


def test_a_provider_whose_nodes_cannot_be_off_says_so(lab, up):
    parts = up()

    class NoPower:
        name = "static"
        nodes, destroy = lab.provider.nodes, lab.provider.destroy

    lab.provider = NoPower()
    with pytest.raises(UsageError, match="provider static cannot be stopped") as caught:
        leave.stop_cluster(lab.parts())
    assert "terminate lab" in caught.value.remedy
    assert parts.folder.exists


class TestLastingMachines:
    """Those that outlive their cluster: what was set up on one that is off cannot be undone."""

    @pytest.fixture
    def half_off(self, lab, up):
        lab.provider.facets = frozenset({Facet.DIRECT, Facet.LASTING})
        parts = up()
        lab.provider.power_off("lab", "node001")
        return parts

    def test_one_that_is_off_is_named_when_the_cluster_ends(self, lab, half_off):
        leave.terminate_cluster(half_off)
        assert lab.warnings == ["node001: 127.0.0.1 does not answer: what was set up there stays"]
        assert lab.provider.nodes() == []

    def test_and_when_it_is_removed(self, lab, half_off):
        leave.remove_nodes(half_off, ["node001", "node002"], 0)
        assert lab.warnings == ["node001: 127.0.0.1 does not answer: what was set up there stays"]

    def test_others_end_with_what_is_on_them(self, lab, up):
        parts = up()
        lab.provider.power_off("lab", "node001")
        leave.terminate_cluster(parts)
        assert lab.warnings == []


class TestTerminate:
    def test_it_ends_all_and_forgets_all(self, lab, log, up):
        parts = up()
        ended = leave.terminate_cluster(parts)
        assert [node.alias for node in ended] == ["master", "node001", "node002"]
        assert lab.provider.nodes() == []
        assert not parts.folder.path.exists()
        assert len(of(log, "leave")) == 6

    def test_plugins_see_that_the_whole_cluster_goes(self, lab, log):
        seen = []

        class Looking:
            def __init__(self, options):
                pass

            def clusterctl_leave(self, cluster, node):
                seen.append((node.alias, cluster.ending, node.reachable))

        from clusterctl.api import hookimpl

        Looking.clusterctl_leave = hookimpl(Looking.clusterctl_leave)
        parts = lab.parts({"looking": Looking}, cluster_size=2)
        start_cluster(parts)
        leave.terminate_cluster(parts)
        assert seen == [("node001", True, True), ("master", True, True)]

    def test_what_is_gone_already_is_success(self, lab, log, up):
        parts = up()
        leave.terminate_cluster(parts)
        assert leave.terminate_cluster(parts) == []
        assert not parts.folder.path.exists()

    def test_one_that_never_was_is_success_and_leaves_no_folder(self, lab, log):
        parts = lab.parts(recording(log))
        assert leave.terminate_cluster(parts) == []
        assert not parts.folder.path.exists()

    def test_nodes_that_are_off_are_unreachable_to_their_goodbyes(self, lab, log, up):
        parts = up()
        lab.provider.power_off("lab", "node001")
        leave.terminate_cluster(parts)
        assert ("a", "leave", "node001", "unreachable") in log
        assert ("a", "leave", "node002") in log

    def test_force_calls_no_plugin(self, lab, log, up):
        leave.terminate_cluster(up(), force=True)
        assert log == [(plugin, "settings") for plugin in ("a", "b")]
        assert lab.provider.nodes() == []

    def test_files_lost_on_the_laptop_do_not_keep_the_machines(self, lab, log, up):
        parts = up()
        parts.folder.delete_folder()
        assert len(leave.terminate_cluster(parts)) == 3
        assert lab.provider.nodes() == []

    def test_a_journal_that_cannot_be_written_stops_nothing(self, lab, log, up):
        parts = up()
        parts.folder.journal_file.unlink()
        parts.folder.journal_file.mkdir()
        assert len(leave.terminate_cluster(parts)) == 3
        assert any("journal.jsonl is no file" in warning for warning in lab.warnings)
        assert not parts.folder.path.exists()

    def test_what_cannot_be_ended_is_named_and_its_files_stay_for_another_try(self, lab, log, up):
        parts = up()
        lab.provider.stuck = ("node002",)
        with pytest.raises(ProviderError, match="node002 of lab cannot be ended"):
            leave.terminate_cluster(parts)
        assert parts.folder.exists
        lab.provider.stuck = ()
        leave.terminate_cluster(parts)
        assert not parts.folder.path.exists()


class TestMachinesThatStay:
    """They are given back as they were: the core decides where there is something to undo."""

    @pytest.fixture
    def hosts(self, lab, up):
        lab.provider.facets = frozenset({Facet.DIRECT, Facet.LASTING})
        return up

    def moments(self, log, node):
        return [entry[:2] for entry in log if entry[1] in {"leave", "undo"} and entry[2] == node]

    def test_each_plugin_undoes_after_it_left_in_reverse(self, log, hosts):
        leave.terminate_cluster(hosts())
        for node in ("node001", "master"):
            assert self.moments(log, node) == [("b", "leave"), ("b", "undo"), ("a", "leave"), ("a", "undo")]

    def test_one_that_is_removed_is_undone_and_the_others_are_not(self, log, hosts):
        leave.remove_nodes(hosts(), ["node001"], 1)
        assert [entry[2] for entry in of(log, "undo")] == ["node001", "node001"]

    def test_one_that_cannot_be_reached_keeps_what_is_there_and_that_is_said(self, lab, log, hosts):
        parts = hosts()
        lab.provider.power_off("lab", "node001")
        leave.terminate_cluster(parts)
        assert self.moments(log, "node001") == [("b", "leave"), ("a", "leave")]
        assert any("node001" in warning and "what was set up there stays" in warning for warning in lab.warnings)

    def test_a_failure_stops_no_other_undoing(self, lab, log, hosts):
        leave.terminate_cluster(hosts(b={"leave node001": ValueError("oh"), "undo master": ValueError("ah")}))
        assert self.moments(log, "node001") == [("b", "leave"), ("b", "undo"), ("a", "leave"), ("a", "undo")]
        assert ("a", "undo", "master") in log
        assert {"node001: plugin b: ValueError: oh", "master: plugin b: ValueError: ah"} <= set(lab.warnings)
        assert lab.provider.nodes() == []

    def test_machines_that_end_are_not_undone(self, log, up):
        leave.terminate_cluster(up())
        assert of(log, "undo") == []


class TestRemoveNodes:
    def test_the_last_ones_leave_and_the_others_are_told_once(self, lab, log, up):
        parts = up()
        assert leave.remove_nodes(parts, [], 1) == ["node002"]
        assert goodbyes(log, "node002") == [("b", "leave", "node002"), ("a", "leave", "node002")]
        assert of(log, "members") == [("a", "members", "master", "node001"), ("b", "members", "master", "node001")]
        assert [node.alias for node in lab.provider.nodes("lab")] == ["master", "node001"]
        assert lab.provider.calls == ["destroy lab node002"]

    def test_the_next_start_does_not_bring_them_back(self, lab, log, up):
        leave.remove_nodes(up(), ["node001"], 1)
        again = start_cluster(lab.parts(recording(log)))
        assert [node.alias for node in again.nodes] == ["master", "node002"]
        assert again.joined == ()

    def test_it_is_written_down_before_the_machine_goes(self, lab, log, up):
        """A command that is cut off in between must not bring the node back later."""
        parts = up()
        lab.provider.stuck = ("node001",)
        with pytest.raises(ProviderError):
            leave.remove_nodes(parts, ["node001"], 1)
        assert parts.folder.wanted_nodes() == ("master", "node002")

    def test_one_that_is_gone_leaves_without_being_asked(self, lab, log, up):
        parts = up()
        lab.provider.power_off("lab", "node001")
        leave.remove_nodes(parts, ["node001"], 1)
        assert ("b", "leave", "node001", "unreachable") in log

    @pytest.mark.parametrize(
        ("aliases", "count", "message"),
        [
            (["node009"], 1, "lab has no node node009"),
            (["master"], 1, "the master cannot be removed"),
            ([], 3, "lab has only 2 workers"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anything_happens(self, lab, log, up, aliases, count, message):
        parts = up()
        with pytest.raises(UsageError, match=message):
            leave.remove_nodes(parts, aliases, count)
        assert of(log, "leave") == []
        assert len(lab.provider.nodes("lab")) == 3
        assert parts.folder.wanted_nodes() == ("master", "node001", "node002")

    def test_their_numbers_are_free_for_the_next(self, lab, log, up):
        from clusterctl.operations.growing import add_nodes

        leave.remove_nodes(up(), ["node001"], 1)
        assert add_nodes(lab.parts(recording(log)), [], 1).joined == ("node001",)


def test_a_goodbye_is_recorded_so_that_the_machine_joins_again(lab, log, up):
    parts = up()
    cluster = parts.make_cluster(lab.provider.nodes("lab"))
    leave.run_leave(parts, cluster, "node001", reachable=True)
    assert set(parts.folder.joined_members()) == {"master", "node002"}
    assert lab.provider.nodes("lab")[1].state == NodeState.RUNNING


@pytest.mark.parametrize("place", ["destroy", "members"])
def test_a_removal_by_number_that_was_killed_is_completed_and_not_done_twice(lab, log, monkeypatch, place):
    start_cluster(lab.parts(recording(log), cluster_size=4))

    def die(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        owner, name = {"destroy": (lab.provider, "destroy"), "members": (leave, "run_members")}[place]
        patch.setattr(owner, name, die)
        with pytest.raises(KilledError):
            leave.remove_nodes(lab.parts(recording(log)), [], 1)
    assert leave.remove_nodes(lab.parts(recording(log)), [], 1) == ["node003"]
    assert [node.alias for node in lab.provider.nodes("lab")] == ["master", "node001", "node002"]
    assert leave.remove_nodes(lab.parts(recording(log)), [], 1) == ["node002"]


def test_a_node_that_has_left_may_be_told_to_leave_again(lab, log):
    start_cluster(lab.parts(recording(log), cluster_size=3))
    for _ in range(2):
        assert leave.remove_nodes(lab.parts(recording(log)), ["node002"], 0) == ["node002"]
    assert [node.alias for node in lab.provider.nodes("lab")] == ["master", "node001"]
