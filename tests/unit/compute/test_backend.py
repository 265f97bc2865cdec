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


def test_an_option_that_there_is_not_is_refused_by_name(backend):
    for refuse in (lambda: learning.backend_class()(nonsense=1), lambda: backend.configure(2, nonsense=1)):
        with pytest.raises(TypeError, match="has no option nonsense; it has initializer and initargs"):
            refuse()


def test_what_tasks_took_says_nothing_of_the_next_call(backend):
    backend._effective_batch_size, backend._smoothed_batch_duration = 8, 0.1
    backend.terminate()
    assert backend._effective_batch_size == backend._DEFAULT_EFFECTIVE_BATCH_SIZE
    assert backend._smoothed_batch_duration == backend._DEFAULT_SMOOTHED_BATCH_DURATION


def test_an_aborted_call_is_configured_anew_as_it_was(backend, monkeypatch):
    made = []
    monkeypatch.setattr(
        learning, "Pool", lambda options, **_: made.append(options) or SimpleNamespace(terminate=lambda: None)
    )
    backend.configure(2, SimpleNamespace(n_jobs=2), 1e6, "c", initializer=print, initargs=[1], verbose=0, prefer=None)
    backend.abort_everything()
    assert (made[0].processes, made[0].initializer, made[0].initargs) == (2, print, (1,))
    assert made == [made[0]] * 2


LATE = """
import sys
from types import SimpleNamespace
from clusterctl.compute.learning import backend

class Client:
    ids, _closed = [0, 1], False

first, second = Client(), Client()
backend.note_newest(first)
backend.note_newest(second)
print("joblib" in sys.modules, len(sys.meta_path))
import joblib
print(joblib.effective_n_jobs(1), "clusterctl" in joblib.parallel.BACKENDS, len(sys.meta_path))
with joblib.parallel_config("clusterctl"):
    print(joblib.effective_n_jobs(-1))
"""


def test_joblib_knows_the_backend_once_it_is_loaded(allow_subprocess):
    done = subprocess.run([sys.executable, "-W", "error", "-c", LATE], capture_output=True, text=True, check=True)
    before, after, jobs = done.stdout.splitlines()
    assert before.startswith("False ")
    assert after == f"1 True {int(before.split()[1]) - 1}"
    assert jobs == "2"
