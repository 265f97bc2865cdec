"""Who is listened to, as nodes come and go; what cannot be seen is said."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from clusterctl.clients.detached.model import Status
from clusterctl.clock import Deadline
from clusterctl.errors import RemoteError
from clusterctl.model import NodeState
from clusterctl.operations.nodes.detached import ClientMaps
from clusterctl.operations.seeing import observer as observers
from clusterctl.operations.seeing.listening import Heard
from clusterctl.operations.seeing.observer import Observer
from clusterctl.operations.seeing.readings import EngineWork, Load, Work
from clusterctl.operations.seeing.sight import BUSY, MISSING
from clusterctl.testing import fake_node


class FakeListener:
    """Hears what it is told to hear."""

    def __init__(self, program, open_node, *, every_s, idle_s):
        self.program, self.closed = program, False
        is_load = program is observers._LOAD
        self.said = Heard(Load(cpu=0.5)) if is_load else Heard(Work(answered=True, engines={0: EngineWork(1)}))

    def heard(self):
        return self.said

    def close(self):
        self.closed = True

    def join(self, deadline):
        pass


class Maps:
    """A map that does ten items between two looks."""

    def __init__(self, name, open_master):
        self.done = 0

    def all(self):
        self.done += 10
        return [Status("nightly", "running", 100, self.done, "d", 0.0), Status("old", "done", 5, 5, "d", 0.0)]

    def clients(self):
        if self.done > 30:
            raise RemoteError("an older version", remedy="start")
        return [ClientMaps("client-a", 955, 38.0)]

    def close(self):
        pass


class Jobs:
    """No node answers."""

    def __init__(self, context):
        pass

    def look_up_nodes(self):
        pass

    def all(self):
        raise RemoteError("no node answers", remedy="wait")

    def forget_ways(self):
        pass


@pytest.fixture
def lab(monkeypatch):
    """Three nodes, and an observer of them that asks without pauses."""
    for name, fake in {"Listener": FakeListener, "RemoteStore": Maps, "RemoteJobs": Jobs, "_PROVIDER_S": 0.01}.items():
        monkeypatch.setattr(observers, name, fake)
    monkeypatch.setattr(observers.hub, "engine_ids", lambda _: {"master": range(1), "node001": range(1, 2)})
    nodes = [fake_node(name) for name in ("master", "node001", "node002")]
    made = SimpleNamespace(nodes=nodes)
    context = SimpleNamespace(
        name="lab",
        provider=SimpleNamespace(nodes=lambda name: list(made.nodes)),
        make_cluster=lambda nodes: None,
    )
    made.observer = Observer(context, every_s=0.01)
    yield made
    made.observer.close()
    assert not [thread for thread in made.observer._threads if thread.is_alive()]
    assert all(listener.closed for listener in made.observer._listeners())


def until(condition):
    for _ in Deadline.after(10).polls(0.01):
        if condition():
            return
    pytest.fail("it never came")


def test_all_is_put_together(lab):
    lab.observer.wait_for_all()
    sight = lab.observer.look()
    assert [(node.alias, node.load.cpu, node.busy) for node in sight.nodes] == [
        ("master", 0.5, 1),
        ("node001", 0.5, 0),
        ("node002", 0.5, 0),
    ]
    assert [engine.state for engine in sight.engines] == [BUSY, MISSING]
    assert [one.status.name for one in sight.maps] == ["nightly"]
    assert sight.notes == ("jobs: no node answers",)
    assert sight.spending is None
    until(lambda: (lab.observer.look().maps[0].rate or 0) > 0)


def test_a_master_that_knows_nothing_of_clients_is_asked_no_more_and_maps_are_seen(lab):
    until(lambda: lab.observer.look().maps and lab.observer.look().clients == ())
    until(lambda: lab.observer.look().maps[0].status.done > 60)
    assert not any("maps" in note for note in lab.observer.look().notes)


def test_a_node_that_joins_is_listened_to_and_one_that_leaves_no_more(lab):
    before = {alias: listener for alias, (_, listener) in lab.observer._loads.items()}
    stopped = dataclasses.replace(lab.nodes[2], state=NodeState.STOPPED)
    other = dataclasses.replace(lab.nodes[1], id="another machine")
    lab.nodes = [lab.nodes[0], other, stopped, fake_node("node003")]
    until(lambda: "node003" in lab.observer._loads)
    assert sorted(lab.observer._loads) == ["master", "node001", "node003"]
    assert (before["master"].closed, before["node001"].closed, before["node002"].closed) == (False, True, True)
    assert [node.state for node in lab.observer.look().nodes if node.alias == "node002"] == ["stopped"]


def test_a_controller_that_is_silent_is_said(lab):
    _, listener = lab.observer._work
    listener.said = Heard(Work())
    assert "engines: the controller does not answer" in lab.observer.look().notes
    listener.said = Heard(None, 1.0, "the connection was lost")
    sight = lab.observer.look()
    assert "engines: the connection was lost" in sight.notes
    assert (sight.answered, sight.engines) == (False, ())
