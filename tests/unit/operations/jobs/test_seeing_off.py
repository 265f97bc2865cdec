"""Jobs of a cluster that ends: a signal and a grace first, and files that are to be fetched come before it is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.clients.jobs.model import JobError, JobStatus
from clusterctl.errors import LostError, RemoteError, StateError
from clusterctl.operations import leave
from clusterctl.operations.jobs import seeing_off, wanted
from clusterctl.operations.jobs.wanted import Wanted, note_wanted, read_wanted
from clusterctl.operations.start import start_cluster

from ....support.recording import recording

JOB = JobStatus("9845a3bd4", "running", ("python", "train.py"), "node001", 1, 1.0, fetch=("model.pkl",))


class Jobs:
    """A cluster's jobs, which end at the second look after they were told."""

    def __init__(self):
        self.statuses, self.told, self.looks, self.marked = [JOB], [], 0, []
        self.trouble = None

    def __call__(self, _context):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def all(self):
        if self.trouble:
            raise self.trouble
        self.looks += bool(self.told)
        if self.looks > 1:
            self.statuses = [replace(one, state="cancelled") for one in self.statuses]
        return self.statuses

    def end_all(self, *, cancel):
        self.told.append(cancel)
        return self.statuses

    def mark_fetched(self, job_id):
        self.marked.append(job_id)


@pytest.fixture
def jobs(monkeypatch):
    made = Jobs()
    monkeypatch.setattr(seeing_off, "RemoteJobs", made)
    monkeypatch.setattr(seeing_off, "_has_jobs", lambda *_: True)
    return made


@pytest.fixture
def parts(lab, log):
    start_cluster(lab.parts(recording(log)))
    return lab.parts(recording(log))


@pytest.fixture
def fetches(monkeypatch):
    """What was fetched; an error that stands first is raised."""
    seen = []

    def fetch(_context, _jobs, job_id, paths, folder):
        if seen and isinstance(seen[0], Exception):
            raise seen[0]
        seen.append((job_id, paths, str(folder)))
        return wanted.copying.Copied(1, 1, [])

    monkeypatch.setattr(wanted, "fetch_paths", fetch)
    return seen


def test_a_cluster_ends_once_its_jobs_have_and_their_files_are_here(lab, parts, jobs, fetches):
    note_wanted(parts.folder.path, Wanted(JOB.id, "/home/me/code", ("model.pkl",)))
    leave.terminate_cluster(parts)
    assert (jobs.told, jobs.looks) == ([True], 2)
    assert fetches == [(JOB.id, ("model.pkl",), "/home/me/code")]
    assert jobs.marked == [JOB.id]
    assert lab.provider.nodes() == []


def test_files_that_do_not_come_keep_the_cluster_and_force_ends_it(lab, parts, jobs, fetches):
    note_wanted(parts.folder.path, Wanted(JOB.id, "/home/me/code", ("model.pkl",)))
    fetches.append(LostError("node001: the connection was lost", remedy="r"))
    with pytest.raises(StateError, match=r"model\.pkl: node001: the connection was lost") as caught:
        leave.terminate_cluster(parts)
    assert "terminate --force lab" in caught.value.remedy
    assert len(lab.provider.nodes()) == 3
    assert list(read_wanted(parts.folder.path))
    leave.terminate_cluster(parts, force=True)
    assert (len(jobs.told), lab.provider.nodes()) == (1, [])


def test_files_that_a_job_has_not_made_keep_nothing(lab, parts, jobs, fetches):
    note_wanted(parts.folder.path, Wanted(JOB.id, "/home/me/code", ("model.pkl",)))
    fetches.append(RemoteError("node001: copy: there is no model.pkl", remedy="r"))
    leave.terminate_cluster(parts)
    assert lab.warnings == ["job 9845a3bd4: node001: copy: there is no model.pkl"]
    assert lab.provider.nodes() == []


def test_what_another_computer_wants_is_said(lab, parts, jobs, fetches):
    leave.terminate_cluster(parts)
    assert fetches == []
    assert "job 9845a3bd4 begun by somebody else: model.pkl: not fetched" in lab.warnings[0]


def test_stopped_nodes_keep_their_home_and_jobs_may_go_on(parts, jobs, fetches):
    note_wanted(parts.folder.path, Wanted(JOB.id, "/home/me/code", ("model.pkl",)))
    leave.stop_cluster(parts)
    assert (jobs.told, fetches) == ([False], [])


@pytest.mark.parametrize("kind", [RemoteError, JobError, StateError])
def test_who_does_not_answer_or_answers_nonsense_is_ended_all_the_same(lab, parts, jobs, kind):
    jobs.trouble = kind("no", remedy="wait")
    leave.terminate_cluster(parts)
    assert lab.warnings == ["lab: its jobs cannot be asked: no; they end with their nodes"]
    assert lab.provider.nodes() == []


def test_jobs_that_do_not_end_are_waited_for_no_longer_than_their_grace(lab, parts, jobs, monkeypatch):
    monkeypatch.setattr(seeing_off, "_GRACE_S", 0.0)
    leave.stop_cluster(parts)
    assert lab.warnings == ["lab: 1 job did not end in 0 s"]


def test_a_question_that_hangs_is_given_up(lab, parts, jobs, monkeypatch):
    import threading

    over = threading.Event()
    monkeypatch.setattr(seeing_off, "_ANSWER_S", 0.0)
    monkeypatch.setattr(seeing_off, "_has_jobs", lambda *_: over.wait(30))
    leave.terminate_cluster(parts)
    over.set()
    assert lab.warnings == ["lab: its jobs cannot be asked: its jobs did not come in 0 s; they end with their nodes"]


def test_without_jobs_nobody_is_asked_but_the_master(lab, parts, monkeypatch):
    monkeypatch.setattr(seeing_off, "RemoteJobs", None)
    leave.terminate_cluster(parts)
    assert lab.provider.nodes() == []
