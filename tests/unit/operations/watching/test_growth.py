"""How many nodes a cluster should have: a table of situations."""

from __future__ import annotations

import pytest

from clusterctl.hub import Demand, EngineLoad, Load
from clusterctl.model import NodeState, StatusRow
from clusterctl.operations.watching.deciding import Act, Memory, decide
from clusterctl.operations.watching.growth import Growth, GrowthMemory, count_wanted_engines, find_change
from clusterctl.operations.watching.sight import Sight
from clusterctl.testing import FakeClock, fake_node


def nodes(count):
    return ("master", *(f"node{number:03}" for number in range(1, count)))


def growth(size, *, busy=(), demands=(), unassigned=0, done=0, an_node=2, **about):
    """One of a cluster of so many nodes, of which the engines of some are at work."""
    ids = {alias: range(an_node * n, an_node * (n + 1)) for n, alias in enumerate(nodes(size))}
    engines = {number: EngineLoad(int(alias in busy), done) for alias, numbers in ids.items() for number in numbers}
    load = Load(answered=True, engines=engines, unassigned=unassigned, demands=tuple(demands))
    return Growth(**{"least": 1, "most": 6, "after_s": 60.0, "load": load, "engine_ids": ids, **about})


def size_of(seen, size):
    change = find_change(seen, nodes(size), GrowthMemory())
    return change.size if change else size


@pytest.mark.parametrize(
    ("size", "about", "wanted"),
    [
        pytest.param(1, {}, 1, id="nothing waits"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)]}, 6, id="much waits: SCALE_MAX at once"),
        pytest.param(1, {"demands": [Demand(1000, 0.0, 0)]}, 6, id="nobody knows how long it takes"),
        pytest.param(1, {"demands": [Demand(1000, 0.001, 0)]}, 1, id="over before a node comes"),
        pytest.param(1, {"demands": [Demand(1000, 0.05, 0)]}, 3, id="as many as have work until they come"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 5)]}, 3, id="a pool that wants five engines"),
        pytest.param(1, {"demands": [Demand(3, 100.0, 0)]}, 2, id="three long items"),
        pytest.param(1, {"demands": [Demand(3, 100.0, 0), Demand(4, 100.0, 0)]}, 4, id="two clients"),
        pytest.param(1, {"unassigned": 3}, 2, id="tasks that wait at the controller"),
        pytest.param(2, {"busy": ("master", "node001"), "unassigned": 1}, 3, id="all at work, and one waits"),
        pytest.param(2, {"busy": nodes(2), "demands": [Demand(4, 100.0, 0)]}, 2, id="what is at work counts once"),
        pytest.param(6, {"demands": [Demand(1000, 2.0, 0)]}, 6, id="it is as large as it may be"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)], "come_s": 2000.0}, 1, id="nodes come too late"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)], "affordable": 3}, 3, id="MAX_COST has room for three"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)], "room": 4}, 4, id="four hosts are free for it"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)], "room": 4, "affordable": 3}, 3, id="what is least counts"),
        pytest.param(1, {"demands": [Demand(1000, 2.0, 0)], "an_node": 0}, 2, id="nobody knows what a node brings"),
    ],
)
def test_a_cluster_grows_to_what_has_work(size, about, wanted):
    assert size_of(growth(size, **about), size) == wanted


def test_a_controller_that_is_silent_changes_nothing():
    silent = growth(1, demands=[Demand(1000, 2.0, 0)])
    silent = Growth(1, 6, 60.0, Load(demands=silent.load.demands), silent.engine_ids)
    assert find_change(silent, nodes(1), GrowthMemory()) is None


def test_a_node_that_is_about_to_come_counts_as_there():
    seen = growth(1, demands=[Demand(4, 100.0, 0)])
    assert find_change(seen, nodes(1), GrowthMemory()).size == 2
    assert find_change(seen, nodes(2), GrowthMemory()) is None


def test_what_was_measured_counts_more_than_a_guess():
    load = growth(1, demands=[Demand(1000, 2.0, 0)]).load
    assert count_wanted_engines(load, 100.0) == 20
    assert find_change(growth(1, demands=[Demand(1000, 2.0, 0)]), nodes(1), GrowthMemory(come_s=1000.0)) is None


class TestShrinking:
    @pytest.fixture
    def clock(self):
        with FakeClock().installed() as clock:
            yield clock

    def leaving(self, clock, size, *, looks=3, **about):
        """Who leaves after looks of half a minute each."""
        memory = GrowthMemory()
        for _ in range(looks):
            seen = growth(size, **about)
            memory.note(seen)
            change = find_change(seen, nodes(size), memory)
            clock.advance(30)
        return change.leaving if change else ()

    @pytest.mark.parametrize(
        ("about", "leave"),
        [
            pytest.param({}, ("node003", "node002", "node001"), id="nobody works: all but the master"),
            pytest.param({"looks": 2}, (), id="not before its time"),
            pytest.param({"least": 3}, ("node003",), id="never below SCALE_MIN"),
            pytest.param({"busy": ("node003",)}, ("node002", "node001"), id="never one that works"),
            pytest.param({"demands": [Demand(5, 100.0, 0)]}, ("node003",), id="what waits will need the others"),
            pytest.param({"after_s": 0.0}, (), id="SCALE_DOWN_AFTER = never"),
        ],
    )
    def test_what_had_nothing_to_do_leaves(self, clock, about, leave):
        assert self.leaving(clock, 4, **about) == leave

    def test_a_task_between_two_looks_counts(self, clock):
        memory = GrowthMemory()
        for done in (0, 0, 7):
            seen = growth(2, done=done)
            memory.note(seen)
            clock.advance(40)
        assert find_change(seen, nodes(2), memory) is None

    def test_an_engine_that_the_controller_does_not_know_is_not_idle(self, clock):
        memory = GrowthMemory()
        for _ in range(3):
            seen = growth(2)
            seen.load.engines.pop(3)
            memory.note(seen)
            clock.advance(40)
        assert find_change(seen, nodes(2), memory) is None


class TestWatch:
    def sight(self, size, rows=(), states=(), **about):
        seen = {alias: fake_node(alias, machine_id=alias, state=NodeState.RUNNING) for alias in nodes(size)}
        for alias in states:
            del seen[alias]
        return Sight(nodes(size), seen, tuple(rows), {}, growth=growth(size, **about))

    def decided(self, memory, *args, **about):
        return [(decision.act, decision.size) for decision in decide(self.sight(*args, **about), memory)]

    def test_it_grows_when_that_is_seen_twice(self):
        memory, waits = Memory(), {"demands": [Demand(1000, 2.0, 0)]}
        assert self.decided(memory, 1, **waits) == []
        assert memory.has_doubts
        assert self.decided(memory, 1, **waits) == [(Act.GROW, 6)]

    def test_a_short_wait_grows_nothing(self):
        memory = Memory()
        self.decided(memory, 1, demands=[Demand(1000, 2.0, 0)])
        assert self.decided(memory, 1) == []
        assert self.decided(memory, 1, demands=[Demand(1000, 2.0, 0)]) == []

    def test_lost_nodes_come_back_first(self):
        memory, about = Memory(), {"states": ("node001",), "demands": [Demand(1000, 2.0, 0)]}
        self.decided(memory, 2, **about)
        assert self.decided(memory, 2, **about) == [(Act.BRING_BACK, 0)]

    def test_while_a_node_will_be_taken_the_size_changes_by_itself(self):
        memory = Memory()
        doomed = StatusRow("node001", "spot", "will be taken", healthy=False, ends=True)
        assert self.decided(memory, 2, rows=[doomed], demands=[Demand(99, 9.0, 0)]) == [(Act.REPLACE, 0)]

    def test_what_does_not_work_keeps_nobody_from_growing(self):
        memory = Memory()
        about = {"rows": [StatusRow("master", "notebook", "is deaf", healthy=False)], "demands": [Demand(99, 9.0, 0)]}
        self.decided(memory, 1, **about)
        assert self.decided(memory, 1, **about) == [(Act.REPAIR, 0), (Act.GROW, 6)]

    @pytest.mark.parametrize(
        ("limit", "said"), [("affordable", "MAX_COST has no room for them"), ("room", "no host is free for them")]
    )
    def test_that_money_or_hosts_have_an_end_is_said_once(self, limit, said):
        memory, about = Memory(), {"demands": [Demand(1000, 2.0, 0)], limit: 1}
        (note,) = decide(self.sight(1, **about), memory)
        assert (note.act, note.reason) == (Act.NOTE, f"more nodes would have work, and {said}")
        assert self.decided(memory, 1, **about) == []
