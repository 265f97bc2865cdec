"""`runplugin`: one plugin by its name."""

from __future__ import annotations

import pytest

from clusterctl.api import hookimpl
from clusterctl.errors import PluginError, StateError
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.start import start_cluster

from ...support.recording import of, recording


class Joining:
    """Without clusterctl_run: its join is what is run."""

    log: list

    def __init__(self, options):
        pass

    @hookimpl
    def clusterctl_prepare(self, cluster, plan):
        self.log.append(("prepare", *(spec.alias for spec in plan.nodes)))

    @hookimpl
    def clusterctl_join(self, cluster, node):
        self.log.append(("join", node.alias))
        if node.alias == "node002" and "fail" in self.log:
            raise ValueError("boom")

    @hookimpl
    def clusterctl_connect(self, cluster):
        self.log.append(("connect",))


def test_a_plugin_that_can_be_run_is_run_and_nothing_else_happens(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    assert run_plugin(lab.parts(recording(log)), "b") == []
    assert [entry for entry in log if entry[1] not in {"settings", "request"}] == [("b", "run")]


def test_one_without_a_run_joins_on_every_node_alone(lab, log):
    start_cluster(lab.parts(recording(log)))
    del log[:]
    Joining.log = []
    assert run_plugin(lab.parts({**recording(log), "j": Joining}), "j") == []
    assert Joining.log[0] == ("prepare", "master", "node001", "node002")
    assert Joining.log[1] == ("join", "master")
    assert sorted(Joining.log[2:4]) == [("join", "node001"), ("join", "node002")]
    assert Joining.log[4:] == [("connect",)]
    assert of(log, "join") == []


def test_a_node_that_fails_is_a_problem_that_is_returned(lab, log):
    start_cluster(lab.parts(recording(log)))
    Joining.log = ["fail"]
    problems = run_plugin(lab.parts({"j": Joining}), "j")
    assert problems == ["node002: plugin j: ValueError: boom"]
    assert ("connect",) not in Joining.log


def test_one_that_raises_ends_with_its_error_and_the_cluster_stays(lab, log):
    class Raising:
        def __init__(self, options):
            pass

        @hookimpl
        def clusterctl_run(self, cluster):
            raise ValueError("boom")

    start_cluster(lab.parts(recording(log)))
    with pytest.raises(PluginError, match="plugin r: ValueError: boom"):
        run_plugin(lab.parts({"r": Raising}), "r")
    assert len(lab.provider.nodes("lab")) == 3


def test_a_cluster_that_does_not_run_whole_is_refused(lab, log):
    parts = lab.parts(recording(log))
    with pytest.raises(StateError, match="there is no cluster lab"):
        run_plugin(parts, "b")
    assert not parts.folder.path.exists()
    start_cluster(parts)
    lab.provider.power_off("lab", "node001")
    with pytest.raises(StateError, match="node001 of lab does not run") as caught:
        run_plugin(lab.parts(recording(log)), "b")
    assert "start lab" in caught.value.remedy
