"""A master that is lost with all it has but the home: the next one has its ports and keys, and nobody misses a file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

NAME = "kept"
CONFIG = """
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
CLUSTER_SIZE = 2
PLUGINS = ipcluster
HOME_VOLUME = yes

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""


@pytest.fixture(scope="module")
def kept(laptop_class, tmp_path_factory):
    """A cluster of two nodes whose home outlives the master, with work in it."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    laptop.run("start", NAME)
    home = laptop.home / "local" / NAME / "home"
    (home / "results").mkdir()
    (home / "results" / "data").write_bytes(os.urandom(100_000))
    try:
        yield laptop
    finally:
        laptop.run("terminate", "--yes", NAME, status=None)


def files(laptop):
    """What is in the home, by its hash."""
    home = laptop.home / "local" / NAME / "home"
    found = [path for path in home.rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def lose_master(laptop):
    """End all that runs on the master at once, and delete all that was on its disk."""
    running = laptop.running(NAME, "master")
    processes = [psutil.Process(running[key]) for key in ("pid", "guardian")] + laptop.find("master")
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, 10)
    shutil.rmtree(laptop.node_folder(NAME, "master"))


def engines(laptop):
    (cluster,) = laptop.json("list", "--json", NAME)
    return {node["alias"]: node["engines"] for node in cluster["nodes"]}


def client_file(laptop):
    return json.loads((laptop.folder(NAME) / "client.json").read_text())


def test_a_watch_makes_a_new_master_and_a_client_that_is_connected_goes_on(kept):
    before, client = files(kept), client_file(kept)
    assert [name for name in before if name.endswith("ipcontroller-curve.json")]
    with kept.console() as console:
        console.run("import clusterctl\nclient = clusterctl.connect()\npool = client.pool()")
        assert console.value("list(pool.map(abs, range(-5, 0)))") == [5, 4, 3, 2, 1]
        lose_master(kept)
        said = kept.run("watch", NAME, "--once", timeout=200)
        assert "master  bring back  done in" in said.stdout
        assert console.value("list(pool.map(abs, range(-5, 0)))") == [5, 4, 3, 2, 1]
    assert (files(kept), client_file(kept)) == (before, client)
    assert engines(kept) == {"master": 1, "node001": 1}


@pytest.mark.parametrize("file", ["node.json", "state/ipython/profile_cluster/security/ipcontroller-curve.json"])
def test_a_start_that_is_killed_on_its_way_to_a_new_master_loses_nothing(kept, poll, file):
    before, client = files(kept), client_file(kept)
    lose_master(kept)
    with kept.begin("start", NAME) as start:
        poll((kept.node_folder(NAME, "master") / file).exists, f"{file} is there", every_s=0.01)
        start.kill()
        start.wait(10)
    kept.run("start", NAME, timeout=200)
    assert (files(kept), client_file(kept)) == (before, client)
    assert engines(kept) == {"master": 1, "node001": 1}


def test_terminate_says_that_the_home_goes_and_ends_it(kept):
    asked = kept.refuse("terminate", NAME, status=2, says=[f"local/{NAME}/home with its home"])
    assert "will be gone for good" in asked.stderr
    kept.run("terminate", "--yes", NAME)
    assert not (kept.home / "local" / NAME).exists()
