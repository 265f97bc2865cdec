"""Which clusters there are, and which one is meant."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from clusterctl.errors import ProviderError, UsageError
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.operations.start import start_cluster
from clusterctl.wiring import clusters, providers


def test_a_provider_that_does_not_answer_hides_no_other(fake, monkeypatch):
    start_cluster(fake.parts(name="up", cluster_size=1))
    with pytest.raises(ProviderError, match="no Docker engine"):
        providers.make_provider("docker").nodes()
    assert clusters.known_clusters() == {"up": NodeState.RUNNING}


def test_one_that_is_in_use_and_does_not_answer_is_warned_of(fake, home, monkeypatch):
    def refuse(_):
        raise ProviderError("no answer", remedy="ask again")

    for name in ("docker", "static"):
        monkeypatch.setitem(providers._PROVIDERS, name, refuse)
    report = SimpleNamespace(warnings=[])
    report.warn = report.warnings.append
    assert clusters.known_clusters(report) == {}
    assert report.warnings == ["nodes of static are not known: no answer (try: ask again)"]
    folder = ClusterFolder(home, "mine")
    folder.ensure_exists()
    folder.record("create", provider="docker", template="a", overrides={}, nodes=["master"])
    report.warnings.clear()
    assert clusters.known_clusters(report) == {"mine": NodeState.GONE}
    assert sorted(text.split()[2] for text in report.warnings) == ["docker", "static"]


def test_those_of_the_provider_and_those_of_this_laptop(fake, home):
    start_cluster(fake.parts(name="up", cluster_size=2))
    start_cluster(fake.parts(name="off", cluster_size=1))
    fake.provider.stop("off")
    start_cluster(fake.parts(name="half", cluster_size=2))
    fake.provider.power_off("half", "master")
    start_cluster(fake.parts(name="vanished", cluster_size=1))
    fake.provider.lose("vanished", "master")
    (home / "clusters" / "no_journal").mkdir()
    assert clusters.known_clusters() == {
        "half": NodeState.RUNNING,
        "off": NodeState.STOPPED,
        "up": NodeState.RUNNING,
        "vanished": NodeState.GONE,
    }


def test_the_only_one_that_is_up_need_not_be_named(fake):
    with pytest.raises(UsageError, match="no cluster is up"):
        clusters.resolve_cluster(None)
    start_cluster(fake.parts(name="one", cluster_size=1))
    start_cluster(fake.parts(name="off", cluster_size=1))
    fake.provider.stop("off")
    assert clusters.resolve_cluster(None) == "one"
    start_cluster(fake.parts(name="two", cluster_size=1))
    with pytest.raises(UsageError, match="2 clusters are up") as caught:
        clusters.resolve_cluster(None)
    assert "one, two" in caught.value.remedy


def test_one_that_is_named_must_exist(fake):
    start_cluster(fake.parts(name="one", cluster_size=1))
    assert clusters.resolve_cluster("one") == "one"
    with pytest.raises(UsageError, match="there is no cluster tow") as caught:
        clusters.resolve_cluster("tow")
    assert "one" in caught.value.remedy
