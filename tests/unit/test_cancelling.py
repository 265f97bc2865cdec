"""What `cancel` makes of what the master says."""

from __future__ import annotations

import json

import pytest

from clusterctl.errors import RemoteError, StateError
from clusterctl.hub import EngineTask, cancel_work
from clusterctl.testing import fake_cluster

WHOLE = {
    "answered": True,
    "knows": True,
    "engines": {"0": "a", "10": "b", "9": "c"},
    "running": {"10": {"client": "4d8d-ebff", "kind": "apply_request", "seconds": 3.5}},
    "waiting": {"4d8d-ebff": 17},
    "interrupted": ["10", "9"],
    "ended": ["0"],
    "deaf": [],
}


def answering(tmp_path, **differing):
    return fake_cluster(tmp_path, answers=lambda _: json.dumps({**WHOLE, **differing}))


def test_it_is_one_command_that_takes_no_ownership(tmp_path):
    cluster = answering(tmp_path)
    cancelled = cancel_work(cluster, client="4d8d-ebff")
    assert cancelled.running == {10: EngineTask("4d8d-ebff", "apply_request", 3.5)}
    assert (cancelled.waiting, cancelled.interrupted, cancelled.ended) == ({"4d8d-ebff": 17}, [9, 10], [0])
    [ran] = cluster.ran
    assert '"client": "4d8d-ebff"' in ran.text
    assert '"look": false' in ran.text


def test_no_controller_is_an_error(tmp_path):
    with pytest.raises(StateError, match="the controller of lab does not answer") as caught:
        cancel_work(answering(tmp_path, answered=False))
    assert "clusterctl status lab" in caught.value.remedy


def test_a_controller_of_an_older_version_is_named(tmp_path):
    with pytest.raises(StateError, match="older version") as caught:
        cancel_work(answering(tmp_path, knows=False))
    assert "ipclusterrestart" in caught.value.remedy


@pytest.mark.parametrize(
    "differing",
    [
        {"waiting": {"\x1b[2J": 1}},
        {"waiting": {"a": "many"}},
        {"waiting": 3},
        {"running": {"1": {"client": "a b", "kind": "apply_request", "seconds": 1}}},
        {"running": {"1": {"client": "a", "kind": "x" * 100, "seconds": 1}}},
        {"running": {"1": {"client": "a", "kind": "b", "seconds": "\x1b]0;"}}},
        {"running": {"1": {"client": 7, "kind": "b", "seconds": 1}}},
        {"running": {"one": {"client": "a", "kind": "b", "seconds": 1}}},
        {"running": {"1": {"client": "a", "kind": "b"}}},
        {"ended": ["all"]},
        {"engines": ["a"]},
    ],
)
def test_what_a_node_says_is_checked(tmp_path, differing):
    with pytest.raises(RemoteError, match="cannot be read"):
        cancel_work(answering(tmp_path, **differing))
