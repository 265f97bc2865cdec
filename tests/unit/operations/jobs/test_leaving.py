"""Jobs that end with nodes, as the question before it names them."""

from __future__ import annotations

import pytest

from clusterctl.clients.jobs.model import JobStatus
from clusterctl.errors import RemoteError
from clusterctl.operations.jobs import leaving


@pytest.fixture
def jobs(monkeypatch):
    """What the cluster says of its jobs; an exception is raised."""
    said = []

    class Jobs:
        nodes = ("master", "node001")

        def __init__(self, _context):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def all(self):
            if isinstance(said[0], Exception):
                raise said[0]
            return said

    monkeypatch.setattr(leaving, "RemoteJobs", Jobs)
    return said


def job(job_id, state, node, name=""):
    return JobStatus(job_id, state, ("python", "train.py"), node, 1, 1.0, name=name)


def test_those_under_way_on_the_nodes_are_named(jobs):
    jobs += [
        job("9845a3bd4", "running", "node001"),
        job("27f30c9e1", "waiting", "node001", name="sweep"),
        job("00f30c9e1", "running", "master"),
        job("11f30c9e1", "done", "node001"),
    ]
    assert leaving.name_jobs(None, ["node001"]) == ("9845a3bd4 python train.py", "27f30c9e1 sweep")


def test_a_cluster_that_does_not_answer_can_be_ended_all_the_same(jobs):
    jobs.append(RemoteError("no", remedy="wait"))
    assert leaving.name_jobs(None, ["node001"]) == ()
