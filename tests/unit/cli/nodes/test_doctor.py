"""The command `doctor`, from its words to its status."""

from __future__ import annotations

import pytest

from clusterctl.operations.doctor import setup
from clusterctl.operations.doctor.nodes import SCRIPT

WELL = 'clusterctl-fact disk 90000000 /\n{"manager": "", "services": [], "watched": true}\n'
FULL = WELL.replace("90000000 /", "90 /\x1b]0;owned\x07")


@pytest.fixture
def laptop(laptop, monkeypatch):
    monkeypatch.setattr(setup, "ask_source", lambda source: f"{setup.shown(source)} answers")
    laptop.connector.answers = {SCRIPT: WELL}
    laptop.config.chmod(0o600)
    return laptop


def test_all_is_well_without_a_cluster(run, laptop):
    said = run("doctor")
    assert said.status == 0
    assert "no cluster is up" in said.out
    assert "https://pypi.org/simple answers" in said.out
    assert "failed" not in said.out
    assert not (laptop.home / "clusters").exists()


def test_the_one_that_is_up_is_looked_at_too(run, laptop):
    run("start", "lab")
    said = run("doctor")
    assert said.status == 0
    assert {line.split()[0] for line in said.out.splitlines() if " answers " in line} >= {"master", "node002"}


def test_a_failure_is_status_1_with_what_to_type_and_no_word_of_a_node_steers_the_terminal(run, laptop):
    run("start", "lab")
    laptop.connector.answers = {SCRIPT: FULL}
    said = run("doctor", "lab")
    assert said.status == 1
    assert "try, for node001, disk: clusterctl sshnode lab node001 df -h" in said.out
    assert "3 failed" in said.out
    assert "\x1b" not in said.out
    assert "\x07" not in said.out


def test_json_has_each_check(run, laptop):
    run("start", "lab")
    laptop.connector.down = {"node001"}
    said = run("doctor", "lab", "--json")
    assert said.status == 1
    assert said.json["healthy"] is False
    (failed,) = [check for check in said.json["checks"] if check["outcome"] == "failed"]
    assert failed["place"] == "node001"
    assert failed["detail"] == "node001 does not answer"
    assert set(failed) == {"place", "item", "outcome", "detail", "remedy"}


def test_a_config_that_is_broken_is_a_finding(run, laptop):
    laptop.config.write_text("[cluster small]\nno_such = 1\n")
    said = run("doctor", "--json")
    assert said.status == 1
    failed = [check for check in said.json["checks"] if check["outcome"] == "failed"]
    assert [(check["place"], "NO_SUCH" in check["detail"].upper()) for check in failed] == [("config", True)]


def test_a_name_that_no_cluster_has_is_a_mistake_of_the_user(run, laptop):
    said = run("doctor", "nope")
    assert said.status == 2
    assert "there is no cluster nope" in said.err


def test_it_is_what_other_words_for_it_lead_to(run, laptop):
    assert "'doctor'" in run("diagnose").err
