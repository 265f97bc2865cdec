"""What the controller knows, and which ids belong to which node."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl import hub
from clusterctl.errors import RemoteError
from clusterctl.events import EventKind
from clusterctl.service import ServiceHealth
from clusterctl.testing import fake_cluster

ASK = "ipcluster: count engines"


def answer(**changes):
    said = {"answered": True, "engines": {"0": "u0", "3": "u3"}, "client": {"mux": 1}, "notebook": {}}
    return json.dumps({**said, **changes}) + "\n"


def test_the_answer_is_the_last_line_and_ids_are_numbers(tmp_path):
    cluster = fake_cluster(tmp_path, answers={ASK: "progress 1\nprogress 2\n" + answer()})
    found = hub.ask(cluster, wait_for=[0, 3])
    assert found.answered
    assert found.engines == {0: "u0", 3: "u3"}
    assert found.client == {"mux": 1}
    progress = [(event.done, event.total) for event in cluster.events if event.kind == EventKind.PROGRESS]
    assert progress == [(1, 2), (2, 2)]


def test_it_is_one_command_on_the_master_whose_answer_stays_out_of_the_log(tmp_path):
    cluster = fake_cluster(tmp_path, answers={ASK: answer()})
    hub.ask(cluster, wait_for=[1], wait_s=50, but_not={1: "old"}, forget=[7])
    (ran,) = cluster.ran
    assert (ran.node, ran.secret) == ("master", True)
    assert ran.timeout_s == 80
    for part in ('"wait_for": [1]', '"wait_s": 50', '"but_not": {"1": "old"}', '"forget": [7]'):
        assert part in ran.text


def test_a_wait_leaves_a_slow_machine_all_of_its_time_for_the_answer(tmp_path):
    cluster = fake_cluster(tmp_path, answers={ASK: answer()})
    hub.wait(cluster, {"master": range(1)}, timeout_s=120, revive=lambda *_: None)
    assert '"wait_s": 10.0' in cluster.ran[0].text
    assert 140 < cluster.ran[0].timeout_s <= 150


def test_questions_are_asked_beside_anybodys_work(tmp_path):
    cluster = fake_cluster(tmp_path, answers={ASK: answer()})
    hub.ask(cluster)
    assert [ran.owned for ran in cluster.ran] == [False]


def test_the_answer_itself_is_always_given_two_seconds(tmp_path):
    cluster = fake_cluster(tmp_path, answers={ASK: answer()})
    hub.ask(cluster, wait_s=-5)
    assert '"wait_s": 2.0' in cluster.ran[0].text


def test_ids_are_kept_with_the_cluster(tmp_path):
    cluster = fake_cluster(tmp_path)
    assert hub.engine_ids(cluster) == {}
    hub.keep_engine_ids(cluster, {"master": range(2), "node001": range(2, 5)})
    assert cluster.remembered == {"engine_ids": {"master": [0, 2], "node001": [2, 3]}}
    assert hub.engine_ids(cluster) == {"master": range(2), "node001": range(2, 5)}


@pytest.mark.parametrize(
    ("taken", "count", "found"),
    [
        ([], 2, range(2)),
        ([range(2)], 2, range(2, 4)),
        ([range(2, 4)], 2, range(2)),
        ([range(1, 2)], 2, range(2, 4)),
        ([range(4, 6), range(2)], 2, range(2, 4)),
        ([range(0), range(3, 3)], 1, range(1)),
    ],
)
def test_the_lowest_gap(taken, count, found):
    assert hub.lowest_gap(taken, count) == found


@given(
    st.lists(st.tuples(st.integers(min_value=0, max_value=5), st.booleans()), max_size=12),
    st.integers(min_value=1, max_value=5),
)
def test_ids_overlap_nobodys_and_are_the_lowest_that_fit(members, count):
    """Members come and go; what is left is a set of ranges that do not overlap."""
    ranges = []
    for size, stays in members:
        ranges.append((hub.lowest_gap([r for r, _ in ranges], size), stays))
    taken = [numbers for numbers, stays in ranges if stays]
    found = hub.lowest_gap(taken, count)
    used = {number for numbers in taken for number in numbers}
    assert len(found) == count
    assert not used & set(found)
    assert all(used & set(range(start, start + count)) for start in range(found.start))


@pytest.mark.parametrize(
    "said", ["", "no\n", "[]\n", "{}\n", "[" * 100_000, answer(engines=[]), answer(engines={"x": 1}), answer(more=1)]
)
def test_an_answer_that_cannot_be_read_is_the_nodes_fault(tmp_path, said):
    cluster = fake_cluster(tmp_path, answers={ASK: said})
    with pytest.raises(RemoteError, match="master: the question to the controller got an answer that cannot be read"):
        hub.ask(cluster)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"clients": 1, "items": 955, "rate": 210.5}, hub.Waiting(1, 955, 210.5)),
        *(
            ({"clients": 1, "items": 955, "rate": wrong}, None)
            for wrong in ("1", True, -1, float("nan"), 1e16, 10**400)
        ),
        *((wrong, None) for wrong in (None, [], 7, {}, {"clients": 1, "items": 1})),
    ],
)
def test_what_waits_with_clients_is_numbers_that_can_be_shown_or_not_known(said, found):
    assert hub.find_waiting([ServiceHealth("controller", 0, "", {"demand": said})]) == found
    assert hub.find_waiting([ServiceHealth("engine", 0, "", {"demand": said})]) is None


def test_ids_that_are_none_are_left_out():
    facts = {"engines": {"0": "a", "x": "b", "9" * 5000: "c", "-1": "d"}}
    assert hub.registered([ServiceHealth("controller", 0, "", facts)]) == {0}
