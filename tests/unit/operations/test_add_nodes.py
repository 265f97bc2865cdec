"""Nodes added to a cluster that exists."""

from __future__ import annotations

import pytest

from clusterctl.errors import ProviderError, UsageError
from clusterctl.model import Market, NodeOverrides
from clusterctl.operations import leave
from clusterctl.operations import start as launch
from clusterctl.operations.plan import make_plan
from clusterctl.operations.start import add_nodes, start_cluster

from ...support.recording import of, recording


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
    launch.add_nodes(parts, (), 1, differing=NodeOverrides(types=("r7i.large",), market=Market.SPOT))
    spec = make_plan(parts, ("node002", "node003")).nodes
    assert [(each.types, each.market) for each in spec] == [((), ""), (("r7i.large",), "spot")]
    leave.remove_nodes(parts, ["node003"], 0)
    assert make_plan(parts, ("node003",)).nodes[0].types == ()
