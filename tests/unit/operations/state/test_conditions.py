"""What is said of nodes that are not as they should be, and of the whole."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.model import NodeState, StatusRow
from clusterctl.operations.state.conditions import Condition, Evidence, Fault, find_conditions, judge_cluster
from clusterctl.operations.state.ending import find_machine_end
from clusterctl.providers.losses import Loss
from clusterctl.testing import fake_node

WHEN = datetime(2026, 11, 28, 21, 3, tzinfo=timezone.utc)
MASTER, WORKER = fake_node(), fake_node("node001", launched_at=WHEN)


def conditions(nodes=(MASTER, WORKER), *, wanted=("master", "node001"), **evidence):
    return find_conditions(Evidence(wanted, nodes, **evidence))


def test_nothing_is_said_of_nodes_that_are_as_they_should_be():
    assert conditions() == ()


@pytest.mark.parametrize(
    ("nodes", "evidence", "expected"),
    [
        ((MASTER,), {}, Condition("node001", Fault.GONE, None, "")),
        ((MASTER,), {"losses": {"node001": Loss(WHEN, "ended")}}, Condition("node001", Fault.GONE, WHEN, "ended")),
        (
            (MASTER,),
            {"losses": {"node001": Loss(WHEN, "taken", interrupted=True)}},
            Condition("node001", Fault.INTERRUPTED, WHEN, "taken"),
        ),
        ((MASTER, fake_node("node001", state=NodeState.GONE)), {}, Condition("node001", Fault.GONE, None, "")),
        (
            (MASTER, fake_node("node001", state=NodeState.STOPPED)),
            {"losses": {"node001": Loss(WHEN, "off")}},
            Condition("node001", Fault.STOPPED, WHEN, "off"),
        ),
        (
            (MASTER, fake_node("node001", state=NodeState.PENDING, launched_at=WHEN)),
            {},
            Condition("node001", Fault.STARTING, WHEN, ""),
        ),
        ((MASTER, WORKER), {"silent": {"node001": "no answer"}}, Condition("node001", Fault.SILENT, None, "no answer")),
        (
            (MASTER, WORKER),
            {"rows": [StatusRow("node001", "spot", "will be taken at 10:00", healthy=False, ends=True)]},
            Condition("node001", Fault.DOOMED, None, "will be taken at 10:00"),
        ),
        (
            (MASTER, WORKER),
            {"unjoined": frozenset({"node001"})},
            Condition("node001", Fault.HALF_JOINED, WHEN, "no start has completed it"),
        ),
    ],
)
def test_each_fault_is_told_with_since_when_and_why(nodes, evidence, expected):
    found = conditions(nodes, **evidence)
    assert found == (expected,)
    assert judge_cluster(nodes, found, at_work=False) == "partial"


def test_a_row_that_is_unhealthy_is_not_yet_an_end():
    assert conditions(rows=[StatusRow("node001", "engines", "1 of 2", healthy=False)]) == ()


@pytest.mark.parametrize(
    ("states", "at_work", "expected"),
    [
        ("rr", False, "running"),
        ("rs", False, "partial"),
        ("ss", False, "stopped"),
        ("", False, "ended"),
        ("g", False, "ended"),
        ("", True, "starting"),
        ("rr", True, "starting"),
        ("p", False, "partial"),
    ],
)
def test_the_state_is_one_word(states, at_work, expected):
    letters = {"r": NodeState.RUNNING, "s": NodeState.STOPPED, "g": NodeState.GONE, "p": NodeState.PENDING}
    nodes = [fake_node(f"n{place}", state=letters[letter]) for place, letter in enumerate(states)]
    found = find_conditions(Evidence([node.alias for node in nodes], nodes))
    assert judge_cluster(nodes, found, at_work=at_work) == expected


def test_the_first_node_that_ends_by_itself_ends_the_cluster_as_it_was():
    early, late = WHEN, WHEN + timedelta(hours=1)
    nodes = [fake_node(ends_at=late), fake_node("node001", ends_at=early), fake_node("node002")]
    assert find_machine_end(nodes) == early
    assert find_machine_end([fake_node()]) is None
