"""What a watch does about what it sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.model import NodeState, StatusRow
from clusterctl.operations.watching.deciding import Act, Decision, Memory, decide
from clusterctl.operations.watching.sight import Sight
from clusterctl.testing import fake_node

DOOMED = StatusRow("node001", "spot", "will be taken at 10:00:00Z", healthy=False, ends=True)
MASTER_DOOMED = StatusRow("master", "spot", "will be taken at 10:00:00Z", healthy=False, ends=True)
HINT = StatusRow("node001", "spot", "may be taken: so AWS says since 09:50:00Z", may_end=True)
DEAF = StatusRow("master", "controller", "the hub does not answer", healthy=False)


def sight(*aliases, wanted=("master", "node001", "node002"), rows=(), replaced=None, **states):
    """One with these nodes, which run unless `states` says otherwise; all wanted ones if none is named."""
    nodes = {
        alias: fake_node(alias, machine_id=f"i-{alias}", state=states.get(alias, NodeState.RUNNING))
        for alias in aliases or wanted
    }
    return Sight(tuple(wanted), nodes, tuple(rows), replaced or {})


def decided(seen, memory=None):
    return [(decision.act, decision.node) for decision in decide(seen, memory or Memory())]


def twice(seen):
    """What is decided at the second look."""
    memory = Memory()
    first = decided(seen, memory)
    assert memory.has_doubts or first == decided(seen, Memory())
    return decided(seen, memory)


def test_a_whole_cluster_needs_nothing():
    memory = Memory()
    assert decided(sight(), memory) == []
    assert not memory.has_doubts


@pytest.mark.parametrize("states", [{}, {"node001": NodeState.STOPPED}, {"node001": NodeState.GONE}])
def test_a_node_that_is_gone_or_off_is_brought_back_when_it_is_seen_twice(states):
    aliases = ("master", "node002", *states)
    memory = Memory()
    assert decided(sight(*aliases, **states), memory) == []
    assert memory.has_doubts
    assert decided(sight(*aliases, **states), memory) == [(Act.BRING_BACK, "node001")]


def test_one_that_was_missing_only_for_a_moment_is_left_alone():
    memory = Memory()
    decided(sight("master", "node002"), memory)
    assert decided(sight(), memory) == []
    assert decided(sight("master", "node002"), memory) == []


def test_one_that_is_about_to_run_is_waited_for():
    assert twice(sight(node001=NodeState.PENDING)) == []


def test_a_master_that_is_lost_comes_back_like_any_other_node():
    assert twice(sight("node001", "node002")) == [(Act.BRING_BACK, "master")]


def test_one_that_will_be_taken_is_replaced_at_once():
    assert decided(sight(rows=[DOOMED])) == [(Act.REPLACE, "node001")]


def test_once_replaced_it_is_left_to_its_end_and_then_let_go():
    wanted = ("master", "node001", "node002", "node003")
    replaced = {"node001": ("i-node001", "node003")}
    assert twice(sight(wanted=wanted, rows=[DOOMED], replaced=replaced)) == []
    assert twice(sight("master", "node002", "node003", wanted=wanted, replaced=replaced)) == [(Act.LET_GO, "node001")]


def test_a_replacement_that_was_never_asked_for_is_asked_for_again():
    assert decided(sight(rows=[DOOMED], replaced={"node001": ("i-node001", "node003")})) == [(Act.REPLACE, "node001")]


def test_another_machine_under_the_name_of_a_replaced_one_is_a_node_like_any_other():
    wanted = ("master", "node001", "node003")
    stale = {"node001": ("i-earlier", "node003")}
    assert twice(sight(wanted=wanted, replaced=stale)) == []
    assert decided(sight(wanted=wanted, rows=[DOOMED], replaced=stale)) == [(Act.REPLACE, "node001")]


def test_a_node_whose_notice_was_taken_back_stays_beside_the_one_in_its_place():
    wanted = ("master", "node001", "node002", "node003")
    assert twice(sight(wanted=wanted, replaced={"node001": ("i-node001", "node003")})) == []


def test_what_runs_and_does_not_work_is_repaired_when_it_is_seen_twice():
    assert twice(sight(rows=[DEAF])) == [(Act.REPAIR, "master")]


def test_who_brings_a_node_back_repairs_the_others_too():
    assert twice(sight("master", "node002", rows=[DEAF])) == [(Act.BRING_BACK, "node001")]


def test_what_a_node_in_its_last_minutes_lacks_is_no_fault():
    gone = StatusRow("node001", "engines", "0 of 2", healthy=False)
    replaced = {"node001": ("i-node001", "node003")}
    wanted = ("master", "node001", "node003")
    assert twice(sight(wanted=wanted, rows=[DOOMED, gone], replaced=replaced)) == []


@pytest.mark.parametrize("row", [HINT, MASTER_DOOMED])
def test_a_hint_and_the_end_of_the_master_are_told_once(row):
    memory = Memory()
    assert decided(sight(rows=[row]), memory) == [(Act.NOTE, row.node)]
    assert decided(sight(rows=[row]), memory) == []


def test_a_cluster_that_ends_by_itself_is_left_to_its_end():
    seen = replace(sight("master", "node002"), own_end="nobody has worked for 20 min")
    assert decide(seen, Memory()) == [Decision(Act.END, "", "it ends by itself: nobody has worked for 20 min")]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Sight((), {}), "no such cluster"),
        (sight(master=NodeState.STOPPED, node001=NodeState.STOPPED, node002=NodeState.STOPPED), "it is stopped"),
        (sight("node002", node002=NodeState.GONE), "none of its nodes is left"),
        (Sight(("master",), {}), "none of its nodes is left"),
    ],
)
def test_a_cluster_that_somebody_has_stopped_or_ended_is_not_brought_back(seen, why):
    (decision,) = decide(seen, Memory())
    assert decision.act == Act.END
    assert why in decision.reason


class TestLostMaster:
    def test_one_that_has_its_home_again_comes_back(self):
        assert twice(sight("node001", "node002")) == [(Act.BRING_BACK, "master")]

    def test_one_whose_files_are_lost_is_told_once_and_nobody_is_brought_back(self):
        lost, memory = replace(sight("node001"), lost="the home of ada"), Memory()
        assert decided(lost, memory) == []
        assert memory.has_doubts
        (told,) = decide(lost, memory)
        assert (told.act, told.node) == (Act.NOTE, "master")
        assert "with it the home of ada" in told.reason
        assert "`clusterctl start` makes a new master with an empty home" in told.reason
        assert decided(lost, memory) == []

    def test_after_a_start_of_somebodys_the_watch_goes_on(self):
        lost, memory = replace(sight("node001"), lost="the home of ada"), Memory()
        for _ in range(3):
            decide(lost, memory)
        assert decided(sight("master", "node001"), memory) == []
        assert decided(sight("master", "node001"), memory) == [(Act.BRING_BACK, "node002")]
