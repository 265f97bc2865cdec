"""Jobs in a folder: what is made of an order, and what their files say afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from dataclasses import replace

import pytest

from clusterctl.clients.jobs import model
from clusterctl.clients.jobs.code import CodeFile, pack_files
from clusterctl.clients.jobs.job_store import JobStore
from clusterctl.clients.jobs.model import JobError, JobOrder
from clusterctl.clients.serve_jobs import Service
from clusterctl.errors import UsageError
from clusterctl.laptop.lock_files import hold

ORDER = JobOrder("9845a3bd4", ("python", "a.py"), "master", retries=1, fetch=("out",))
CONTENT = b"print()"
FILE = CodeFile("a.py", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store whose jobs are begun by nobody."""
    monkeypatch.setattr(JobStore, "_begin", lambda *_: None)
    return JobStore(tmp_path / ".clusterctl", "master")


@pytest.fixture
def place(tmp_path):
    return tmp_path / ".clusterctl" / "jobs" / ORDER.id


def ask(store, asked, content=b""):
    return Service(store, io.BytesIO(json.dumps(asked).encode() + b"\n" + content)).answer()


def submit(store, order=ORDER, **about):
    files = pack_files([FILE])
    asked = {
        "do": "submit",
        "order": order.as_json(),
        "files": len(files),
        "environment": 2,
        "total": 2,
        "contents": [[FILE.digest, FILE.size]],
        **about,
    }
    return ask(store, asked, files + b"{}" + CONTENT)[0]


def say(place, **state):
    (place / "state.json").write_text(json.dumps(state))


def test_a_job_is_taken_with_its_code_for_its_user_alone(store, place):
    assert submit(store)["said"]["state"] == "lost"  # nobody has begun it
    assert (place / "work" / "a.py").read_bytes() == CONTENT
    assert [path.stat().st_mode & 0o777 for path in (place, place / "environment", place.parent)] == [
        *(0o700, 0o600, 0o700)
    ]
    (place / "work" / "a.py").write_text("changed")
    submit(store)
    assert (place / "work" / "a.py").read_text() == "changed", "the same order twice is one job"


def test_more_cores_than_the_node_has_are_refused(store, place):
    assert submit(store, replace(ORDER, cores=3))["error"] == "master has 2 cores, fewer than 3"
    assert not place.exists()
    assert submit(store, replace(ORDER, cores=0))["said"]["cores"] == 2


def test_a_job_lives_as_long_as_its_lock_is_held(store, place):
    submit(store)
    say(place, state="running", node="node001", tries=1)
    with hold(place / "lock"):
        assert store.look(ORDER.id).state == model.RUNNING
    lost = store.look(ORDER.id)
    assert (lost.state, lost.can_rerun, lost.is_over) == (model.LOST, True, False)
    say(place, state="running", node="node001", tries=2)
    assert store.look(ORDER.id).is_over
    say(place, state="failed", node="node001", tries=2, exit=3)
    assert (store.look(ORDER.id).state, store.look(ORDER.id).exit) == (model.FAILED, 3)


def test_a_lost_job_that_was_cancelled_does_not_run_again(store, place):
    submit(store)
    say(place, state="running", node="node001", tries=1)
    assert store.cancel(ORDER.id, 0).state == model.CANCELLED
    assert not store.look(ORDER.id).can_rerun
    assert not (place / "environment").exists(), "the values of its variables are gone"


def test_a_job_whose_node_just_ends_runs_again_a_moment_later(store, place, monkeypatch):
    begun = []
    monkeypatch.setattr(JobStore, "_begin", lambda self, place, total: begun.append(place.name))
    submit(store)
    say(place, state="running", node="node001", tries=1)
    with hold(place / "lock"):
        assert [status.state for status in store.end_all(cancel=False)] == ["running"]
    del begun[:]
    assert store.resume(ORDER.id, 2).can_rerun
    assert begun == [], "its node may still answer"
    long_ago = time.time() - 60
    os.utime(place / "interrupt", (long_ago, long_ago))
    store.resume(ORDER.id, 2)
    assert begun == [ORDER.id]


def test_jobs_of_a_cluster_that_ends_for_good_do_not_run_again(store, place):
    submit(store)
    say(place, state="running", node="node001", tries=1)
    said = ask(store, {"do": "end all", "cancel": True})[0]["said"]
    assert [(one["state"], one["can_rerun"]) for one in said] == [("cancelled", False)]


def test_the_log_comes_as_it_is(store, place):
    submit(store)
    (place / "log").write_bytes(b"a\x00b")
    say(place, state="done", node="master", tries=1)
    status, part = store.read(ORDER.id, 1, 0)
    assert (status.state, part) == (model.DONE, b"\x00b")


def test_what_is_over_and_fetched_goes_in_the_end(store, place):
    submit(store)
    say(place, state="done", node="master", tries=1, ended=time.time() - 31 * 86400)
    store._sweep()
    assert place.exists(), "it was not fetched"
    store.mark_fetched(ORDER.id)
    draft = place.parent / ".77aa.new"
    draft.mkdir()
    os.utime(draft, (0, 0))
    store._sweep()
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"id": "../x", "command": ["a"]}'])
def test_a_damaged_record_hides_no_other_job(store, place, damage):
    submit(store)
    for name in ("aaaa11112", "7", "a folder of the user's"):
        other = place.with_name(name)
        other.mkdir()
        (other / "order.json").write_bytes(damage)
    assert [status.id for status in store.all()] == [ORDER.id]


def test_ids_that_are_none_lead_nowhere(store):
    with pytest.raises(UsageError):
        store.look("../../etc")
    with pytest.raises(JobError, match="there is no job aaaa"):
        store.look("aaaa")
    assert ask(store, {"do": "look", "id": "aaaa"})[0]["error"] == "there is no job aaaa on this cluster"
