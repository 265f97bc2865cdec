"""Jobs in containers of an image, by the node's own engine: as the user, in the home, and ended with the job."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from ..support.small_image import small_image

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ABOUT = """
echo "in $PWD as $(id -u), $SECRET, threads $OMP_NUM_THREADS"
echo kept > result
cat /proc/1/cmdline
exit 7
"""


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(request, laptop, cluster, tmp_path_factory):
    """The nodes' engine: its program, as nodes have it. Where both answer, docker is taken."""
    if request.param == "docker":
        yield "docker"
        return
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman: it is not installed")
    # As root podman raises the limits of a container, which the machine may refuse to this process.
    config = tmp_path_factory.mktemp("podman") / "containers.conf"
    config.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
    programs = {
        "docker": "#!/bin/sh\nexit 1\n",
        "podman": f'#!/bin/sh\nCONTAINERS_CONF={config} exec {podman} "$@"\n',
    }
    folders = [laptop.home / "local" / cluster.name / node / "bin" for node in ("master", "node001", "node002")]
    files = [(folder / name, text) for folder in folders for name, text in programs.items()]
    for file, text in files:
        file.write_text(text)
        file.chmod(0o755)
    yield str(folders[0] / "podman")
    for file, _ in files:
        file.unlink()


@pytest.fixture(scope="module")
def image(engine):
    name = Path(engine).name
    with small_image(engine) as image:
        if image is None:
            pytest.skip(f"{'engine' if name == 'docker' else name}: {name} does not answer, or there is no busybox")
        if name == "podman":  # what it needs of the system it says when it runs something
            ran = subprocess.run([engine, "run", "--rm", "--init", image, "id"], capture_output=True, text=True)
            if ran.returncode:
                pytest.skip(f"podman: it runs nothing here: {ran.stderr.strip()}")
        yield image


@pytest.fixture
def jobs_folder(laptop, cluster):
    return laptop.home / "local" / cluster.name / "home" / ".clusterctl" / "jobs"


@pytest.fixture
def containers(engine):
    """The containers of a job that there are."""
    return partial(find_containers, engine)


def find_containers(engine, job_id):
    named = [engine, "ps", "--all", "--quiet", "--filter", f"name=clusterctl-job-{job_id}"]
    return subprocess.run(named, capture_output=True, text=True, check=True).stdout.split()


def begin(laptop, folder, *words):
    """`clusterctl run --detach` in a folder; the job's id."""
    command = [*laptop.command, "run", "--detach", *words]
    done = subprocess.run(command, env=laptop.env, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1].rstrip(".")


def test_a_job_runs_in_an_image_with_the_home_the_user_and_its_variables(
    laptop, cluster, image, tmp_path, jobs_folder, containers
):
    (tmp_path / "about.sh").write_text(ABOUT)
    command = [*laptop.command, "run", "--image", image, "--env", "SECRET", "--fetch", "result", "--", "sh", "about.sh"]
    env = {**laptop.env, "SECRET": "not in argv"}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 7, done.stderr
    created, about, first = done.stdout.splitlines()
    job_id = created.split()[-1].rstrip(".")
    assert about == f"in {jobs_folder / job_id / 'work'} as {os.getuid()}, not in argv, threads 1"
    assert first.startswith(("/sbin/docker-init", "/run/podman-init")), (
        "the first process that it sees is its container's"
    )
    assert (tmp_path / "result").read_text() == "kept\n"
    assert laptop.json("job", "show", job_id)["image"] == image
    assert containers(job_id) == []


def test_whatever_ends_a_job_ends_its_container(
    laptop, cluster, engine, image, tmp_path, jobs_folder, poll, containers
):
    trap = "trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.1; done"
    job_id = begin(laptop, tmp_path, "--image", image, "--", "sh", "-c", trap)
    poll(lambda: "ready" in laptop.run("job", "logs", job_id).stdout, "it runs")
    (name,) = containers(job_id)
    argv = subprocess.run([engine, "inspect", name], capture_output=True, text=True, check=True).stdout
    assert json.loads(argv)[0]["HostConfig"]["NanoCpus"] == 10**9
    laptop.run("job", "cancel", job_id)
    assert "bye" in laptop.run("job", "logs", job_id).stdout
    assert containers(job_id) == []

    job_id = begin(laptop, tmp_path, "--image", image, "--max-time", "1", "--", "sleep", "600")
    assert laptop.run("job", "wait", job_id, status=None).returncode == 124
    assert containers(job_id) == []

    job_id = begin(laptop, tmp_path, "--image", image, "--", "sleep", "600")
    poll(lambda: containers(job_id), "it runs")
    os.kill(int((jobs_folder / job_id / "lock").read_text()), signal.SIGKILL)
    poll(lambda: not containers(job_id), "its container is gone")
    poll(lambda: laptop.json("job", "show", job_id)["state"] == "lost", "it is lost")


def test_an_image_that_cannot_be_had_is_a_failure_that_says_so(laptop, cluster, image, tmp_path):
    job_id = begin(laptop, tmp_path, "--image", "localhost:1/nothing", "--", "true")
    waited = laptop.run("job", "wait", job_id, status=None)
    assert waited.returncode == 125
    assert "no container of localhost:1/nothing could be run" in waited.stderr
