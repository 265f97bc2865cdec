"""What is heard and what is not heard, put together."""

from __future__ import annotations

import dataclasses

from clusterctl.model import NodeState
from clusterctl.operations.seeing.listening import Heard
from clusterctl.operations.seeing.readings import EngineWork, Load, Work
from clusterctl.operations.seeing.sight import BUSY, IDLE, MISSING, see_engines, see_nodes
from clusterctl.testing import fake_node

IDS = {"master": range(2), "node001": range(2, 4)}
LIMITS = {"patience_s": 15, "prompt_s": 10}


def test_engines_are_busy_idle_or_missing():
    work = Work(True, engines={0: EngineWork(2), 1: EngineWork(0), 3: EngineWork(0), 9: EngineWork(1)})
    engines = see_engines(work, IDS)
    assert [(engine.number, engine.node, engine.state) for engine in engines] == [
        (0, "master", BUSY),
        (1, "master", IDLE),
        (2, "node001", MISSING),
        (3, "node001", IDLE),
        (9, "", BUSY),
    ]


def test_of_a_controller_that_is_silent_nobody_says_that_engines_are_missing():
    assert see_engines(None, IDS) == ()
    assert see_engines(Work(), IDS) == ()


def test_nodes_that_tell_nothing_say_why():
    names = ("master", "node001", "node002", "node003", "node004")
    nodes = [fake_node(name) for name in names]
    nodes[4] = dataclasses.replace(nodes[4], state=NodeState.STOPPED)
    load = Load(cpu=0.5)
    heard = {
        "master": Heard(load, 3.0),
        "node001": Heard(load, 20.0),
        "node002": Heard(None, 2.0, "refused"),
        "node003": Heard(None, 12.0),
    }
    engines = see_engines(Work(True, engines={0: EngineWork(1), 1: EngineWork(0)}), IDS)
    sights = {node.alias: node for node in see_nodes(nodes, heard, engines, **LIMITS)}
    assert sights["master"].load == load
    assert (sights["master"].busy, sights["master"].engines) == (1, 2)
    assert (sights["node001"].load, sights["node001"].silent_s) == (None, 20.0)
    assert sights["node001"].trouble == "it tells nothing"
    assert sights["node002"].trouble == "refused"
    assert sights["node003"].trouble == "it tells nothing"
    assert (sights["node004"].state, sights["node004"].silent_s) == ("stopped", None)
