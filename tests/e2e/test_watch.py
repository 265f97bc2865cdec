"""A watch over local nodes brings back what is lost, and leaves alone what others do."""

from __future__ import annotations

import os
import signal

import pytest

from ..support.laptop import read_acts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "watched"


@pytest.fixture(scope="module")
def watched(laptop_class, tmp_path_factory):
    """A cluster of three nodes, on a laptop of its own."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    laptop.run("start", "-s", "3", NAME)
    try:
        yield laptop
    finally:
        laptop.run("terminate", "--yes", NAME, status=None)


def lose(laptop, *aliases):
    for alias in aliases:
        os.kill(laptop.running(NAME, alias)["pid"], signal.SIGKILL)


def engines(laptop):
    (cluster,) = laptop.json("list", "--json", NAME)
    return {node["alias"]: node["engines"] for node in cluster["nodes"]}


WHOLE = {"master": 1, "node001": 1, "node002": 1}


def test_lost_nodes_come_back_and_a_second_watch_is_refused(watched, poll):
    with watched.begin("watch", NAME, "--every", "1", "--json") as watch:
        poll((watched.folder(NAME) / "watch.lock").exists, "it watches")
        watched.refuse("watch", NAME, "--once", status=1, says=[f"process {watch.pid} watches over {NAME} already"])
        lose(watched, "node001", "node002")
        told = read_acts(watch, "done", "done")
        watch.send_signal(signal.SIGINT)
        watch.wait(60)
    assert told == [("bring back", alias, state) for state in ("begun", "done") for alias in ("node001", "node002")]
    assert engines(watched) == WHOLE


def test_a_dry_run_says_it_and_once_does_it(watched):
    lose(watched, "node002")
    dry = watched.run("watch", NAME, "--once", "--dry-run")
    assert "node002  bring back  its machine is off  (dry run)" in dry.stdout
    done = watched.run("watch", NAME, "--once", timeout=200)
    assert "node002  bring back  done in" in done.stdout
    assert engines(watched) == WHOLE
    assert watched.run("watch", NAME, "--once").stdout == ""


def test_a_lost_master_comes_back_and_everybody_joins_it(watched):
    lose(watched, "master")
    said = watched.run("watch", NAME, "--once", timeout=200)
    assert "master  bring back  done in" in said.stdout
    assert engines(watched) == WHOLE


def test_it_ends_when_the_cluster_is_stopped_and_brings_nothing_back(watched, poll):
    with watched.begin("watch", NAME, "--every", "1", "--json") as watch:
        poll((watched.folder(NAME) / "watch.lock").exists, "it watches")
        watched.run("stop", "--yes", NAME)
        told = read_acts(watch, "told")
        assert watch.wait(60) == 0
    assert told == [("end", None, "told")]
    (cluster,) = watched.json("list", "--json", NAME)
    assert {node["state"] for node in cluster["nodes"]} == {"stopped"}
    watched.run("start", NAME)


def test_a_watch_that_is_killed_leaves_nothing_that_keeps_the_next_one_away(watched, poll):
    with watched.begin("watch", NAME, "--every", "1") as watch:
        poll((watched.folder(NAME) / "watch.lock").exists, "it watches")
        watch.kill()
        watch.wait(10)
    assert watched.run("watch", NAME, "--once").stdout == ""
