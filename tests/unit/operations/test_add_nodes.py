"""Nodes added to a cluster that exists."""

from __future__ import annotations

import pytest

from clusterctl.errors import ProviderError, UsageError
from clusterctl.model import Market, NodeOverrides
from clusterctl.operations import leave, start
from clusterctl.operations.growing import Resizing, add_nodes, grow_to, plan_resize
from clusterctl.operations.plan import make_plan
from clusterctl.operations.start import start_cluster

from ...support.recording import KilledError, of, recording


class TestAddNodes:
    def test_new_nodes_take_the_next_free_numbers_and_only_they_join(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        del log[:]
        added = add_nodes(lab.parts(recording(log)), [], 2)
        assert sorted(added.joined) == ["node002", "node003"]
        assert {entry[2] for entry in of(log, "join")} == {"node002", "node003"}
        assert of(log, "members")[0] == ("a", "members", "master", "node001", "node002", "node003")

    def test_they_can_be_named(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=1))
        assert add_nodes(lab.parts(recording(log)), ["big", "small"], 1).joined == ("big", "small")

    def test_a_name_that_is_taken_is_refused(self, lab, log):
        start_cluster(lab.parts(recording(log)))
        with pytest.raises(UsageError, match="node001 exists in lab"):
            add_nodes(lab.parts(recording(log)), ["node001"], 1)

    def test_a_bad_name_is_refused(self, lab, log):
        start_cluster(lab.parts(recording(log)))
        with pytest.raises(UsageError):
            add_nodes(lab.parts(recording(log)), ["a b"], 1)

    def test_a_cluster_that_does_not_exist_is_not_made_and_leaves_no_folder(self, lab, log):
        parts = lab.parts(recording(log))
        with pytest.raises(UsageError, match="there is no cluster lab"):
            add_nodes(parts, [], 1)
        assert not parts.folder.path.exists()

    def test_what_the_provider_refused_is_not_wanted_by_the_next_start(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.provider.refusal = ProviderError("no capacity", remedy="wait")
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError):
            add_nodes(parts, [], 1)
        assert parts.folder.wanted_nodes() == ("master", "node001")


def test_what_a_node_was_asked_for_with_is_remembered_until_it_is_removed(lab, log):
    parts = lab.parts(recording(log))
    start_cluster(parts)
    add_nodes(parts, (), 1, differing=NodeOverrides(types=("r7i.large",), market=Market.SPOT))
    spec = make_plan(parts, ("node002", "node003")).nodes
    assert [(each.types, each.market) for each in spec] == [((), ""), (("r7i.large",), "spot")]
    leave.remove_nodes(parts, ["node003"], 0)
    assert make_plan(parts, ("node003",)).nodes[0].types == ()


PLACES = ("the provider is asked", "the provider has answered", "a node joins", "all have joined", "it is published")


@pytest.fixture
def kill_at(lab, log, monkeypatch):
    """Have a command end at a place, without a word."""

    def kill(place, command):
        def die(*_, **__):
            raise KilledError

        parts = lab.parts(recording(log))
        with monkeypatch.context() as patch:
            if place == PLACES[0]:
                patch.setattr(parts.provider, "create", die)
            elif place == PLACES[1]:
                create = parts.provider.create
                patch.setattr(parts.provider, "create", lambda *a, **k: die(create(*a, **k)))
            else:
                owner, name = {
                    PLACES[2]: (start, "join_nodes"),
                    PLACES[3]: (start, "run_members"),
                    PLACES[4]: (start.publish, "publish_connections"),
                }[place]
                patch.setattr(owner, name, die)
            with pytest.raises(KilledError):
                command(parts)

    return kill


def aliases(lab):
    return [node.alias for node in lab.provider.nodes("lab")]


class TestRepeatedAfterAKill:
    """Whoever repeats a command that was killed wants what it was to do, and not twice as much."""

    @pytest.mark.parametrize("place", PLACES)
    def test_what_was_begun_is_completed_and_said_and_no_more_is_added(self, lab, log, kill_at, place):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(place, lambda parts: add_nodes(parts, [], 2))
        again = add_nodes(lab.parts(recording(log)), [], 2)
        assert aliases(lab) == ["master", "node001", "node002", "node003"]
        assert any("node002, node003" in event.text for event in lab.events if "cut off" in event.text)
        assert again.ok
        assert add_nodes(lab.parts(recording(log)), [], 1).joined == ("node004",)

    @pytest.mark.parametrize(("count", "size"), [(1, 4), (2, 4), (3, 5)])
    def test_a_smaller_number_ends_nothing_and_a_greater_one_adds_the_rest(self, lab, log, kill_at, count, size):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(PLACES[2], lambda parts: add_nodes(parts, [], 2))
        add_nodes(lab.parts(recording(log)), [], count)
        assert len(aliases(lab)) == size

    def test_names_that_it_was_given_are_no_names_that_are_taken(self, lab, log, kill_at):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(PLACES[2], lambda parts: add_nodes(parts, ["big"], 1))
        assert add_nodes(lab.parts(recording(log)), ["big"], 1).ok
        with pytest.raises(UsageError, match="big exists"):
            add_nodes(lab.parts(recording(log)), ["big"], 1)

    def test_a_start_completes_it_too_and_what_is_added_then_is_new(self, lab, log, kill_at):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(PLACES[2], lambda parts: add_nodes(parts, [], 1))
        start_cluster(lab.parts(recording(log)))
        assert add_nodes(lab.parts(recording(log)), [], 1).joined == ("node003",)

    def test_what_was_begun_and_removed_is_not_begun_again(self, lab, log, kill_at):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(PLACES[2], lambda parts: add_nodes(parts, [], 1))
        leave.remove_nodes(lab.parts(recording(log)), ["node002"], 0)
        assert lab.parts(recording(log)).folder.unfinished_additions() == ()


class TestResize:
    @pytest.mark.parametrize(
        ("size", "lacking", "leaving"), [(5, 2, ()), (3, 0, ()), (2, 0, ("node002",)), (1, 0, ("node001", "node002"))]
    )
    def test_what_is_to_be_done_is_told_before_it_is(self, lab, log, size, lacking, leaving):
        start_cluster(lab.parts(recording(log), cluster_size=3))
        assert plan_resize(lab.parts(recording(log)), size) == Resizing(lacking, leaving)

    @pytest.mark.parametrize("place", PLACES)
    def test_a_number_is_reached_once_however_often_it_is_asked_for(self, lab, log, kill_at, place):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        kill_at(place, lambda parts: grow_to(parts, 4))
        assert grow_to(lab.parts(recording(log)), 4).ok
        assert grow_to(lab.parts(recording(log)), 4).joined == ()
        assert len(aliases(lab)) == 4

    def test_a_cluster_that_does_not_exist_is_not_made(self, lab, log):
        with pytest.raises(UsageError, match="there is no cluster lab"):
            plan_resize(lab.parts(recording(log)), 2)

    def test_a_node_that_was_lost_is_wanted_no_more(self, lab, log):
        start_cluster(lab.parts(recording(log), cluster_size=3))
        del lab.provider.machines["lab", "node002"]
        parts = lab.parts(recording(log))
        assert leave.remove_nodes(parts, plan_resize(parts, 2).leaving, 0) == ["node002"]
        assert parts.folder.wanted_nodes() == ("master", "node001")
        assert not any(call.startswith("destroy") for call in lab.provider.calls)
