"""A watch adds nodes for what waits, and ends those on which nobody works."""

from __future__ import annotations

import pytest

from clusterctl import hub
from clusterctl.hub import Demand, EngineLoad, Load
from clusterctl.operations.start import start_cluster
from clusterctl.operations.watching import growth_acts
from clusterctl.operations.watching.deciding import Act
from clusterctl.operations.watching.loop import Watch
from clusterctl.testing import FakeClock

from ....support.recording import recording

IDS = {"master": range(1), "node001": range(1, 2), "node002": range(2, 3), "node003": range(3, 4)}
WAITS = (Demand(100, 10.0, 0),)


@pytest.fixture
def clock():
    with FakeClock().installed() as clock:
        yield clock


@pytest.fixture
def world(lab, log, monkeypatch, clock):
    """A cluster of one node that may have three, and a watch over it."""
    return World(lab, log, monkeypatch, clock)


class World:
    def __init__(self, lab, log, monkeypatch, clock):
        self.lab, self.log, self.clock, self.told = lab, log, clock, []
        self.demands, self.busy, self.people, self.asked = (), set(), {}, []
        monkeypatch.setattr(hub, "ask_load", self.ask_load)
        monkeypatch.setattr(hub, "engine_ids", lambda cluster: {node.alias: IDS[node.alias] for node in cluster.nodes})
        monkeypatch.setattr(growth_acts, "ask_who_works", lambda _, node: self.people.get(node.alias, ""))
        start_cluster(self.context())
        self.watch = Watch(self.context, self.context, self.told.append)

    def context(self):
        own = {"cluster_size": 1, "scale_max": 3, "scale_down_after": "60s"}
        return self.lab.parts(recording(self.log), **own)

    def ask_load(self, cluster, *, drain=(), give_back=()):
        if drain or give_back:
            self.asked.append((list(drain), list(give_back)))
        numbers = [number for node in cluster.nodes for number in IDS[node.alias]]
        engines = {number: EngineLoad(int(number in self.busy), 0) for number in numbers}
        return Load(answered=True, engines=engines, demands=self.demands)

    def looks(self, count, every_s=20):
        for _ in range(count):
            self.watch.look()
            self.clock.advance(every_s)

    def running(self):
        return [node.alias for node in self.lab.provider.nodes("lab")]

    def said(self):
        return [
            (outcome.decision.act, outcome.decision.node, "failed" if outcome.error else "done")
            for outcome in self.told
            if outcome.seconds is not None
        ]


def test_it_grows_and_shrinks_again(world):
    world.demands = WAITS
    world.looks(3)
    assert world.running() == ["master", "node001", "node002"]
    world.demands = ()
    world.looks(6)
    assert world.running() == ["master"]
    assert world.said() == [
        (Act.GROW, "", "done"),
        (Act.SHRINK, "node002", "done"),
        (Act.SHRINK, "node001", "done"),
    ]
    assert world.asked == [([2, 1], [])]
    assert world.context().folder.wanted_nodes() == ("master",)


@pytest.mark.parametrize("who", ["a task that came last", "somebody is logged in"])
def test_a_node_on_which_somebody_works_stays_and_is_given_work_again(world, monkeypatch, who):
    world.demands = WAITS
    world.looks(3)
    world.demands = ()
    if who == "somebody is logged in":
        world.people = {"node002": "a login (bash)"}
    else:
        own = world.ask_load

        def ask_load(cluster, **about):
            world.busy = {2} if about else set()
            return own(cluster, **about)

        monkeypatch.setattr(hub, "ask_load", ask_load)
    world.looks(5)
    assert world.running() == ["master", "node002"]
    assert world.asked[:2] == [([2, 1], []), ([], [2])]
    notes = [outcome.decision.reason for outcome in world.told if outcome.decision.act == Act.NOTE]
    assert len(notes) == 1, "it is tried again only after another SCALE_DOWN_AFTER"
    assert notes[0].startswith("node002 stays: ")


def test_what_the_provider_refuses_is_said_once_and_asked_for_again(world):
    world.demands = WAITS
    world.lab.provider.scarce |= {"node001", "node002"}
    world.looks(12)
    assert [act for act, _, how in world.said()] == [Act.GROW]
    assert world.running() == ["master"]
    world.lab.provider.scarce.clear()
    world.looks(40)
    assert world.running() == ["master", "node001", "node002"]
    assert world.said()[-1] == (Act.GROW, "", "done")
