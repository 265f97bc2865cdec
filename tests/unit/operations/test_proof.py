"""What ends, stops or changes machines proves by an id whose they are. A name proves nothing."""

from __future__ import annotations

import shutil

import pytest

from clusterctl.errors import UnprovenError, UsageError
from clusterctl.operations import leave
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.restart import restart_cluster
from clusterctl.operations.start import start_cluster

from ...support.shared_provider import SharedProvider, stranger

ROADS = {
    "terminate": leave.terminate_cluster,
    "terminate --force": lambda parts: leave.terminate_cluster(parts, force=True),
    "stop": leave.stop_cluster,
    "removenode": lambda parts: leave.remove_nodes(parts, ["node001"], 0),
    "restart": restart_cluster,
    "start": start_cluster,
    "addnode": lambda parts: add_nodes(parts, (), 1),
}


@pytest.fixture
def shared(lab):
    """A provider that others use too, and a cluster of somebody else's of the name that ours will have."""
    lab.provider = SharedProvider(home=lab.home, strangers=[stranger(), stranger("node001")])
    return lab


@pytest.fixture
def own(shared):
    """Ours beside it: both have the name."""
    strangers, shared.provider.strangers = shared.provider.strangers, []
    start_cluster(shared.parts(cluster_size=2))
    shared.provider.strangers = strangers
    shared.provider.calls.clear()
    return shared


@pytest.mark.parametrize("road", ROADS)
def test_without_an_id_nothing_ends_or_changes_and_what_there_is_is_shown(shared, road):
    before = list(shared.provider.strangers)
    with pytest.raises(UnprovenError) as caught:
        ROADS[road](shared.parts(cluster_size=2))
    assert "id feed: 2 nodes, made by you@there since 2026-01-01 08:30 UTC" in caught.value.message
    assert "clusterctl" in caught.value.remedy
    assert (shared.provider.calls, shared.provider.strangers) == ([], before)
    assert not shared.parts().folder.path.exists()


@pytest.mark.parametrize("road", ["terminate", "terminate --force", "stop", "removenode", "restart"])
def test_with_files_that_are_lost_ours_is_not_told_from_theirs_and_stays_too(own, road):
    shutil.rmtree(own.home)
    with pytest.raises(UnprovenError, match="made by me@here"):
        ROADS[road](own.parts(cluster_size=2))
    assert own.provider.calls == []


@pytest.mark.parametrize("road", ROADS)
def test_ours_is_ended_stopped_and_changed_by_its_id_and_theirs_is_left_alone(own, road):
    before = list(own.provider.strangers)
    ROADS[road](own.parts(cluster_size=2))
    assert own.provider.strangers == before


def test_the_id_that_the_user_names_is_ended(own):
    (ours,) = {node.cluster_id for node in own.provider.machines.values()}
    shutil.rmtree(own.home)
    parts = own.parts(cluster_size=2)
    assert len(leave.count_losses(parts, chosen_id=ours).nodes) == 2
    assert [node.alias for node in leave.terminate_cluster(parts, chosen_id=ours)] == ["master", "node001"]
    assert own.provider.machines == {}
    assert not parts.folder.path.exists()


def test_an_id_that_nothing_has_is_refused_with_those_that_there_are(shared):
    with pytest.raises(UsageError, match="no lab with the id beef") as caught:
        leave.terminate_cluster(shared.parts(), chosen_id="beef")
    assert "id feed" in caught.value.remedy


def test_the_id_of_another_one_is_refused_where_this_home_has_one_of_the_name(own):
    with pytest.raises(UsageError, match="not feed") as caught:
        leave.terminate_cluster(own.parts(), chosen_id="feed")
    assert "CLUSTERCTL_HOME" in caught.value.remedy
    assert len(own.provider.machines) == 2


def test_where_nothing_has_the_name_there_is_nothing_to_prove(lab):
    lab.provider = SharedProvider(home=lab.home)
    assert leave.terminate_cluster(lab.parts()) == []


def test_a_start_that_is_interrupted_takes_back_what_it_made_and_no_more(shared):
    shared.provider.strangers[0] = stranger(cluster="other")
    shared.provider.strangers.pop()
    parts = shared.parts(cluster_size=2)
    usual, shared.provider.create = shared.provider.create, None

    def interrupted(plan, **more):
        usual(plan, **more)
        shared.provider.strangers += [stranger(), stranger("node001")]  # somebody starts one of our name meanwhile
        raise KeyboardInterrupt

    shared.provider.create = interrupted
    with pytest.raises(KeyboardInterrupt):
        start_cluster(parts)
    assert shared.provider.machines == {}
    assert len(shared.provider.strangers) == 3
