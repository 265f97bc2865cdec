"""What `clusterctl.cluster` refuses before it starts anything, and whose cluster it takes without a name."""

from __future__ import annotations

import warnings

import pytest

import clusterctl
from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.operations.start import start_cluster
from clusterctl.wiring.work import temporary


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ipyparallel says of itself when it is imported
        yield


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"name": "mine", "size": 0}, ValueError, "at least 1"),
        ({"name": "no good"}, UsageError, "cannot name a cluster"),
        ({"name": "mine", "template": "none"}, ClusterctlError, "none"),
        ({"name": "lab", "template": "other"}, UsageError, "lab exists, and was not started from the template other"),
    ],
)
def test_what_cannot_be_is_refused_and_starts_nothing(fake, options, error, says):
    start_cluster(fake.parts(name="lab", cluster_size=1))
    with pytest.raises(error, match=says), clusterctl.cluster(**options):
        raise AssertionError("it began")
    assert [node.cluster for node in fake.provider.nodes()] == ["lab"]


def test_without_a_name_it_is_the_one_that_is_up_or_a_new_one(fake):
    first, second = temporary._choose_name(), temporary._choose_name()
    assert first != second
    start_cluster(fake.parts(name="lab", cluster_size=1))
    assert temporary._choose_name() == "lab"
    start_cluster(fake.parts(name="other", cluster_size=1))
    with pytest.raises(UsageError, match="2 clusters are up"):
        temporary._choose_name()


def test_a_node_starts_no_cluster(tmp_path, monkeypatch):
    word = '{"cluster": "lab", "node": "node001", "file": "/no.json", "master": ""}'
    (tmp_path / "clusterctl-here.json").write_text(word)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="this is node001 of the cluster lab"), clusterctl.cluster("mine"):
        raise AssertionError("it began")
