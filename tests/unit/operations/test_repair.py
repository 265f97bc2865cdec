"""`start` of a cluster that runs asks the probes that `status` asks, and restarts what fails them twice."""

from __future__ import annotations

import json

import pytest

from clusterctl.errors import RemoteError
from clusterctl.operations.start import start_cluster
from clusterctl.operations.status import query_status

from ...support.recording import of, recording

PROBE, RESTART = "services: probe", "services: restart"


def found(*troubles, watched=True, manager="", restarts=0):
    trouble = "; ".join(f"part {number} {trouble}" for number, trouble in enumerate(troubles) if trouble)
    told = {"count": restarts, "why": "x"} if restarts else {}
    service = {"service": "web", "number": 0, "trouble": trouble, "facts": {}, "restarts": told}
    return json.dumps({"manager": manager, "services": [service] if troubles else [], "watched": watched})


@pytest.fixture
def cluster(lab, log):
    """One that runs, whose master says of its services what it is told to."""
    start_cluster(lab.parts(recording(log)))
    lab.connector.ran.clear()

    def cluster(*answers):
        left = list(answers)
        lab.connector.answers = {PROBE: lambda ran: left.pop(0) if len(left) > 1 else left[0]}
        return lab.parts(recording(log))

    return cluster


def names(lab):
    return [ran.name for ran in lab.connector.ran if ran.name in (PROBE, RESTART)]


class TestStart:
    def test_all_that_works_is_left_alone(self, lab, cluster):
        start_cluster(cluster(found("")))
        assert names(lab) == [PROBE]

    def test_one_failure_may_be_chance_and_nobody_joins_anew_for_it(self, lab, cluster, log):
        log.clear()
        start_cluster(cluster(found("is deaf"), found("")))
        assert names(lab) == [PROBE, PROBE]
        assert of(log, "join") == []

    def test_what_fails_twice_is_restarted_and_named(self, lab, cluster):
        start_cluster(cluster(found("", "is deaf")))
        assert names(lab) == [PROBE, PROBE, RESTART]
        assert "web:web-0" in next(ran.text for ran in lab.connector.ran if ran.name == RESTART)
        assert "Restarting the web on master: part 1 is deaf" in lab.said

    def test_a_watch_that_does_not_work_is_restarted(self, lab, cluster):
        start_cluster(cluster(found("", watched=False)))
        assert names(lab) == [PROBE, PROBE, RESTART]
        assert "watch:watch-0" in next(ran.text for ran in lab.connector.ran if ran.name == RESTART)

    def test_a_restart_that_fails_is_no_end(self, lab, cluster):
        context = cluster(found("is deaf"))
        lab.connector.answers[RESTART] = RemoteError("no", remedy="none")
        assert start_cluster(context).ok
        assert "It did not restart: no" in lab.said


class TestStatus:
    def rows(self, context):
        return [(row.item, row.value, row.healthy) for row in query_status(context).rows if row.item not in "ab"]

    def test_each_service_has_a_row_that_names_what_fails(self, cluster):
        assert self.rows(cluster(found("", ""))) == [("web", "answers", True)]
        assert self.rows(cluster(found("", "is deaf"))) == [("web", "part 1 is deaf", False)]

    def test_a_restart_by_the_watch_is_told(self, cluster):
        assert self.rows(cluster(found("", restarts=2))) == [("web", "answers (2 restarts, the last: x)", True)]

    def test_services_that_nobody_watches_are_not_well(self, cluster):
        rows = self.rows(cluster(found("", watched=False)))
        assert rows[1] == ("watch", "does not work: what fails is not restarted", False)

    def test_a_service_manager_that_is_deaf_is_not_well(self, cluster):
        assert self.rows(cluster(found(manager="timed out"))) == [
            ("services", "the service manager timed out", False),
        ]

    def test_a_master_that_does_not_answer_is_unknown(self, cluster):
        assert self.rows(cluster(RemoteError("no route", remedy="none"))) == [("services", "unknown: no route", False)]

    def test_they_cost_one_command(self, lab, cluster):
        query_status(cluster(found("")))
        assert names(lab) == [PROBE]
