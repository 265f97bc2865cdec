"""The command `cancel`, from its words to its status."""

from __future__ import annotations

import json

import pytest

SESSIONS = {"4d8d-aa": 2, "4d8d-bb": 1, "77-cc": 3}
ANSWER = {
    "answered": True,
    "knows": True,
    "engines": {"0": "a", "1": "b"},
    "running": {"1": {"client": "77-cc", "kind": "execute_request", "seconds": 3.5}},
    "waiting": SESSIONS,
    "interrupted": ["1"],
    "ended": [],
    "deaf": [],
}
SCRIPT = "ipcluster: cancel work"


@pytest.fixture
def laptop(laptop, run):
    laptop.connector.answers = {SCRIPT: json.dumps(ANSWER)}
    run("start", "lab")
    return laptop


def asked(laptop):
    return [ran.text for ran in laptop.connector.ran if ran.name == SCRIPT]


def test_the_list_ends_nothing(run, laptop):
    said = run("cancel", "lab", "--list")
    assert said.status == 0
    assert "engine 1  77-cc    code, for 4 s" in said.out
    assert "queue     4d8d-aa  2 tasks" in said.out
    [text] = asked(laptop)
    assert '"look": true' in text


def test_without_a_name_the_one_that_is_up(run, laptop):
    said = run("cancel")
    assert said.status == 0
    assert ">>> 1 engine interrupted, 6 tasks taken from the queue of lab" in said.out
    assert '"look": false' in asked(laptop)[-1]


def test_a_client_is_found_by_how_it_begins(run, laptop):
    assert run("cancel", "lab", "--client", "77").status == 0
    assert '"client": "77-cc"' in asked(laptop)[-1]


@pytest.mark.parametrize(
    ("client", "why"), [("4d8d", "several clients begin with 4d8d"), ("9", "no client 9 has work")]
)
def test_nothing_ends_where_it_is_not_clear_whose(run, laptop, client, why):
    said = run("cancel", "lab", "--client", client)
    assert said.status == 2
    assert why in said.err
    assert "clusterctl cancel lab --list" in said.err
    assert all('"look": true' in text for text in asked(laptop))


def test_engines_that_did_not_answer_are_status_1(run, laptop):
    laptop.connector.answers = {SCRIPT: json.dumps({**ANSWER, "ended": ["0"], "deaf": ["1"]})}
    said = run("cancel", "lab")
    assert said.status == 1
    assert "they start anew: engine 0" in said.out
    assert "engine 1 did not answer" in said.err


def test_for_programs(run, laptop):
    said = json.loads(run("cancel", "lab", "--json").out)
    assert said["running"] == [{"engine": 1, "client": "77-cc", "kind": "execute_request", "seconds": 3.5}]
    assert (said["waiting"], said["interrupted"], said["ended"], said["deaf"]) == (SESSIONS, [1], [], [])
