"""A cluster ends by itself once nobody works on it: each cause of not being idle, a keep, the end, and a new start."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from ..support import ending
from ..support.laptop import poll

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CONFIG = """
[cluster local]
PLUGINS = ipcluster
CLUSTER_SIZE = 2
IDLE_STOP = 12s
NOTIFY = echo "$CLUSTERCTL_EVENT" >> "$HOME/told"
ON_END = echo saved > "$HOME/saved"

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
NAME = "ending"
COMPUTE = "while :; do :; done"


class Ending:
    """A cluster that ends by itself, as its user sees it."""

    def __init__(self, laptop):
        self.laptop = laptop
        self.home = laptop.home / "local" / NAME / "home"

    def command_lines(self):
        lines = []
        for process in self.laptop.processes():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                lines.append((process.pid, process.cmdline()))
        return lines

    def until(self, what, is_so):
        return ending.until(self.laptop, NAME, what, is_so)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, laptop_class):
    laptop = laptop_class(tmp_path_factory.mktemp("ending") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    said = laptop.run("start", NAME).stdout
    assert "ends by itself once nobody has worked for 12 s (IDLE_STOP): its services stop" in said
    yield Ending(laptop)
    laptop.terminate_all()


def test_each_cause_of_not_being_idle_is_seen_and_named(cluster):
    jobs = cluster.home / ".clusterctl" / "jobs" / "7"
    jobs.mkdir(parents=True)
    demand = cluster.home / ".clusterctl" / "demand" / "sweep.json"
    demand.parent.mkdir()
    demand.write_text(json.dumps({"items": 5, "item_s": 1, "engines": 2, "until": time.time() + 60}))
    laptop = cluster.laptop
    with (
        laptop.console() as client,
        (jobs / "lock").open("w") as lock,
        laptop.begin("sshmaster", NAME, "sleep", "300"),
        laptop.begin("sshnode", NAME, "1", "sleep", "300"),
        laptop.begin("sshmaster", NAME, f"sh -c '{COMPUTE}'"),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.run(
            "import time, clusterctl\n"
            f"client = clusterctl.connect({NAME!r})\n"
            "task = client[0].apply_async(time.sleep, 300)\n"
            "waiting = [client.load_balanced_view().apply_async(time.sleep, 300) for _ in range(3)]"
        )
        causes = ("tasks at the controller", "a login (", "process ", "the job jobs/7", "5 items wait", "on node001")
        cluster.until("all causes are named", lambda said: all(cause in said["busy"] for cause in causes))
        assert ending.ends(laptop, NAME)["in_s"] is None
        laptop.run("cancel", NAME)
    demand.unlink()
    for pid, words in cluster.command_lines():  # what a command has begun there outlives the laptop's side of it
        if {"sleep", COMPUTE} & set(words):
            os.kill(pid, signal.SIGKILL)
    cluster.until("nobody works", lambda said: not said["busy"])


def test_it_is_kept_and_the_wish_is_taken_back(cluster):
    kept = cluster.laptop.json("keep", NAME, "2h", "--json")
    assert 7100 < kept["kept_s"] <= 7200
    assert kept["in_s"] is None or kept["in_s"] > 7000
    cluster.laptop.refuse("keep", NAME, "soon", status=2, says=["expected a time such as 90s, 20m, 2h or 1d"])
    assert cluster.laptop.json("keep", NAME, "never", "--json")["kept_s"] == 0


def test_the_end_outlives_the_death_of_the_watch(cluster):
    before = cluster.until("it is warned", lambda said: said["phase"] == "warned")
    state = json.loads((cluster.laptop.node_folder(NAME, "master") / "state" / "ending" / "decision.json").read_text())
    assert state["why"] == before["why"] == "nobody has worked for 12 s"
    watches = [pid for pid, words in cluster.command_lines() if words and words[-1].endswith("/watch.py")]
    assert len(watches) == 2
    for pid in watches:
        os.kill(pid, signal.SIGKILL)
    ended = cluster.until("it ends", lambda said: said["phase"] == "ended")
    assert ended["why"] == "nobody has worked for 12 s"


def test_it_has_said_so_and_done_what_it_was_asked_to_do_before(cluster):
    events = (cluster.home / "told").read_text().split()
    assert {"warned", "ending", "ended"} <= {*events}
    assert (cluster.home / "saved").read_text() == "saved\n"


def test_services_are_stopped_on_all_nodes_and_the_nodes_stay(cluster):
    def services():
        lines = [" ".join(words) for _, words in cluster.command_lines()]
        return [line for line in lines if "ipengine.py" in line or "ipcontroller.py" in line]

    poll(lambda: not services(), "no engine and no controller runs")
    assert cluster.laptop.run("sshnode", NAME, "1", "echo", "still here").stdout == "still here\n"
    said = cluster.laptop.run("status", NAME, status=1).stdout
    assert "it has ended by itself: nobody has worked for 12 s" in said
    cluster.laptop.refuse(
        "keep", NAME, "2h", status=1, says=["has ended by itself", f"`clusterctl start {NAME}` goes on"]
    )


def test_the_next_start_goes_on_with_what_was_there(cluster):
    (cluster.home / "result").write_text("42")
    assert "2 engines on 2 nodes" in cluster.laptop.run("start", NAME).stdout
    cluster.until("it lives again", lambda said: said["phase"] in {"awake", "warned"})
    assert cluster.laptop.run("sshmaster", NAME, "cat", "result").stdout == "42"
