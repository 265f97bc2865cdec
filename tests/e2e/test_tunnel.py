"""A cluster that is reached through the tunnel, as one far away is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import psutil
import pytest

from clusterctl.tunnel import holders
from clusterctl.tunnel import process as tunnel

pytestmark = pytest.mark.e2e

CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")
HELLO = ["hello"] * 6
ASK = "import clusterctl\nclient = clusterctl.connect()\nprint(client[:].apply_sync(lambda: 'hello'))\nclient.close()"

ANSWER = """
def answer():
    try:
        return client[:].apply_async(lambda: 'hello').get(timeout=2)
    except Exception as exc:
        return None
"""


@pytest.fixture(scope="module")
def far(laptop, cluster):
    """The main cluster, as if it were far away."""
    made = replace(laptop, more={"CLUSTERCTL_TUNNEL": "always"})
    made.run("start", cluster.name)
    yield made
    laptop.run("start", cluster.name)
    assert "needs no tunnel" in laptop.run("tunnel").stdout
    assert not (laptop.folder(cluster.name) / "tunnel.pid").exists()


def tunnel_pid(far):
    return int((far.folder("mycluster") / "tunnel.pid").read_text())


def test_the_client_goes_through_the_tunnel_and_through_nothing_else(far):
    here = json.loads((far.folder("mycluster") / "client.json").read_text())
    security = far.node_folder("mycluster", "master") / "state" / "ipython" / "profile_cluster" / "security"
    there = json.loads((security / "ipcontroller-client.json").read_text())
    assert not {here[channel] for channel in CHANNELS} & {there[channel] for channel in CHANNELS}
    forwards = far.json("tunnel", "--json")["forwards"]
    assert {(f["local_port"], f["port"]) for f in forwards} >= {(here[c], there[c]) for c in CHANNELS}
    assert far.python(ASK) == f"{HELLO}\n"
    assert far.run("status").stdout.count("tunnel: up") == 1


@pytest.mark.slow
def test_a_live_client_works_on_after_the_tunnel_was_closed_and_brought_back(far, poll):
    with far.console() as console:
        console.run(f"{ASK.partition('print')[0]}\n{ANSWER}")
        assert console.value("answer()") == HELLO
        assert "is down" in far.run("tunnel", "--close").stdout
        assert console.value("answer()") is None
        assert far.json("status", "--json", status=1)["tunnel"] == "down"
        assert "is up: 8 ports" in far.run("tunnel").stdout
        poll(lambda: console.value("answer()") == HELLO, "the live client works again")
    assert far.run("status").returncode == 0


def test_connect_brings_back_a_tunnel_whose_process_was_killed(far, poll):
    pid = tunnel_pid(far)
    os.kill(pid, signal.SIGKILL)
    poll(lambda: pid not in {process.pid for process in far.processes()}, "the tunnel's process is gone")
    assert far.python(ASK) == f"{HELLO}\n"
    assert tunnel_pid(far) != pid


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGKILL, id="killed"), pytest.param(signal.SIGSTOP, id="frozen", marks=pytest.mark.slow)],
)
def test_a_tunnel_that_is_killed_or_frozen_is_made_anew_by_itself(far, poll, number):
    with far.console() as console:
        console.run(ASK.partition("print")[0])
        pid = tunnel_pid(far)
        poll(lambda: holders.holder_pid(far.folder("mycluster") / "tunnel.minder"), "the tunnel is minded")
        os.kill(pid, number)
        place = far.folder("mycluster")
        poll(
            lambda: tunnel.is_up(place) and holders.holder_pid(place / "tunnel.pid") not in {pid, None},
            "another one is up",
        )
        poll(lambda: console.value("client[:].apply_async(lambda: 'hello').get(timeout=2)") == HELLO, "it carries")
    assert pid not in {process.pid for process in far.processes()}


def test_whoever_minds_it_is_minded(far, poll):
    minder = far.folder("mycluster") / "tunnel.minder"
    pid = poll(lambda: holders.holder_pid(minder), "the tunnel is minded")
    os.kill(pid, signal.SIGKILL)
    poll(lambda: holders.holder_pid(minder) not in {pid, None}, "another one minds it")


def test_the_notebook_is_reached_through_the_tunnel(far, poll):
    url = urlsplit(far.run("notebook").stdout.strip())
    forwards = {f["local_port"]: f["port"] for f in far.json("tunnel", "--json")["forwards"]}
    assert forwards[url.port] != url.port

    def answers():
        try:
            with urllib.request.urlopen(f"http://{url.netloc}/api/contents?{url.query}", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    poll(answers, "JupyterLab answers through the tunnel")


def test_a_process_that_is_told_nothing_ends_and_leaves_no_trace(tmp_path):
    waiting = tunnel.StandbyProcess(tmp_path)
    assert not tunnel.is_up(tmp_path)
    waiting.end_unused()
    waiting.end_unused()
    assert list(tmp_path.iterdir()) == []


def test_one_whose_opener_died_ends_by_itself(tmp_path):
    """With it goes the pipe on which it would be told to go."""
    code = (
        "import os, sys, pathlib; from clusterctl.tunnel import process\n"
        "print(process.StandbyProcess(pathlib.Path(sys.argv[1]))._process.pid, flush=True); os._exit(0)"
    )
    said = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(said)).wait(timeout=60)
    assert list(tmp_path.iterdir()) == []
