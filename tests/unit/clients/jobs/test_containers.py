"""The engine of a node, and what it is told: no value of a variable, and no job where it does not answer."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from clusterctl.clients.jobs import containers
from clusterctl.clients.jobs.containers import Engine, find_engine
from clusterctl.clients.jobs.job_store import JobStore
from clusterctl.clients.jobs.model import JobError, JobOrder

ORDER = JobOrder("9845a3bd4", ("python", "train.py"), "node001", cores=2, image="python:3.12")


@pytest.fixture
def engines(monkeypatch):
    """What `version` of each engine answers: its status and its errors."""
    answers = {}

    def run(command, **_):
        status, said = answers[Path(command[0]).name]
        return SimpleNamespace(returncode=status, stderr=said)

    monkeypatch.setattr(containers.shutil, "which", lambda name: f"/usr/bin/{name}" if name in answers else None)
    monkeypatch.setattr(containers.subprocess, "run", run)
    return answers


def test_a_job_for_an_image_is_refused_before_it_is_taken_where_there_is_no_engine(engines, tmp_path):
    with pytest.raises(JobError, match="node001 has neither docker nor podman"):
        JobStore(tmp_path, "node001").submit(ORDER, (), b"{}", 4)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_refuses_the_user_says_why(engines):
    engines["docker"] = (1, "Client: 29\npermission denied on /var/run/docker.sock\n")
    with pytest.raises(JobError, match="permission denied on") as caught:
        find_engine("node001")
    assert "group `docker`" in caught.value.remedy
    engines["podman"] = (0, "")
    assert find_engine("node001").program == "/usr/bin/podman"


def test_it_is_told_names_of_variables_and_the_users_number(monkeypatch, tmp_path):
    monkeypatch.setattr(containers, "_NVIDIA", tmp_path / "none")
    monkeypatch.setenv("HOME", "/home/me")
    said = Engine("/usr/bin/docker").command(ORDER, Path("/home/me/work"), ["SECRET", "HOME"])
    assert said[-3:] == ["python:3.12", "python", "train.py"]
    assert {"--env=SECRET", "--env=HOME", "--cpus=2", "--volume=/home/me:/home/me", "--workdir=/home/me/work"} <= {
        *said
    }
    assert f"--user={os.getuid()}:{os.getgid()}" in said


def test_podman_keeps_the_users_number_unless_that_is_roots(monkeypatch, tmp_path):
    monkeypatch.setattr(containers.os, "getuid", lambda: 1000)
    assert "--userns=keep-id" in Engine("/usr/bin/podman").command(ORDER, tmp_path, [])
    monkeypatch.setattr(containers.os, "getuid", lambda: 0)
    monkeypatch.setattr(containers.os, "getgid", lambda: 0)
    said = Engine("/usr/bin/podman").command(ORDER, tmp_path, [])
    assert "--user=0:0" in said
    assert not any("keep-id" in word for word in said), "it refuses that to root"


def test_it_has_the_nodes_gpus(monkeypatch, tmp_path):
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(containers, "_NVIDIA", tmp_path / "nvidiactl")
    assert "--gpus=all" in Engine("/usr/bin/docker").command(ORDER, tmp_path, [])
    assert "--device=nvidia.com/gpu=all" in Engine("/usr/bin/podman").command(ORDER, tmp_path, [])
