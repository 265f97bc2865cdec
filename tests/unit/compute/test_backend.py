"""joblib's backend: what it says before there is any work."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from clusterctl.compute.learning import backend as learning
from clusterctl.errors import StateError, UsageError

pytest.importorskip("joblib", reason="joblib: is not installed")


@pytest.fixture
def backend():
    return learning.backend_class()(client=SimpleNamespace(ids=[0, 1, 2, 5], _closed=False))


@pytest.mark.parametrize(("asked", "count"), [(1, 1), (3, 3), (9, 4), (-1, 4), (-2, 3), (-9, 1), (None, 4)])
def test_as_many_jobs_are_said_as_there_are_engines_for(backend, asked, count):
    assert backend.effective_n_jobs(asked) == count


def test_no_job_is_an_error_of_joblibs(backend):
    with pytest.raises(ValueError, match="n_jobs == 0"):
        backend.effective_n_jobs(0)


def test_a_mode_that_is_none_is_refused(backend):
    with pytest.raises(UsageError, match="mmap_mode is r, c or None"):
        backend.configure(2, mmap_mode="x")


def test_without_a_client_the_error_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(learning, "_newest", [])
    with pytest.raises(StateError) as caught:
        learning.backend_class()().effective_n_jobs(2)
    assert "clusterctl.connect()" in caught.value.remedy


def test_without_joblib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib.parallel", None)
    learning.backend_class.cache_clear()
    with pytest.raises(UsageError) as caught:
        learning.backend_class()
    assert caught.value.remedy == "pip install joblib"


def test_it_has_all_that_joblib_asks_for():
    from joblib.parallel import ParallelBackendBase

    ours = vars(learning.ClusterBackend)
    left = {
        "get_exceptions",
        "compute_batch_size",
        "batch_completed",
        "retrieve_result",
        "retrieval_context",
        "in_main_thread",
    }
    asked = {name for name, what in vars(ParallelBackendBase).items() if callable(what) and not name.startswith("_")}
    assert asked - left <= ours.keys()


def test_a_client_loads_joblib_never_by_itself(allow_subprocess):
    program = "import sys, clusterctl.compute.client, clusterctl.clients.opening; print('joblib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
