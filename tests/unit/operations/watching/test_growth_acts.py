"""A watch adds nodes for what waits, and ends those on which nobody works."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterctl import hub
from clusterctl.api import Busy, Plugin, hookimpl
from clusterctl.errors import ClusterctlError, RemoteError
from clusterctl.hub import Demand, EngineLoad, Load
from clusterctl.operations.start import start_cluster
from clusterctl.operations.watching import growth_acts
from clusterctl.operations.watching.deciding import Act
from clusterctl.operations.watching.loop import Watch
from clusterctl.testing import FakeClock

from ....support.recording import recording

IDS = {"master": range(1), "node001": range(1, 2), "node002": range(2, 3), "node003": range(3, 4)}
PROGRAM = Path(__file__).parents[3] / "support" / "busy_page.py"
WAITS = (Demand(100, 10.0, 0),)


@pytest.fixture
def clock():
    with FakeClock().installed() as clock:
        yield clock


@pytest.fixture
def world(lab, log, monkeypatch, clock):
    """A cluster of one node that may have three, and a watch over it."""
    return World(lab, log, monkeypatch, clock)


class Busily(Plugin):
    @hookimpl
    def clusterctl_busy(self):
        return [Busy("page", PROGRAM, {})]


class World:
    def __init__(self, lab, log, monkeypatch, clock):
        self.lab, self.log, self.clock, self.told, self.own = lab, log, clock, [], {}
        self.demands, self.busy, self.people, self.asked = (), set(), {}, []
        monkeypatch.setattr(hub, "ask_load", self.ask_load)
        monkeypatch.setattr(hub, "engine_ids", lambda cluster: {node.alias: IDS[node.alias] for node in cluster.nodes})
        monkeypatch.setattr(growth_acts, "ask_who_works", lambda _, node: self.people.get(node.alias, ""))
        self.plugins = {}
        monkeypatch.setattr(growth_acts, "ask_programs", self.ask_programs)
        start_cluster(self.context())
        self.watch = Watch(self.context, self.context, self.told.append)

    def context(self):
        own = {"cluster_size": 1, "scale_max": 3, "scale_down_after": "60s", **self.own}
        return self.lab.parts({**recording(self.log), "busily": Busily}, **own)

    def ask_load(self, cluster, *, drain=(), give_back=()):
        if drain or give_back:
            self.asked.append((list(drain), list(give_back)))
        numbers = [number for node in cluster.nodes for number in IDS[node.alias]]
        engines = {number: EngineLoad(int(number in self.busy), 0) for number in numbers}
        return Load(answered=True, engines=engines, demands=self.demands)

    def ask_programs(self, cluster, programs):
        assert [program["cause"] for program in programs] == ["page"]
        if isinstance(self.plugins, ClusterctlError):
            raise self.plugins
        return self.plugins

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


def test_it_grows_from_no_engine_at_all_and_shrinks_to_none(world, monkeypatch):
    monkeypatch.setitem(IDS, "master", range(0))
    world.own = {"scale_min": 0}
    world.demands = WAITS
    world.looks(4)
    assert world.running() == ["master", "node001", "node002"], "one tells how many engines a node has"
    world.demands = ()
    world.looks(6)
    assert world.running() == ["master"]


@pytest.mark.parametrize("silent", [False, True])
def test_a_node_on_which_a_plugin_has_work_stays(world, silent):
    world.demands = WAITS
    world.looks(3)
    world.demands = ()
    if silent:
        world.plugins = RemoteError("dask: nobody can say what works", remedy="look", node="master")
    else:
        world.plugins = {"node001": "2 tasks of Dask", "": "7 tasks of Dask"}
    world.looks(5)
    assert world.running() == ["master", "node001", *(["node002"] if silent else [])]
    notes = [outcome.decision.reason for outcome in world.told if outcome.decision.act == Act.NOTE]
    if silent:
        assert "node001 stays: nobody knows who works there: dask: nobody can say what works" in notes[0]
    else:
        assert notes == ["node001 stays: 2 tasks of Dask"]
    assert world.asked[1] == ([], [2, 1] if silent else [1])


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
