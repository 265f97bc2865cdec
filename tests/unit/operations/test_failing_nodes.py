"""Nodes that cannot join: whether the start is complete without them."""

from __future__ import annotations

import threading

import pytest

from clusterctl.errors import ClusterctlError, PluginError, ProviderError
from clusterctl.events import EventKind, Reporter
from clusterctl.operations.joining import join
from clusterctl.operations.start import start_cluster

from ...support.recording import of, recording


class TestMinSize:
    def test_a_node_that_fails_makes_the_start_incomplete(self, lab, log):
        parts = lab.parts(recording(log, b={"join node002": ValueError("boom")}))
        started = start_cluster(parts)
        assert not started.ok
        assert started.failed == ("node002",)
        assert sorted(started.joined) == ["master", "node001"]
        assert any("node002" in problem and "boom" in problem for problem in started.problems), started.problems
        assert any("node002" in warning and "boom" in warning for warning in lab.warnings)

    def test_but_not_where_enough_have_joined(self, lab, log):
        started = start_cluster(lab.parts(recording(log, b={"join node002": ValueError("boom")}), min_size=2))
        assert started.ok
        assert started.failed == ("node002",)

    def test_one_too_few_is_not_enough(self, lab, log):
        faults = {"join node002": ValueError("boom"), "join node001": ValueError("boom")}
        assert not start_cluster(lab.parts(recording(log, b=faults), min_size=2)).ok

    def test_something_wrong_with_what_has_joined_is_not_forgiven(self, lab, log):
        parts = lab.parts(recording(log, b={"connect": ValueError("boom")}), min_size=2)
        started = start_cluster(parts)
        assert not started.ok
        assert len(started.joined) == 3
        assert [c.name for c in started.published] == ["a"]

    def test_a_node_that_never_answers_is_named_with_the_reason(self, lab, log):
        lab.connector.down = {"node001"}
        parts = lab.parts(recording(log), start_timeout=1.5, min_size=2)
        started = start_cluster(parts)
        assert started.failed == ("node001",)
        assert started.ok
        assert any("node001 did not answer" in warning for warning in lab.warnings), lab.warnings
        assert any("node001 did not answer" in problem for problem in started.problems)
        assert ("a", "members", "master", "node002") in log
        assert len(lab.provider.nodes()) == 3  # its machine stays for the next start

    def test_the_next_start_goes_on_with_the_missing_one(self, lab, log):
        lab.connector.down = {"node001"}
        start_cluster(lab.parts(recording(log), start_timeout=1.5))
        lab.connector.down = set()
        again = start_cluster(lab.parts(recording(log)))
        assert again.joined == ("node001",)
        assert again.ok

    def test_a_machine_that_refuses_at_first_joins_when_it_answers(self, lab, log):
        lab.connector.refusals = {"node001": 2}
        started = start_cluster(lab.parts(recording(log)))
        assert started.ok
        assert started.joined[-1] == "node001"


class TestMaster:
    @pytest.fixture(autouse=True)
    def _look_often(self, monkeypatch):
        monkeypatch.setattr(join, "_ALIVE_EVERY_S", 0.05)

    def test_a_master_that_cannot_join_fails_the_start_and_its_nodes_stay(self, lab, log):
        parts = lab.parts(recording(log, a={"join master": ValueError("boom")}))
        with pytest.raises(PluginError, match="boom") as caught:
            start_cluster(parts)
        assert "the nodes stay" in caught.value.remedy
        assert "terminate" in caught.value.remedy
        assert len(lab.provider.nodes()) == 3
        assert parts.folder.exists
        assert of(log, "members") == []

    def test_a_cloud_that_does_not_answer_while_waiting_takes_no_file_away(self, lab, log):
        """The machines exist: their key must not go, whatever the provider says later."""
        asked = threading.Event()

        class Moody(type(lab.provider)):
            def nodes(self, cluster=None):
                if asked.is_set():
                    raise ProviderError("throttled", remedy="wait")
                return super().nodes(cluster)

            def create(self, plan, *, public_key, report):
                made = super().create(plan, public_key=public_key, report=report)
                asked.set()
                return made

        lab.provider = Moody()
        lab.connector.down = {"master"}
        parts = lab.parts(recording(log), start_timeout=1.5)
        with pytest.raises(ClusterctlError):
            start_cluster(parts)
        assert parts.folder.private_key_file.exists()

    def test_a_node_that_dies_while_it_is_waited_for_is_given_up_early(self, lab, log):
        lab.connector.down = {"node001"}

        def report(event):
            lab.events.append(event)
            if event.kind == EventKind.STEP and event.text.startswith("Waiting"):
                lab.provider.power_off("lab", "node001")

        lab.report = Reporter(report)
        started = start_cluster(lab.parts(recording(log), start_timeout=30))
        assert started.seconds < 10
        assert started.failed == ("node001",)
        assert any("node001 ended before it answered" in problem for problem in started.problems)
