"""Jobs that end with nodes, as the question before it names them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from clusterctl.clients.jobs.model import JobStatus
from clusterctl.errors import RemoteError
from clusterctl.operations.jobs import leaving
from clusterctl.operations.jobs.leaving import LeavingJobs
from clusterctl.operations.jobs.wanted import Wanted, note_wanted


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


@pytest.fixture
def context(tmp_path):
    return SimpleNamespace(folder=SimpleNamespace(path=tmp_path))


def job(job_id, state, node, name=""):
    return JobStatus(job_id, state, ("python", "train.py"), node, 1, 1.0, name=name)


def test_those_under_way_on_the_nodes_are_named(jobs, context):
    jobs += [
        job("9845a3bd4", "running", "node001"),
        job("27f30c9e1", "waiting", "node001", name="sweep"),
        job("00f30c9e1", "running", "master"),
        job("11f30c9e1", "done", "node001"),
    ]
    said = leaving.name_jobs(context, ["node001"])
    assert said == LeavingJobs(("9845a3bd4 python train.py", "27f30c9e1 sweep"))


def test_files_that_are_not_fetched_yet_are_named_and_whose_they_are(jobs, context):
    note_wanted(context.folder.path, Wanted("9845a3bd4", "/home/me", ("model.pkl", "plots")))
    done = job("9845a3bd4", "done", "node001")
    jobs += [
        replace(done, fetch=("model.pkl", "plots")),
        replace(done, id="27f30c9e1", fetch=("out\x1b[2J",), begun_by="ada@desk"),
        replace(done, id="37f30c9e1", state="running", node="master", fetch=("old",)),
        replace(done, id="47f30c9e1", fetch=("here",), fetched=True),
        done,
    ]
    said = leaving.name_jobs(context, ["node001"])
    assert said.under_way == ()
    assert said.wanted == ("model.pkl, plots of job 9845a3bd4",)
    assert said.wanted_elsewhere == (
        "out\\x1b[2J of job 27f30c9e1 begun by ada@desk",
        "old of job 37f30c9e1 begun by somebody else",
    )


def test_a_cluster_that_does_not_answer_can_be_ended_all_the_same(jobs, context):
    jobs.append(RemoteError("no", remedy="wait"))
    assert leaving.name_jobs(context, ["node001"]) == LeavingJobs()
