"""What the laptop makes of what a master says of its load: it is a node's word."""

from __future__ import annotations

import json

import pytest

from clusterctl.errors import RemoteError
from clusterctl.hub import Demand, EngineLoad, Load, ask_load
from clusterctl.testing import fake_cluster

WHOLE = {"answered": True, "engines": {"0": [2, 17], "1": [0, 0]}, "unassigned": 5}
DEMANDS = [[1000, 2.5, 0]]


def answering(tmp_path, said=None, demands=None):
    lines = f"{json.dumps(DEMANDS if demands is None else demands)}\n{json.dumps({**WHOLE, **(said or {})})}\n"
    return fake_cluster(tmp_path, answers=lambda _: lines)


def test_it_is_one_command(tmp_path):
    cluster = answering(tmp_path)
    load = ask_load(cluster, drain=[1], give_back=[0])
    assert load == Load(True, {0: EngineLoad(2, 17), 1: EngineLoad(0, 0)}, 5, (Demand(1000, 2.5, 0),))
    [ran] = cluster.ran
    assert '"drain": [1], "give_back": [0]' in ran.text
    assert ran.owned, "two never drain at once"


def test_a_question_alone_takes_no_ownership(tmp_path):
    cluster = answering(tmp_path)
    ask_load(cluster)
    assert not cluster.ran[0].owned


def test_without_a_controller_there_is_what_clients_have_written(tmp_path):
    assert ask_load(answering(tmp_path, {"answered": False})) == Load(demands=(Demand(1000, 2.5, 0),))


@pytest.mark.parametrize(
    "demands", [7, [[1, 2]], [["many", 1, 1]], [[-1, 1, 1]], [[float("nan"), 1, 1]], [[True, 1, 1]]]
)
def test_hostile_demand_is_refused(tmp_path, demands):
    with pytest.raises(RemoteError, match="cannot be read"):
        ask_load(answering(tmp_path, demands=demands))


@pytest.mark.parametrize(
    "said",
    [
        {"engines": 3},
        {"engines": {"a": [0, 0]}},
        {"engines": {"0": [0]}},
        {"unassigned": None},
        {"answered": True, "engines": {"0": ["x", 1]}},
    ],
)
def test_hostile_queues_are_refused(tmp_path, said):
    with pytest.raises(RemoteError, match="cannot be read"):
        ask_load(answering(tmp_path, said))
