"""Files that somebody has asked for hold the end of a master that they would be lost with, and not for ever."""

from __future__ import annotations

import json

import pytest

from clusterctl.on_node.system.ending import acting, home_files
from clusterctl.on_node.system.ending import ending as module
from clusterctl.on_node.system.ending.records import ENDED, ENDING, Terms

GONE = Terms(nonce="n", life="m", cluster="lab", idle_s=100.0, powers_off=True, lasts=False)


@pytest.fixture
def job(bench):
    """A job with files that were not fetched, beside one without any, and what is none."""
    folder = bench.place / "jobs"
    for name, text in (("7", '{"fetch": ["model.pkl"]}'), ("8", '{"fetch": []}'), ("9", "["), ("slots", "")):
        (folder / name).mkdir(parents=True)
        (folder / name / "order.json").write_text(text)
    return folder / "7"


@pytest.fixture
def told(monkeypatch):
    told = []
    monkeypatch.setattr(module.telling, "notify", lambda *said, **_: told.append(said[2]))
    return told


def changed(**about):
    return Terms(**{**vars(GONE), **about})


def test_they_are_waited_for_and_said_once_until_they_are_fetched(bench, job, told):
    master = bench.master(GONE)
    bench.wait(master, 300)
    assert (bench.state.phase, bench.offs) == (ENDING, [])
    assert "files of the job 7 are to be fetched within" in bench.state.why
    assert told.count("held") == 1
    (job / "fetched").touch()
    master.look()
    assert (bench.state.phase, len(bench.offs)) == (ENDED, 1)


def test_they_are_waited_for_an_hour_at_most_whoever_restarts_the_watch(bench, job, told):
    bench.wait(bench.master(GONE), 1800)
    bench.wait(bench.master(GONE), 1700)
    assert bench.offs == []
    bench.wait(bench.master(GONE), 300)
    assert len(bench.offs) == 1


COST = changed(idle_s=0.0, max_usd=1.0, hourly_usd=36.0)


@pytest.mark.parametrize(
    "terms",
    [changed(lasts=True), changed(powers_off=False), changed(on_end="true"), COST],
    ids=["its disk stays", "its machine stays", "ON_END has saved what is to be saved", "MAX_COST"],
)
def test_nothing_is_waited_for_where_nothing_is_lost_or_money_is_over(bench, job, told, terms, monkeypatch):
    monkeypatch.setattr(acting, "run_last", lambda *_: "")
    bench.wait(bench.master(terms), 300)
    assert bench.state.phase == ENDED
    assert "held" not in told


def test_the_program_in_the_home_is_asked_for_them_alone_where_that_matters(bench, job):
    assert home_files.look(bench.place, bench.maps)["unfetched"] == []
    assert home_files.look(bench.place, bench.maps, unfetched=True)["unfetched"] == ["7"]
    assert json.loads((job / "order.json").read_text())["fetch"]
