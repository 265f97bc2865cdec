"""Dask beside the engines of a real cluster: collections, searches, nodes that come and go, and processes that die."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

LIBRARIES = ("distributed", "dask_ml", "sklearn")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, LIBRARIES)), reason="dask: not installed here, with dask-ml"),
]
CONFIG = """
[global]
DEFAULT_TEMPLATE = both

[cluster both]
CLUSTER_SIZE = 2
PLUGINS = dask, ipcluster

[plugin packages]
PACKAGES = scikit-learn, dask-ml

[plugin dask]
THREADS_PER_WORKER = 2
"""


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    """One with a cluster of two nodes, each with an engine and a worker."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    laptop.run("start", "graphs", timeout=170)
    yield laptop
    laptop.terminate_all()


@pytest.fixture(scope="module")
def script(laptop, tmp_path_factory):
    """Runs a script of the user's; returns the lines that it printed."""

    return lambda text: laptop.run_script(tmp_path_factory.mktemp("script"), text)


def rows(laptop):
    """What `status` says of Dask: its services and workers."""
    cluster = laptop.json("status", "--json", "graphs", status=None)
    return {(row["node"], row["item"]): row["value"] for row in cluster["rows"] if "dask" in row["item"]}


def processes(laptop, program):
    """The processes of a program of the cluster's Dask."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(laptop.home) in word and word.endswith(f"dask/{program}") for word in words):
            found.append(process)
    return found


def test_the_page_about_dask_says_what_happens(script):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "dask.md").read_text()
    code, said = ("".join(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)) for kind in ("python", "text"))
    assert script(code) == said.splitlines()


def test_who_has_no_certificate_is_refused_and_no_key_is_in_a_command_line(laptop, script):
    document = json.loads((laptop.folder("graphs") / "dask.json").read_text())
    assert (laptop.folder("graphs") / "dask.json").stat().st_mode & 0o077 == 0
    assert script(f"""
        from distributed import Client
        try:
            Client("tcp://127.0.0.1:{document["scheduler"]}", timeout=5)
        except OSError:
            print("refused")
    """) == ["refused"]
    secret = document["key"].splitlines()[1]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if secret in line]


def test_the_dashboard_answers_at_its_own_path_alone(laptop):
    (cluster,) = laptop.json("list", "--json", "graphs")
    (url,) = [one["url"] for one in cluster["connections"] if one["name"] == "dask-dashboard"]
    with urllib.request.urlopen(url, timeout=20) as page:
        assert b"Dask" in page.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen("/".join(url.split("/")[:3]) + "/status", timeout=20)


def test_a_task_on_an_engine_has_the_same_client(script):
    assert script("""
        import clusterctl

        def ask():
            return clusterctl.connect().dask().submit(sum, [1, 2]).result()

        print(clusterctl.connect().pool().apply(ask))
    """) == ["3"]


def test_nodes_bring_workers_and_leave_their_data_behind(laptop, script):
    assert script("""
        import subprocess, sys
        import clusterctl

        def command(*words):
            subprocess.run([sys.executable, "-m", "clusterctl.cli.main", *words], check=True, capture_output=True)

        def names():
            return sorted(worker["name"] for worker in dask.scheduler_info()["workers"].values())

        dask = clusterctl.connect().dask()
        command("addnode", "graphs")
        dask.wait_for_workers(3, timeout=60)
        print(names(), sum(dask.nthreads().values()))
        addresses = {worker["name"]: address for address, worker in dask.scheduler_info()["workers"].items()}
        kept = dask.scatter([b"x" * 1_000_000] * 3, workers=[addresses["node002-0"]], hash=False)
        command("removenode", "--yes", "--alias", "node002", "graphs")
        print(names(), sum(map(len, dask.gather(kept))))
    """) == ["['master-0', 'node001-0', 'node002-0'] 6", "['master-0', 'node001-0'] 3000000"]


def test_work_outlives_a_worker_and_the_scheduler_is_started_anew(laptop, script, poll):
    assert script("""
        import os, signal
        import clusterctl

        def square(number):
            if number == 3 and not os.path.exists("died"):
                open("died", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return number * number

        dask = clusterctl.connect().dask()
        print(sum(dask.gather(dask.map(square, range(50)))))
    """) == [str(sum(number * number for number in range(50)))]
    (scheduler,) = processes(laptop, "scheduler.py")
    scheduler.kill()
    well = {
        ("master", "dask-scheduler"): "answers",
        ("master", "dask workers"): "1 of 1",
        ("node001", "dask workers"): "1 of 1",
    }
    poll(lambda: rows(laptop) == well, "the scheduler has its workers again", deadline_s=60, every_s=1)
    assert script("""
        import clusterctl
        print(clusterctl.connect().dask().submit(sum, [4, 5]).result())
    """) == ["9"]
