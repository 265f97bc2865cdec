"""`terminate` where this computer has lost the files of a cluster: by an id, or not at all."""

from __future__ import annotations

import pytest

from clusterctl.wiring import providers

from ....support.shared_provider import SharedProvider, stranger


@pytest.fixture
def shared(laptop, monkeypatch):
    """Two clusters of one name, of which this computer knows nothing."""
    nodes = [stranger(), stranger("node001"), stranger(id_="beef")]
    laptop.provider = SharedProvider(home=laptop.home, strangers=nodes, name="docker")
    monkeypatch.setitem(providers._PROVIDERS, "docker", lambda _: laptop.provider)
    return laptop


def test_yes_without_an_id_ends_nothing_and_names_what_there_is(run, shared):
    said = run("terminate", "--yes", "lab")
    assert said.status == 2
    assert "id feed: 2 nodes, made by you@there since 2026-01-01 08:30 UTC" in said.err
    assert "id beef: 1 node" in said.err
    assert "try: name the one that is meant: `clusterctl terminate --id ID lab`" in said.err
    assert shared.provider.calls == []


def test_on_a_terminal_it_asks_for_the_id_and_then_whether_to_go_on(run, shared, terminal):
    said = run("terminate", "lab", stdin="beef\ny\n")
    assert "id feed: 2 nodes" in said.out
    assert "End lab? 1 node" in said.out
    assert said.status == 0
    assert shared.provider.calls == ["destroy lab"]
    assert not (shared.home / "clusters" / "lab").exists()


def test_no_id_is_a_no(run, shared, terminal):
    said = run("terminate", "lab", stdin="\n")
    assert (said.status, said.err.splitlines()[-1]) == (3, "nothing was changed")
    assert shared.provider.calls == []


def test_an_id_is_of_one_cluster(run, shared):
    said = run("terminate", "--yes", "--id", "feed", "lab", "other")
    assert said.status == 2
    assert "name that one alone" in said.err


@pytest.mark.parametrize("words", [("stop", "--yes"), ("removenode", "--yes", "-a", "node001")])
def test_what_may_be_somebody_elses_is_not_stopped_or_made_smaller(run, shared, words):
    command, *more = words
    said = run(command, *more, "lab")
    assert said.status == 2
    assert "clusterctl attach lab" in said.err
    assert shared.provider.calls == []
