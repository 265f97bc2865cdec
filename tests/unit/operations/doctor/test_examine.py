"""The whole of it: with a cluster, without one, and with one that nobody can be asked about."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from clusterctl.errors import ConfigError, ProviderError, UsageError
from clusterctl.events import SILENT
from clusterctl.formats import VERSION
from clusterctl.operations.doctor import examine as module
from clusterctl.operations.doctor.checks import Outcome
from clusterctl.operations.doctor.examine import Patient, examine, look_at_tunnel
from clusterctl.operations.doctor.nodes import SCRIPT
from clusterctl.operations.start import start_cluster

NOTHING_WRONG = 'clusterctl-fact disk 90000000 /\n{"manager": "", "services": [], "watched": true}\n'


@pytest.fixture
def patient(lab):
    lab.connector.answers = {SCRIPT: NOTHING_WRONG}
    start_cluster(lab.parts(cluster_size=2))
    return Patient(
        home=lab.home,
        check_config=lambda: "1 cluster template",
        load_start=lambda name: lab.parts(name=name or "doctor"),
        find_cluster=lambda: "lab",
        load_cluster=lambda name: (lab.parts(name=name), ""),
        compare_python=lambda name: "",
        named=True,
    )


def look(patient):
    return {(finding.place, finding.item): finding for finding in examine(patient, SILENT)}


def state_of(home):
    """All files, but for the logs of what was asked."""
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".log"}


def test_a_cluster_that_is_well_has_no_failure_and_is_not_changed(lab, patient):
    before, calls = state_of(lab.home), len(lab.provider.calls)
    findings = look(patient)
    assert not [finding for finding in findings.values() if finding.outcome == Outcome.FAILED]
    assert {place for place, _ in findings} == {
        *("config", "laptop", "provider", "network", "cluster", "master", "node001")
    }
    assert state_of(lab.home) == before
    assert lab.provider.calls[calls:] == ["check lab"]


def test_it_waits_for_no_lock_and_for_no_owner_of_the_nodes(lab, patient):
    lab.connector.owners = {"master": "ada@elsewhere", "node001": "ada@elsewhere"}
    with lab.parts().lock():
        findings = look(patient)
    assert findings["master", "answers"].outcome == findings["node001", "answers"].outcome == Outcome.OK


def test_a_master_that_is_down_leaves_out_what_is_asked_there(lab, patient):
    lab.connector.down = {"master"}
    findings = look(patient)
    assert findings["master", "answers"].outcome == Outcome.FAILED
    assert findings["node001", "answers"].outcome == Outcome.OK
    assert findings["cluster", "task"].outcome == findings["cluster", "services"].outcome == Outcome.SKIPPED


def test_a_node_that_is_gone_fails(lab, patient):
    del lab.provider.machines["lab", "node001"]
    finding = look(patient)["node001", "state"]
    assert (finding.outcome, finding.remedy) == (Outcome.FAILED, "clusterctl start lab")


def test_a_cluster_without_nodes_fails(lab, patient):
    lab.provider.machines.clear()
    assert look(patient)["cluster", "nodes"].outcome == Outcome.FAILED


def test_where_no_cluster_is_up_the_rest_is_looked_at(patient):
    def none():
        raise UsageError("no cluster is up", remedy="`clusterctl start NAME` makes one")

    findings = look(replace(patient, find_cluster=none, named=False))
    assert findings["cluster", "name"].outcome == Outcome.SKIPPED
    assert findings["provider", "plan"].outcome == Outcome.OK
    assert ("master", "answers") not in findings
    with pytest.raises(UsageError):  # who names one has misspelt it
        look(replace(patient, find_cluster=none, named=True))


def test_a_provider_that_never_answers_fails_its_row_and_the_rest_is_looked_at(patient, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(module, "LIMIT_S", 0.0)
    findings = look(replace(patient, find_cluster=never.wait))
    never.set()
    assert findings["cluster", "name"].outcome == Outcome.FAILED
    assert "waited for the providers" in findings["cluster", "name"].detail
    assert findings["laptop", "files"].outcome == Outcome.OK


def test_a_provider_that_refuses_to_list_fails_its_row(patient):
    def refuse(name):
        raise ProviderError("no engine", remedy="start it")

    finding = look(replace(patient, load_cluster=refuse))["cluster", "nodes"]
    assert (finding.outcome, finding.remedy) == (Outcome.FAILED, "start it")


def test_a_config_that_is_broken_hides_no_cluster(lab, patient):
    def broken(*_):
        raise ConfigError(("no such option",), remedy="correct it")

    worse = replace(
        patient,
        check_config=broken,
        load_start=broken,
        load_cluster=lambda name: (lab.parts(name=name), "the config cannot be used: no such option"),
    )
    findings = look(worse)
    assert findings["config", "file"].outcome == Outcome.FAILED
    assert findings["provider", "plan"].outcome == Outcome.SKIPPED
    assert findings["cluster", "config"].outcome == Outcome.WARNING
    assert findings["master", "answers"].outcome == Outcome.OK


def test_another_python_is_a_warning(patient):
    finding = look(replace(patient, compare_python=lambda name: "this is Python 3.9"))["cluster", "python"]
    assert (finding.outcome, finding.detail) == (Outcome.WARNING, "this is Python 3.9")


@pytest.mark.parametrize(
    ("kept", "outcome"),
    [
        (json.dumps({"written_by": VERSION}), Outcome.OK),
        ('{"written_by": "0.0.7"}', Outcome.WARNING),
        *((text, Outcome.SKIPPED) for text in ("", "[]", "{}")),
    ],
)
def test_the_version_that_started_the_cluster_is_this_one_or_another_or_unknown(lab, patient, kept, outcome):
    assert look(patient)["cluster", "version"].outcome == Outcome.OK
    lab.parts().folder.write_file("timings.json", kept)
    finding = look(patient)["cluster", "version"]
    assert finding.outcome == outcome
    assert bool(finding.remedy) == (outcome == Outcome.WARNING)


def test_a_tunnel_is_not_needed_or_up_or_down(tmp_path, monkeypatch):
    assert look_at_tunnel("lab", tmp_path).detail == "is not needed"
    (tmp_path / "tunnel.json").write_text(json.dumps({}))
    finding = look_at_tunnel("lab", tmp_path)
    assert (finding.outcome, finding.remedy) == (Outcome.FAILED, "clusterctl tunnel lab")
    monkeypatch.setattr(module.process, "answers", lambda folder: True)
    assert look_at_tunnel("lab", tmp_path).outcome == Outcome.OK
