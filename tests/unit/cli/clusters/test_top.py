"""`top`: its lines for terminals of all sizes, and its JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from clusterctl.cli.clusters import top
from clusterctl.cli.clusters.top import sight_json
from clusterctl.cli.clusters.top_screen import draw
from clusterctl.clients.detached.model import Status
from clusterctl.operations.nodes.detached import ClientMaps
from clusterctl.operations.seeing.readings import EngineWork, Load, Space
from clusterctl.operations.seeing.sight import EngineSight, MapSight, NodeSight, Sight
from clusterctl.providers.money import Spending

GB = 10**9
LOAD = Load(0.25, 4, 1.5, Space("memory", 2 * GB, 8 * GB), (Space("/", 10 * GB, 20 * GB), Space("/home", GB, 90 * GB)))


def sight(nodes=3, engines=2, **changes):
    seen = [NodeSight("master", "running", LOAD, None, "", 1, 1)]
    seen += [NodeSight(f"node{number:03d}", "running", LOAD, None, "", 1, 0) for number in range(1, nodes)]
    work = [EngineSight(0, "master", "busy", EngineWork(2, "abcdef0123", "apply_request", 75.0))]
    work += [EngineSight(number, f"node{number:03d}", "idle", EngineWork(0)) for number in range(1, engines)]
    about = {
        "name": "lab",
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "nodes": tuple(seen),
        "engines": tuple(work),
        "answered": True,
        "waiting": 7,
        "rate": 2.5,
        "maps": (MapSight(Status("nightly", "running", 200, 50, "d1", 0.0), 5.0),),
        "jobs": (),
        "spending": Spending(Decimal("0.30"), Decimal("1.25")),
        "notes": (),
    }
    return Sight(**{**about, **changes})


def test_all_is_there():
    lines = draw(sight())
    assert lines[0] == "lab, 03:04:05 UTC: 3 of 3 nodes heard, 1 of 2 engines busy, $1.25 so far, $0.30 an hour"
    assert lines[1] == "queue: 7 tasks wait, 2 at engines, 2.5 tasks a second end"
    assert "master   25% of 4  2.0/8.0 GB  10.0/20.0 GB /  1 of 1  1.5   running" in lines
    assert "0       master   busy   75 s   a call of abcdef01  2" in lines
    assert "nightly  running  50 of 200  5.0       30 s" in lines


def test_what_clients_map_is_summed_up_and_told_one_by_one():
    clients = (ClientMaps("client-a", 955, 30.0), ClientMaps("client-b", 45, 8.5))
    assert draw(sight(clients=clients))[2] == "maps of 2 clients: 1000 items left, 38 a second"
    assert sight_json(sight(clients=clients))["clients"][1] == {"client": "client-b", "left": 45, "items_per_s": 8.5}


def test_a_silent_node_says_so():
    silent = NodeSight("node001", "running", None, 40.0, "the connection was lost", 0, 0)
    seen = sight(nodes=1)
    lines = draw(Sight(**{**vars(seen), "nodes": (*seen.nodes, silent)}))
    assert "lab, 03:04:05 UTC: 1 of 2 nodes heard" in lines[0]
    assert any(line.endswith("silent for 40 s: the connection was lost") for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 100])
@pytest.mark.parametrize("height", [1, 3, 8, 12, 24, 50])
def test_it_fits_any_terminal(width, height):
    lines = draw(sight(nodes=100, engines=100), width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_what_does_not_fit_is_counted_and_the_worst_is_shown():
    seen = sight(nodes=50, engines=0)
    nodes = [*seen.nodes]
    nodes[40] = NodeSight("node040", "running", None, 20.0, "it tells nothing", 1, 0)
    lines = draw(Sight(**{**vars(seen), "nodes": tuple(nodes), "maps": ()}), width=100, height=16)
    [row] = [line for line in lines if line.startswith("node040")]
    assert "silent for 20 s" in row
    [more] = [line for line in lines if "more node" in line]
    shown = sum(line.startswith(("master", "node")) for line in lines)
    assert more == f"... and {50 - shown} more nodes"


def test_a_narrow_terminal_has_the_columns_that_matter():
    heading = next(line for line in draw(sight(), width=34, height=24) if line.startswith("NODE"))
    assert heading.split() == ["NODE", "CPU", "BUSY", "STATE"]


def test_what_nodes_say_moves_no_cursor():
    seen = sight(notes=("engines: \x1b[2J",))
    assert "\x1b" not in "\n".join(draw(seen))


class FakeObserver:
    """Sees the same thing again and again."""

    closed = 0

    def __init__(self, context, *, every_s):
        self.context, self.every_s = context, every_s

    def wait_for_all(self):
        pass

    def look(self):
        return sight()

    def close(self):
        FakeObserver.closed += 1


@pytest.fixture
def started(monkeypatch, laptop, run):
    run("start", "lab")
    monkeypatch.setattr(top, "Observer", FakeObserver)
    monkeypatch.setattr(FakeObserver, "closed", 0)
    return run


def test_once_as_json_is_one_document(started):
    said = started("top", "lab", "--once", "--json")
    assert said.status == 0
    document = json.loads(said.out)
    assert set(document) == {"name", "at", "nodes", "engines", "queue", "maps", "clients", "jobs", "cost", "notes"}
    assert document["nodes"][0]["memory"] == {"name": "memory", "used": 2 * GB, "total": 8 * GB}
    assert document["engines"][0]["seconds"] == 75.0
    assert document["maps"][0]["items_per_s"] == 5.0
    assert FakeObserver.closed == 1


def test_without_a_terminal_it_is_shown_once(started):
    said = started("top", "lab")
    assert said.status == 0
    assert said.out.startswith("lab, 03:04:05 UTC: 3 of 3 nodes heard")
    assert FakeObserver.closed == 1


def test_as_json_each_look_is_a_line_until_ctrl_c(started, monkeypatch):
    looks = []

    def look(_):
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return sight()

    monkeypatch.setattr(FakeObserver, "look", look)
    monkeypatch.setattr("clusterctl.cli.clusters.top.pause", lambda _: None)
    said = started("top", "lab", "--json")
    assert said.status == 0
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["lab", "lab"]
    assert FakeObserver.closed == 1


def test_a_cluster_that_is_not_there_is_said(run, laptop):
    said = run("top", "lab", "--once")
    assert said.status == 2
