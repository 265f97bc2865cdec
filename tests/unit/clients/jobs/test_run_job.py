"""The process that runs a job, when its node is to end: the job has its grace, and is lost as with the node."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from clusterctl.clients.jobs import job_store
from clusterctl.clients.jobs.code import CodeFile
from clusterctl.clients.jobs.job_store import JobStore
from clusterctl.clients.jobs.model import JobOrder
from clusterctl.laptop.lock_files import holder_pid

POLITE = """
import os, signal, sys, time
if os.path.exists("saved"):
    sys.exit("goes on")
signal.signal(15, lambda *_: (open("saved", "w").close(), sys.exit(0)))
print("up", flush=True)
time.sleep(600)
"""


def until(holds):
    """Wait for something."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def begun(tmp_path, allow_subprocess, monkeypatch):
    """Begins a job that ends politely. Returns its store, its folder and the process that runs it."""
    processes = []

    def popen(*words, **about):
        processes.append(subprocess.Popen(*words, **about))
        return processes[-1]

    monkeypatch.setattr(job_store, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL))

    def begin(code=POLITE, **about):
        file = CodeFile("a.py", hashlib.sha256(code.encode()).hexdigest(), len(code))
        store = JobStore(tmp_path / ".clusterctl", "master")
        parts = iter([code.encode()])
        store.code.put(file.digest, file.size, lambda _: next(parts))
        order = JobOrder("9845a3bd4", **{"command": ("python", "a.py"), "node": "master", **about})
        store.submit(order, [file], b'{"TOKEN": "7"}', 2)
        place = tmp_path / ".clusterctl" / "jobs" / order.id
        until(lambda: store.read(order.id, 0, 1)[1])
        return store, place, holder_pid(place / "lock")

    yield begin
    for process in processes:
        process.communicate(timeout=30)


@pytest.mark.parametrize("by", ["signal", "mark"])
def test_its_job_saves_what_it_has_and_goes_on_elsewhere(begun, by):
    store, place, pid = begun(retries=1)
    if by == "signal":
        os.kill(pid, signal.SIGTERM)
    else:
        store.end_all(cancel=False)
    until(lambda: store.look("9845a3bd4").state == "lost")
    status = store.look("9845a3bd4")
    assert (status.can_rerun, status.detail) == (True, "its node was to end")
    assert (place / "work" / "saved").exists()
    assert (place / "environment").exists(), "it needs them again"
    os.utime(place / "interrupt", (1, 1))
    assert store.resume("9845a3bd4", 2).state in {"waiting", "running", "failed"}
    until(lambda: store.look("9845a3bd4").is_over)
    assert (place / "log").read_text().endswith("goes on\n")
    assert store.look("9845a3bd4").state == "failed"
    until(lambda: not (place / "environment").exists())  # its process ends with that


def test_a_system_that_ends_tells_the_job_first(begun):
    """The job's own process has the signal as soon as the one that runs it, and sooner."""
    store, _, pid = begun("import os; print('up', os.getpid(), flush=True)\nwhile True: os.read(os.pipe()[0], 1)")
    own = int(store.read("9845a3bd4", 0, 0)[1].split()[1])
    os.kill(own, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)
    until(lambda: store.look("9845a3bd4").state == "lost")


def test_a_script_that_is_named_as_if_it_were_a_program_is_told_how_it_is_run(begun):
    store, place, _ = begun("print('up')", command=("a.py",))
    until(lambda: store.look("9845a3bd4").is_over)
    assert store.look("9845a3bd4").exit == 127
    assert (place / "log").read_text() == "a.py: no program; it is a file of the folder: `python a.py`\n"
