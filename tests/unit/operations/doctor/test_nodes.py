"""What nodes say of themselves: by one command each, and a second one on the master for a real task."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from clusterctl import hub
from clusterctl.errors import RemoteError
from clusterctl.model import Facet, Layout, NodeState
from clusterctl.node.health import NodeHealth
from clusterctl.node.programs import run_program
from clusterctl.operations.doctor import nodes
from clusterctl.operations.doctor.checks import Outcome, run_checks
from clusterctl.providers.ec2.launch import userdata
from clusterctl.testing import FakeClock, fake_cluster, fake_node

ASK = "ipcluster: count engines"
NOW_S = 1767225600  # 2026-01-01, where the fake clock stands
CONTROLLER = {"service": "controller", "number": 0, "trouble": "", "facts": {"engines": {"0": "a", "3": "b"}}}


def said(*services, clock=NOW_S, free_kb=90_000_000, manager="", watched=True, more=""):
    answer = json.dumps({"manager": manager, "services": list(services), "watched": watched})
    return (
        f"clusterctl-fact clock {clock}\nclusterctl-fact disk {free_kb} /\n"
        f"clusterctl-fact disk {free_kb} /mnt/my data\n{more}{answer}\n"
    )


def task(**changes):
    return json.dumps({"answered": True, "engines": {"0": "a", "3": "b"}, "client": {}, "notebook": {}, **changes})


@pytest.fixture(autouse=True)
def _clock():
    with FakeClock().installed():
        yield


def look(tmp_path, answers, count=1):
    """Look at all nodes: the cluster, what they answered, and the findings by place and item."""
    cluster = fake_cluster(tmp_path, nodes=count, answers=answers)
    said_by: dict[str, nodes.NodeAnswer] = {}
    findings = run_checks([nodes.check_of_node(cluster, node, said_by) for node in cluster.nodes])
    return cluster, said_by, {(finding.place, finding.item): finding for finding in findings}


def test_a_node_that_is_well_costs_one_command_that_changes_nothing(tmp_path):
    cluster, said_by, findings = look(tmp_path, {nodes.SCRIPT: said()}, count=2)
    assert {finding.outcome for finding in findings.values()} == {Outcome.OK}
    assert {*findings} == {(alias, item) for alias in ("master", "node001") for item in ("answers", "disk", "clock")}
    assert sorted((ran.node, ran.owned, ran.timeout_s) for ran in cluster.ran) == [
        ("master", False, 15.0),
        ("node001", False, 15.0),
    ]
    assert [where for where, _ in said_by["master"].disks] == ["/", "/mnt/my data"]


def test_one_that_does_not_answer_fails_and_the_others_are_seen(tmp_path):
    def answer(ran):
        return (
            RemoteError("node001 does not answer", remedy="look", node="node001") if ran.node == "node001" else said()
        )

    _, said_by, findings = look(tmp_path, answer, count=3)
    assert findings["node001", "answers"].outcome == Outcome.FAILED
    assert findings["node001", "answers"].remedy == "look"
    assert findings["node002", "answers"].outcome == Outcome.OK
    assert {*said_by} == {"master", "node002"}


def test_one_that_does_not_run_is_not_asked(tmp_path):
    cluster = fake_cluster(tmp_path, nodes=[fake_node(state=NodeState.STOPPED)])
    (finding,) = run_checks([nodes.check_of_node(cluster, cluster.master, {})])
    assert (finding.outcome, finding.detail, finding.remedy) == (Outcome.FAILED, "is stopped", "clusterctl start lab")
    assert cluster.ran == []


@pytest.mark.parametrize(("number", "outcome"), [(0, Outcome.OK), (1, Outcome.FAILED)])
def test_a_metadata_service_that_is_open_again_fails(tmp_path, number, outcome):
    findings = look(tmp_path, {nodes.SCRIPT: said(more=f"clusterctl-fact metadata {number}\n")})[2]
    assert findings["master", "metadata"].outcome == outcome
    assert findings["master", "metadata"].remedy == ("clusterctl restart lab" if number else "")


def test_the_lock_is_sought_where_a_birth_leaves_it():
    assert nodes.LOCK == userdata.NETWORKD


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ("exit 2", ["clusterctl-fact metadata 0"]),
        ("exit 0", ["clusterctl-fact metadata 1"]),
        ('[ "$1" = -6 ]', ["clusterctl-fact metadata 1"]),
        (None, ["clusterctl-fact metadata 1"]),
    ],
    ids=["closed", "open", "open for IPv6", "no ip"],
)
def test_the_kernel_is_asked_for_the_way_of_another_user(tmp_path, allow_subprocess, program, lines):
    lock = tmp_path / "lock"
    if program is not None:
        (tmp_path / "ip").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "ip").chmod(0o755)
    script = nodes._METADATA_SCRIPT.replace(nodes.LOCK, str(lock))

    def ran():
        done = subprocess.run(["/bin/sh", "-ec", script], env={"PATH": str(tmp_path)}, capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    assert ran() == []  # METADATA_FOR_USER, or no instance
    lock.touch()
    assert ran() == lines


@pytest.mark.parametrize(("free_kb", "outcome"), [(500_000, Outcome.WARNING), (5_000, Outcome.FAILED)])
def test_little_space_is_said_with_a_command_that_has_none_of_the_nodes_words(tmp_path, free_kb, outcome):
    finding = look(tmp_path, {nodes.SCRIPT: said(free_kb=free_kb)})[2]["master", "disk"]
    assert (finding.outcome, finding.detail.partition(" in ")[2]) == (outcome, "/mnt/my data")
    assert finding.remedy == "clusterctl sshnode lab master df -h"


@pytest.mark.parametrize(
    ("clock", "outcome", "text"),
    [
        (NOW_S + 60, Outcome.OK, "is within 60 s of this computer's"),
        (NOW_S - 60, Outcome.OK, "is within 60 s of this computer's"),
        (NOW_S + 61, Outcome.WARNING, "is 61 s ahead of this computer's"),
        (NOW_S - 3600, Outcome.WARNING, "is 3600 s behind this computer's"),
    ],
)
def test_a_clock_that_is_wrong_is_a_warning(tmp_path, clock, outcome, text):
    finding = look(tmp_path, {nodes.SCRIPT: said(clock=clock)})[2]["master", "clock"]
    assert (finding.outcome, finding.detail) == (outcome, text)


def test_packages_that_are_not_what_was_installed_are_named_with_what_mends_them(tmp_path):
    fact = "clusterctl-fact environment 0 lib/numpy/core.py was changed\n"
    _, _, findings = look(tmp_path, {nodes.SCRIPT: said(more=fact)})
    finding = findings["master", "packages"]
    assert finding.outcome == Outcome.FAILED
    assert "lib/numpy/core.py was changed" in finding.detail
    assert finding.remedy == "clusterctl runplugin packages lab"
    assert ("master", "packages") not in look(tmp_path, {nodes.SCRIPT: said()})[2]


@pytest.mark.parametrize(
    ("alias", "facets", "reads"),
    [("master", {Facet.SHARED_CACHE}, True), ("node001", {Facet.SHARED_CACHE}, False), ("node001", set(), True)],
)
def test_of_nodes_that_share_a_cache_one_reads_the_files(alias, facets, reads):
    node = fake_node(alias, facets=frozenset(facets))
    program = run_program(node.layout.env / "bin" / "python", nodes._CHECK, {"env": node.layout.env})
    assert (program in nodes._script(node)) == reads


def test_the_time_that_the_answer_took_is_no_difference_of_clocks():
    assert nodes._difference(1500, 1000.0, 2000.0) == 0
    assert nodes._difference(1000, 1000.9, 1001.0) == 0
    assert nodes._difference(2100, 1000.0, 2000.0) == 100
    assert nodes._difference(900, 1000.0, 2000.0) == -100


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "clusterctl-fact\nclusterctl-fact clock\nclusterctl-fact disk 7\n",
        f"clusterctl-fact clock {'9' * 5000}\nclusterctl-fact disk {'9' * 5000} /\n",
        "[" * 100_000,
        '{"services": [{"service": 1}], "manager": 0}\n',
        "\x1b[2J\x00\n",
    ],
)
def test_what_cannot_be_read_is_no_fault_of_ours(tmp_path, hostile):
    _, said_by, findings = look(tmp_path, {nodes.SCRIPT: hostile})
    assert findings["master", "disk"].outcome == Outcome.WARNING
    assert findings["master", "clock"].outcome == Outcome.SKIPPED
    assert said_by["master"].health.manager == "gave an answer that cannot be read"


def test_a_service_of_a_worker_that_does_not_work_fails_on_the_worker(tmp_path):
    engine = {"service": "engine", "number": 2, "trouble": "does not answer", "facts": {}}
    _, _, findings = look(tmp_path, {nodes.SCRIPT: said(engine)}, count=2)
    finding = findings["node001", "engine"]
    assert (finding.outcome, finding.detail) == (Outcome.FAILED, "does not answer")
    assert "clusterctl logs lab node001" in finding.remedy
    assert ("master", "engine") not in findings


class TestServices:
    def test_rows_of_the_master_and_of_plugins_are_findings(self, lab, tmp_path):
        cluster, said_by, _ = look(tmp_path, {nodes.SCRIPT: said(CONTROLLER, watched=False)})
        controller, watch = nodes.look_at_services(lab.parts(), cluster, said_by["master"])
        assert (controller.item, controller.outcome, controller.remedy) == ("controller", Outcome.OK, "")
        assert (watch.item, watch.outcome) == ("watch", Outcome.FAILED)
        assert watch.remedy.startswith("clusterctl start lab")
        assert len(cluster.ran) == 1


class TestTask:
    def run(self, tmp_path, answer, controller=CONTROLLER):
        cluster, said_by, _ = look(tmp_path, {nodes.SCRIPT: said(*([controller] if controller else [])), ASK: answer})
        return cluster, nodes.look_at_task(cluster, said_by["master"])

    def test_one_that_ran_is_the_masters_second_command(self, tmp_path):
        cluster, finding = self.run(tmp_path, task())
        assert (finding.outcome, finding.detail) == (Outcome.OK, "one of 2 engines ran a task")
        assert [ran.name for ran in cluster.ran] == [nodes.SCRIPT, ASK]
        assert '"wait_for": [0, 3]' in cluster.ran[1].text
        assert not any(ran.owned for ran in cluster.ran)

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"task": "engine 3 has not answered a task in 10 s"}, "engine 3 has not answered a task in 10 s"),
            ({"trouble": ["task scheduler does not answer"]}, "the task scheduler does not answer"),
            ({"answered": False}, "the controller does not answer"),
        ],
    )
    def test_one_that_did_not_fails(self, tmp_path, changes, detail):
        _, finding = self.run(tmp_path, task(**changes))
        assert (finding.outcome, finding.detail) == (Outcome.FAILED, detail)
        assert finding.remedy

    def test_engines_at_work_are_no_fault(self, tmp_path):
        _, finding = self.run(tmp_path, task(task=hub.BUSY))
        assert (finding.outcome, finding.detail) == (Outcome.SKIPPED, "all engines are at work")

    @pytest.mark.parametrize(
        ("controller", "why"),
        [
            (None, "there is no controller, or one of an older version"),
            ({**CONTROLLER, "trouble": "hub does not answer"}, "the controller does not work"),
            ({**CONTROLLER, "facts": {}}, "no engine is registered"),
            ({**CONTROLLER, "facts": {"engines": {"9" * 5000: "a", "x": "b"}}}, "no engine is registered"),
        ],
    )
    def test_where_none_can_run_it_says_why_and_asks_nobody(self, tmp_path, controller, why):
        cluster, finding = self.run(tmp_path, task(), controller)
        assert (finding.outcome, finding.detail) == (Outcome.SKIPPED, why)
        assert len(cluster.ran) == 1


def test_the_script_says_on_a_real_shell_what_is_read(tmp_path, allow_subprocess):
    folder = PurePosixPath(tmp_path)
    layout = Layout(**dict.fromkeys(("env", "state", "logs", "run", "home", "cache"), folder / "missing"))
    node = fake_node(layout=replace(layout, home=folder))
    ran = subprocess.run(["sh", "-s"], input=nodes._script(node), capture_output=True, text=True)
    answer = nodes._parse(ran.stdout, NOW_S, NOW_S)
    assert answer.health == NodeHealth(())
    assert answer.ahead_s is not None
    ((where, free_mb),) = answer.disks
    assert tmp_path.is_relative_to(where)
    assert free_mb > 0
