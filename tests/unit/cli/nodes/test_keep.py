"""`keep`, as its user types it."""

from __future__ import annotations

import json

import pytest

SAID = {"phase": "warned", "why": "why", "busy": "", "idle_s": 960, "kept_s": 0, "ends_in_s": 240, "keep": ""}


@pytest.fixture
def wishes(run, laptop):
    """What the master has heard; it answers by it."""
    assert run("start", "lab").status == 0
    heard = []

    def probe(_):
        wish = heard[-1] if heard else {"id": "", "seconds": 0}
        left_s = max(240, wish["seconds"])
        ends = {**SAID, "keep": wish["id"], "kept_s": wish["seconds"], "ends_in_s": left_s}
        return json.dumps({"manager": "", "services": [], "watched": True, "ending": ends})

    def hear(ran):
        heard.append(json.loads(next(line for line in ran.text.splitlines() if "printf" in line).split("'")[3]))
        return ""

    laptop.connector.answers = {"services: probe": probe, "ending: keep": hear}
    return heard


def test_it_says_when_the_cluster_ends_now(run, wishes):
    assert "lab ends in 2 h (idle for 16 min, kept for 2 h more): why" in run("keep", "lab", "2h").out
    assert run("keep", "lab", "30m", "--json").json["kept_s"] == 1800
    assert [wish["seconds"] for wish in wishes] == [7200, 1800]


@pytest.mark.parametrize("time", ["soon", "20", "-2h", "0s", "400d"])
def test_a_time_that_is_none_is_refused_before_anything_is_sent(run, wishes, time):
    said = run("keep", "lab", "--", time)
    assert said.status == 2
    assert "expected a time such as 90s, 20m, 2h or 1d" in said.err
    assert wishes == []


def test_status_shows_the_end_of_a_cluster(run, wishes):
    assert "  end: in 4 min (idle for 16 min): why" in run("status", "lab").out
    assert run("status", "lab", "--json").json["ends"] == {
        "phase": "warned",
        "why": "why",
        "busy": "",
        "in_s": 240,
        "idle_s": 960,
        "kept_s": 0,
    }
